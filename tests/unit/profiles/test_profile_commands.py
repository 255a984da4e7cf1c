"""check, profiles and render as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hardpan import cli
from hardpan.builder import build_manifest
from hardpan.cli.check import check
from hardpan.cli.profiles import profiles
from hardpan.cli.render import render
from hardpan.core.errors import InputError, UsageError
from hardpan.profiles.loader.profile_file import load_profile

Write = Callable[..., Path]

KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= operator@example\n"
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "operator.pub"
    path.write_text(KEY, "utf-8")
    return path


def run(command: object, *arguments: object) -> None:
    command.main([str(a) for a in arguments], standalone_mode=False)  # type: ignore[attr-defined]


def test_profiles_lists_names_with_titles(capsys: pytest.CaptureFixture[str]) -> None:
    run(profiles)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert lines[1].startswith("lab-stig ")


def test_profiles_json_lists_layers(capsys: pytest.CaptureFixture[str]) -> None:
    run(profiles, "--json")

    entries = json.loads(capsys.readouterr().out)
    assert entries[1]["name"] == "lab-stig"
    assert entries[1]["layers"] == ["ml_cpu", "stig"]


def test_check_prints_ok_with_digest(capsys: pytest.CaptureFixture[str]) -> None:
    run(check, "lab-stig", "rocky9-stig")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "lab-stig"], ["ok", "rocky9-stig"]]


def test_check_reports_problems_of_every_file_with_exit_3(
    profile_file: Write, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first_path = profile_file(good.replace("60 GiB", "60 GB"), "one.yaml")
    second_path = profile_file(good.replace("fips: true", "fips: maybe"), "two.yaml")

    code = cli.run(["check", str(first_path), "lab-stig", str(second_path)])

    captured = capsys.readouterr()
    assert code == 3
    assert "one.yaml:8:14: storage.disk_size" in captured.err
    assert "two.yaml" in captured.err
    assert "ok  lab-stig" in captured.out


def test_check_json_contains_every_problem(
    profile_file: Write, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = profile_file(good.replace("60 GiB", "60 GB"))

    with pytest.raises(InputError):
        run(check, "--json", path)

    (facts,) = json.loads(capsys.readouterr().out)
    assert not facts["ok"]
    assert facts["problems"][0].startswith(f"{path}:8:14: storage.disk_size")


def test_check_warns_about_expired_waiver(
    profile_file: Write, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(check, profile_file(good.replace("2027-11-30", "2025-01-01")))

    assert "the waiver for encrypt_partitions expired on 2025-01-01" in capsys.readouterr().err


def test_check_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    run(check, "--schema")

    assert json.loads(capsys.readouterr().out)["title"] == "Profile"


def test_check_without_profile_is_usage_error() -> None:
    with pytest.raises(UsageError, match="no PROFILE given"):
        run(check)


def test_render_writes_build_inputs(tmp_path: Path, key: Path) -> None:
    out = tmp_path / "out"

    run(render, "rocky9-stig-nvidia", "-o", out, "--key", key)

    assert sorted(p.name for p in out.iterdir()) == [
        "build.yaml",
        "exceptions.md",
        "ks.cfg",
        "layers.yaml",
        "waivers.yaml",
    ]
    build = yaml.safe_load((out / "build.yaml").read_text("utf-8"))
    assert build["boot_arguments"][1] == "fips=1"
    assert "accept_eula" in build["open_questions"][0]
    layers = yaml.safe_load((out / "layers.yaml").read_text("utf-8"))
    assert [entry["layer"] for entry in layers][-1] == "stig"
    exceptions = (out / "exceptions.md").read_text("utf-8").splitlines()
    assert exceptions[0] == "# Rules without remediation: rocky9-stig-nvidia"
    assert sum(line.startswith("| `partition_for_") for line in exceptions) == 6


def test_render_is_deterministic(tmp_path: Path, key: Path) -> None:
    out = tmp_path / "out"
    run(render, "rocky9-stig", "-o", out, "--key", key)
    contents = {p.name: p.read_bytes() for p in out.iterdir()}

    run(render, "rocky9-stig", "-o", out, "--key", key)

    assert {p.name: p.read_bytes() for p in out.iterdir()} == contents


def test_injected_name_is_rejected_without_output(
    tmp_path: Path, profile_file: Write, good: str, key: Path
) -> None:
    path = profile_file(good.replace("name: good", 'name: "x\\n%post"'))
    out = tmp_path / "out"

    code = cli.run(["render", str(path), "-o", str(out), "--key", str(key)])

    assert code == 3
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected one line with a public key, got 0 lines"),
        (b"a\nb\n", "expected one line with a public key, got 2 lines"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "got a private one"),
        (b"\xff\xfe", "expected a public key, got binary data"),
        (b"ssh-rsa AAAA\n", "the operator's public key: expected"),
    ],
)
def test_invalid_key_file_is_rejected_without_output(
    tmp_path: Path, key: Path, content: bytes, problem: str
) -> None:
    key.write_bytes(content)
    out = tmp_path / "out"

    with pytest.raises(InputError, match=problem):
        run(render, "rocky9-stig", "-o", out, "--key", key)

    assert not out.exists()


def test_missing_key_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        run(render, "rocky9-stig", "-o", tmp_path / "out", "--key", tmp_path / "none.pub")


def test_render_does_not_replace_foreign_folder(tmp_path: Path, key: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")

    with pytest.raises(InputError, match="expected an empty folder or an earlier render"):
        run(render, "rocky9-stig", "-o", tmp_path, "--key", key)

    assert (tmp_path / "mine.txt").read_text("utf-8") == "mine"


def test_kickstart_with_passphrase_is_private(
    tmp_path: Path, profile_file: Write, good: str, key: Path
) -> None:
    path = profile_file(good.replace("mode: none\n    reason: A test.", "mode: luks2"))
    secret = tmp_path / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text("correct-horse-battery\n", "utf-8")
    out = tmp_path / "out"

    run(render, path, "-o", out, "--key", key, "--luks-passphrase-file", secret)

    assert (out / "ks.cfg").stat().st_mode & 0o777 == 0o600
    assert "correct-horse-battery" not in (out / "build.yaml").read_text("utf-8")
    assert yaml.safe_load((out / "build.yaml").read_text("utf-8"))["kickstart_is_secret"]


def test_every_layer_has_a_description() -> None:
    for name in ("rocky9-stig-nvidia", "rocky10-stig-amd", "rocky9-stig-cpu"):
        profile = load_profile(name)

        descriptions = [
            (entry["layer"], bool(entry["description"]))
            for entry in build_manifest.describe_layers(profile)
        ]
        assert descriptions == [(layer, True) for layer in profile.layers]
