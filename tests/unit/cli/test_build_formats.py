"""``hardpan build --format``: which formats a build writes, and its receipt."""

import json
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.builder.artifacts import ImageFile
from hardpan.builder.vm.disk_format import DISK_FORMATS
from hardpan.core.errors import Exit
from hardpan.core.media_types import RAW, guess_media_type
from hardpan.workflow.image_receipt import write_receipt
from tests.unit import fake_host


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_host.install(monkeypatch)


def plan_stages(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the names of the stages that a dry run plans."""
    cli.run(["build", "lab-stig", "--dry-run", "--json", *arguments])
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    return [stage["stage"] for stage in plan["stages"]]


@pytest.mark.parametrize(
    ("arguments", "formats"),
    [
        (["--format", "vmdk", "--format", "raw"], ["raw", "vmdk"]),
        (["--format", "ami-raw,vhdx", "--format", "iso"], ["vhdx", "ami-raw"]),
        (["--as", "iso,qcow2"], []),
        ([], []),
    ],
)
def test_formats_are_repeatable_and_may_be_lists(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], formats: list[str]
) -> None:
    stages = plan_stages(capsys, "--cache", str(tmp_path), *arguments)

    assert [name for name in stages if name in DISK_FORMATS] == formats
    assert "image" in stages


def test_iso_alone_needs_no_image(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stages = plan_stages(capsys, "--cache", str(tmp_path), "--format", "iso")

    assert stages == ["media", "iso"]


def test_unknown_format_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["build", "lab-stig", "--format", "raw,ova", "-o", str(tmp_path / "out")]

    assert cli.run(argv) == Exit.USAGE
    assert (
        "--format ova: expected some of iso, qcow2, raw, vmdk, vhdx, ami-raw"
        in capsys.readouterr().err
    )


def test_receipt_has_sizes_and_digest_of_each_file(tmp_path: Path) -> None:
    file = ImageFile(
        format="raw",
        path=tmp_path / "x.raw",
        sha256="a" * 64,
        media_type=RAW,
        virtual_bytes=3 << 30,
        file_bytes=3 << 30,
        allocated_bytes=1 << 20,
    )

    receipt = write_receipt([file], "x", tmp_path)

    assert receipt == tmp_path / "x.images.json"
    assert json.loads(receipt.read_bytes()) == {
        "images": [
            {
                "format": "raw",
                "file": "x.raw",
                "sha256": "a" * 64,
                "media_type": "application/x-raw-disk-image",
                "virtual_bytes": 3 << 30,
                "file_bytes": 3 << 30,
                "allocated_bytes": 1 << 20,
            }
        ]
    }


@pytest.mark.parametrize("disk_format", DISK_FORMATS.values(), ids=lambda f: f.name)
def test_file_name_tells_the_media_type(disk_format: Any) -> None:
    """A verifier guesses the type of a subject without one from the suffix of its name."""
    assert guess_media_type(f"x{disk_format.suffix}") == disk_format.media_type


def test_offline_iso_plans_content_and_layers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    argv = ["--cache", str(tmp_path), "--format", "iso", "--offline", "--max-size", "16 GiB"]

    assert plan_stages(capsys, *argv) == ["media", "content", "iso"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--offline"], "--offline: expected --format iso alone, got qcow2"),
        (["--offline", "--format", "iso,raw"], "--offline: expected --format iso alone, got raw"),
        (["--format", "iso", "--max-size", "1 GiB"], "--max-size: expected --offline too"),
        (
            ["--format", "iso", "--offline", "--max-size", "1 TB"],
            "--max-size: expected e.g. '20 GiB' or '512 MiB'",
        ),
    ],
)
def test_offline_with_other_options_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], problem: str
) -> None:
    argv = ["build", "lab-stig", "-o", str(tmp_path / "out"), *arguments]

    assert cli.run(argv) == Exit.USAGE
    assert problem in capsys.readouterr().err
