"""``hardpan repo check`` on local repositories."""

import gzip
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.dnf.package_check import (
    ExpectedPackage,
    check_packages,
    expected_from_catalog,
    expected_from_profile,
    identify_repository,
)
from hardpan.builder.dnf.repodata import RepositoryIndex, Rpm
from hardpan.core.errors import HardpanError, InputError, UsageError
from hardpan.core.files import sha256_bytes
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.placeholders import to_pattern


def make_rpm(name: str, version: str = "1", arch: str = "x86_64") -> Rpm:
    return Rpm(
        name=name, version=version, release="1", arch=arch, size_bytes=10, installed_bytes=20
    )


def check_state(name: str, version: str | None, *rpms: Rpm) -> str:
    expected = ExpectedPackage(name=name, pattern=to_pattern(name), version=version, verified="yes")
    packages = RepositoryIndex(revision="", primary_sha256=sha256_bytes(b""), rpms=rpms)
    return check_packages((expected,), packages, "x86_64")[0].state


def test_package_of_other_architecture_does_not_count() -> None:
    assert check_state("libnccl", None, make_rpm("libnccl")) == "available"
    assert check_state("libnccl", None, make_rpm("libnccl", arch="noarch")) == "available"
    assert (
        check_state("libnccl", None, make_rpm("libnccl", arch="i686"), make_rpm("libnccl2"))
        == "missing"
    )


def test_pinned_version_must_match_exactly() -> None:
    assert check_state("libnvsdm", "580.178.04", make_rpm("libnvsdm", "580.178.04")) == "available"
    assert (
        check_state("libnvsdm", "580.178.04", make_rpm("libnvsdm", "580.178.4")) == "other_version"
    )
    assert check_state("libnvsdm", "580.178.04") == "missing"


@pytest.mark.parametrize(
    ("repo", "repository_id", "release", "expected"),
    [
        (
            "https://developer.download.nvidia.com/compute/cuda/repos/rhel10/x86_64",
            "",
            "",
            ("cuda", "rocky10", "x86_64"),
        ),
        (
            "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/sbsa/",
            "",
            "",
            ("cuda", "rocky9", "aarch64"),
        ),
        (
            "https://repo.radeon.com/rocm/el10/7.2/main",
            "",
            "",
            ("rocm-classic", "rocky10", "x86_64"),
        ),
        ("mirror", "rocm-core", "", ("rocm-core", "rocky10", "x86_64")),
        ("mirror", "cuda", "rocky9", ("cuda", "rocky9", "x86_64")),
    ],
)
def test_repository_is_identified_by_address_or_id(
    repo: str, repository_id: str, release: str, expected: tuple[str, str, str]
) -> None:
    repository = identify_repository(repo, repository_id=repository_id, release=release)

    assert (repository.id, repository.release, repository.arch) == expected


@pytest.mark.parametrize(
    ("repo", "repository_id", "release", "error_type", "problem"),
    [
        ("mirror", "", "", UsageError, "not the address of a vendor's repository"),
        ("mirror", "cuda", "", UsageError, "cuda: one repository per release"),
        ("mirror", "coda", "rocky9", InputError, "--id coda: not in the catalog"),
        ("mirror", "rocm-core", "rocky9", InputError, "rocm-core: the catalog has none for rocky9"),
        ("mirror", "cuda", "lab9", InputError, "cuda: the catalog has none for lab9"),
        (
            "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64",
            "",
            "rocky10",
            InputError,
            "cuda: the catalog has none for rocky10",
        ),
    ],
)
def test_ambiguous_repository_is_rejected(
    repo: str, repository_id: str, release: str, error_type: type[HardpanError], problem: str
) -> None:
    with pytest.raises(error_type) as caught:
        identify_repository(repo, repository_id=repository_id, release=release)

    assert problem in str(caught.value)


def test_profile_expects_versions_and_catalog_expects_names() -> None:
    cuda = identify_repository("mirror", repository_id="cuda", release="rocky9")
    profile_versions = {
        a.name: a.version for a in expected_from_profile(cuda, load_profile("rocky9-stig-nvidia"))
    }
    catalog_names = {a.name for a in expected_from_catalog(cuda)}

    assert profile_versions["nvidia-driver-cuda"] == "580.178.04"
    assert "nvidia-imex" not in profile_versions
    assert {"nvidia-imex", "cuda-toolkit-{cuda_dash}"} <= catalog_names


def test_profile_without_packages_from_repository_is_rejected() -> None:
    cuda = identify_repository("mirror", repository_id="cuda", release="rocky9")

    with pytest.raises(InputError, match="rocky9-stig-amd: installs no package from cuda"):
        expected_from_profile(cuda, load_profile("rocky9-stig-amd"))


def _make_repository(folder: Path, *names: str) -> Path:
    packages = "".join(
        f'<package type="rpm"><name>{n}</name><arch>x86_64</arch><version ver="7.14" rel="1"/>'
        "</package>"
        for n in names
    )
    text = f'<metadata xmlns="http://linux.duke.edu/metadata/common">{packages}</metadata>'
    compressed = gzip.compress(text.encode())
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata" / "p.xml.gz").write_bytes(compressed)
    (folder / "repodata" / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{sha256_bytes(compressed)}</checksum>'
        '<location href="repodata/p.xml.gz"/></data></repomd>',
        "utf-8",
    )
    return folder


@pytest.mark.parametrize(
    ("names", "code", "line"),
    [
        (("amdrocm7.14-gfx942", "other"), 0, "available amdrocm7.14-gfx942: amdrocm7.14-gfx942"),
        (
            ("amdrocm7.14-gfx950",),
            1,
            "MISSING   amdrocm7.14-gfx942 (catalog entry verified: second_hand)",
        ),
        ((), 1, "MISSING   amdrocm7.14-gfx942 (catalog entry verified: second_hand)"),
    ],
)
def test_check_prints_result_and_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: tuple[str, ...],
    code: int,
    line: str,
) -> None:
    repo = _make_repository(tmp_path / "repo", *names)

    arguments = ["--repo", str(repo), "--id", "rocm-therock", "--profile", "rocky9-stig-amd"]
    assert cli.run(["repo", "check", *arguments]) == code

    assert line in capsys.readouterr().out


def test_escape_codes_in_names_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = _make_repository(tmp_path / "repo", "kmod-nvidia-580.178.04-\x9b31m\u202e")
    profile = tmp_path / "site.yaml"
    profile.write_text(
        "name: site\ntitle: Site\nextends: rocky9-stig-nvidia\n"
        "hardware: {nvidia: {module_signing: site_key}}\n"
    )

    arguments = ["--repo", str(repo), "--id", "site", "--profile", str(profile)]
    cli.run(["repo", "check", *arguments])

    output = capsys.readouterr().out
    assert "kmod-nvidia-580.178.04-" in output
    assert "\x9b" not in output
    assert "\u202e" not in output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--repo", "."], 2),
        (["--repo", ".", "--id", "cuda", "--release", "rocky8"], 2),
        (
            ["--repo", ".", "--id", "cuda", "--release", "rocky10", "--profile", "rocky9-stig-amd"],
            2,
        ),
        (["--repo", ".", "--id", "cuda", "--release", "rocky9", "--profile", "nobody"], 3),
        (["--repo", "tests", "--id", "cuda", "--release", "rocky9"], 3),
    ],
)
def test_invalid_command_line_exit_code(arguments: list[str], code: int) -> None:
    assert cli.run(["repo", "check", *arguments]) == code
