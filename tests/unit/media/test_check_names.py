"""``hardpan media check-names`` as a person types it, on folders."""

import gzip
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.media.names import Asked, compare, of_list, of_profile, which_repository
from hardpan.builder.media.repodata import Packages, Rpm
from hardpan.errors import HardpanError, InputError, UsageError
from hardpan.files import sha256_bytes
from hardpan.profiles.load import load
from hardpan.profiles.software.fill import matcher


def rpm(name: str, version: str = "1", arch: str = "x86_64") -> Rpm:
    return Rpm(name=name, version=version, release="1", arch=arch, size=10, installed=20)


def state(name: str, version: str | None, *there: Rpm) -> str:
    asked = Asked(name=name, pattern=matcher(name), version=version, verified="yes")
    packages = Packages(revision="", primary_sha256=sha256_bytes(b""), rpms=there)
    return compare((asked,), packages, "x86_64")[0].state


def test_a_name_counts_for_the_right_architecture_alone() -> None:
    assert state("libnccl", None, rpm("libnccl")) == "there"
    assert state("libnccl", None, rpm("libnccl", arch="noarch")) == "there"
    assert state("libnccl", None, rpm("libnccl", arch="i686"), rpm("libnccl2")) == "missing"


def test_a_pinned_version_is_that_version() -> None:
    assert state("libnvsdm", "580.178.04", rpm("libnvsdm", "580.178.04")) == "there"
    assert state("libnvsdm", "580.178.04", rpm("libnvsdm", "580.178.4")) == "other_version"
    assert state("libnvsdm", "580.178.04") == "missing"


@pytest.mark.parametrize(
    ("repo", "name", "release", "found"),
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
def test_a_repository_is_known_by_its_address_or_its_name(
    repo: str, name: str, release: str, found: tuple[str, str, str]
) -> None:
    told = which_repository(repo, name=name, release=release)

    assert (told.id, told.release, told.arch) == found


@pytest.mark.parametrize(
    ("repo", "name", "release", "kind", "problem"),
    [
        ("mirror", "", "", UsageError, "not the address of a vendor's repository"),
        ("mirror", "cuda", "", UsageError, "cuda: there is one for each release"),
        ("mirror", "coda", "rocky9", InputError, "--id coda: not in the list"),
        ("mirror", "rocm-core", "rocky9", InputError, "rocm-core: the list has none for rocky9"),
        ("mirror", "cuda", "lab9", InputError, "cuda: the list has none for lab9"),
        (
            "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64",
            "",
            "rocky10",
            InputError,
            "cuda: the list has none for rocky10",
        ),
    ],
)
def test_a_repository_that_cannot_be_told_is_refused(
    repo: str, name: str, release: str, kind: type[HardpanError], problem: str
) -> None:
    with pytest.raises(kind) as caught:
        which_repository(repo, name=name, release=release)

    assert problem in str(caught.value)


def test_a_profile_asks_for_its_versions_and_the_list_for_names() -> None:
    cuda = which_repository("mirror", name="cuda", release="rocky9")
    of_one = {a.name: a.version for a in of_profile(cuda, load("rocky9-stig-nvidia"))}
    of_all = {a.name for a in of_list(cuda)}

    assert of_one["nvidia-driver-cuda"] == "580.178.04"
    assert "nvidia-imex" not in of_one
    assert {"nvidia-imex", "cuda-toolkit-{cuda_dash}"} <= of_all


def test_a_profile_that_takes_nothing_from_there_is_refused() -> None:
    cuda = which_repository("mirror", name="cuda", release="rocky9")

    with pytest.raises(InputError, match="rocky9-stig-amd: takes nothing from cuda"):
        of_profile(cuda, load("rocky9-stig-amd"))


def _repo(folder: Path, *names: str) -> Path:
    packages = "".join(
        f'<package type="rpm"><name>{n}</name><arch>x86_64</arch><version ver="7.14" rel="1"/>'
        "</package>"
        for n in names
    )
    text = f'<metadata xmlns="http://linux.duke.edu/metadata/common">{packages}</metadata>'
    packed = gzip.compress(text.encode())
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata" / "p.xml.gz").write_bytes(packed)
    (folder / "repodata" / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{sha256_bytes(packed)}</checksum>'
        '<location href="repodata/p.xml.gz"/></data></repomd>',
        "utf-8",
    )
    return folder


@pytest.mark.parametrize(
    ("names", "code", "line"),
    [
        (("amdrocm7.14-gfx942", "other"), 0, "there     amdrocm7.14-gfx942: amdrocm7.14-gfx942"),
        (("amdrocm7.14-gfx950",), 1, "MISSING   amdrocm7.14-gfx942 (in the list: second_hand)"),
        ((), 1, "MISSING   amdrocm7.14-gfx942 (in the list: second_hand)"),
    ],
)
def test_the_answer_is_an_exit_code_and_a_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: tuple[str, ...],
    code: int,
    line: str,
) -> None:
    repo = _repo(tmp_path / "repo", *names)

    arguments = ["--repo", str(repo), "--id", "rocm-therock", "--profile", "rocky9-stig-amd"]
    assert cli.run(["media", "check-names", *arguments]) == code

    assert line in capsys.readouterr().out


def test_a_name_with_escape_codes_reaches_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = _repo(tmp_path / "repo", "kmod-nvidia-580.178.04-\x9b31m\u202e")

    arguments = ["--repo", str(repo), "--id", "site", "--profile", "rocky9-stig-nvidia"]
    cli.run(["media", "check-names", *arguments])

    said = capsys.readouterr().out
    assert "kmod-nvidia-580.178.04-" in said
    assert "\x9b" not in said
    assert "\u202e" not in said


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
def test_a_wrong_command_line_has_its_exit_code(arguments: list[str], code: int) -> None:
    assert cli.run(["media", "check-names", *arguments]) == code
