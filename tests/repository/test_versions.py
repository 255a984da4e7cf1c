"""Unpinned versions are recorded, and untested ones are reported."""

import json
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from images.lab import build
from images.lab.media_definition import load_definition
from tests import conftest
from tests.tools import versions
from tests.tools.get_cosign import record_path
from tests.tools.get_openssl import require_ml_dsa

MACHINE = "packages of debian 12"
TESTED = {MACHINE: {"chromium": "155.0-1", "xorriso": "1.5.4-4"}, "lab media of Debian trixie": {}}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all records, with nothing in it."""
    monkeypatch.setattr(versions, "CACHE", tmp_path)
    monkeypatch.setattr(versions, "RECORD", tmp_path / "versions.json")
    monkeypatch.setattr(versions, "TESTED", tmp_path / "tested.json")
    return tmp_path


def test_untested_version_is_reported_with_tested_version() -> None:
    now = {MACHINE: {"chromium": "156.0-1", "xorriso": "1.5.4-4", "swtpm": "0.7"}}

    assert versions.list_changes(TESTED, now) == [
        "chromium (packages of debian 12): another version: expected 155.0-1, got 156.0-1",
        "swtpm (packages of debian 12): another version: expected none, got 0.7",
    ]
    assert list(versions.format_table(TESTED, now)) == [
        "packages of debian 12:",
        "  chromium  156.0-1   tested: 155.0-1",
        "  swtpm     0.7   tested: never",
        "  xorriso   1.5.4-4",
    ]
    assert versions.list_changes(TESTED, {MACHINE: dict(TESTED[MACHINE])}) == []


def test_untested_system_is_reported_in_a_single_line() -> None:
    now = {"packages of ubuntu 26.04": {"chromium": "1", "xorriso": "2"}}

    (line,) = versions.list_changes({MACHINE: {"chromium": "1"}}, now)

    assert line == (
        "packages of ubuntu 26.04: never tested:"
        " expected packages of debian 12, got packages of ubuntu 26.04"
    )


def test_newest_lab_media_is_reported(record: Path) -> None:
    (record / "versions.json").write_text(json.dumps({MACHINE: {"chromium": "156.0-1"}}))
    (record / "packages-0.json").write_text(
        build._render_versions(
            load_definition(), {"linux-image-cloud-amd64": "6.12.117-1", "libc6": "2.41-12"}
        )
    )

    assert versions.current_versions() == {
        MACHINE: {"chromium": "156.0-1"},
        "lab media of Debian trixie": {"linux-image-cloud-amd64": "6.12.117-1"},
    }


def test_accept_keeps_records_of_other_systems(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (record / "tested.json").write_text(json.dumps({"packages of fedora 44": {"xorriso": "1"}}))
    (record / "versions.json").write_text(json.dumps({MACHINE: {"chromium": "156.0-1"}}))

    monkeypatch.setattr("sys.argv", ["versions", "--brief"])
    assert versions.main() == 0
    output = capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["versions", "--brief", "--accept"])
    assert versions.main() == 0

    assert "packages of debian 12: never tested" in output
    assert "make versions-accept" in output
    assert "0 not as tested" in capsys.readouterr().out
    assert json.loads((record / "tested.json").read_text()) == {
        "packages of fedora 44": {"xorriso": "1"},
        MACHINE: {"chromium": "156.0-1"},
    }


def test_failed_run_reports_changed_versions(record: Path) -> None:
    (record / "tested.json").write_text(json.dumps(TESTED))
    (record / "versions.json").write_text(json.dumps({MACHINE: {"chromium": "156.0-1"}}))

    assert terminal_summary({"passed": [1]}) == []
    assert terminal_summary({"failed": [1]})[:2] == [
        "== changed since these tests last passed",
        "chromium (packages of debian 12): another version: expected 155.0-1, got 156.0-1",
    ]
    assert terminal_summary({"error": [1]})[-1].endswith("says where each is taken from.")
    (record / "versions.json").write_text(json.dumps({MACHINE: {"chromium": "155.0-1"}}))
    assert terminal_summary({"failed": [1]}) == []


def terminal_summary(stats: dict[str, list[int]]) -> list[str]:
    """What the hook writes at the end of a run."""

    class Reporter:
        def __init__(self) -> None:
            self.stats, self.lines = stats, list[str]()

        def section(self, title: str) -> None:
            self.lines.append(f"== {title}")

        def write_line(self, line: str) -> None:
            self.lines.append(line)

    reporter = Reporter()
    conftest.pytest_terminal_summary(reporter)  # type: ignore[arg-type]
    return reporter.lines


def test_openssl_without_ml_dsa_is_refused_with_hint() -> None:
    require_ml_dsa("3.5.4-1~deb13u1")
    require_ml_dsa("1:4.0.0-1")

    with pytest.raises(ToolError) as caught:
        require_ml_dsa("3.0.17-1~deb12u3")

    assert str(caught.value) == (
        "openssl of Debian trixie: too old for ML-DSA: expected 3.5 or later, got 3.0.17-1~deb12u3"
    )
    assert caught.value.hint == "name a newer suite as RELEASE in tests/tools/get_cosign.py"


def test_record_path_is_next_to_program() -> None:
    assert record_path(Path("/x/bin/cosign")) == Path("/x/bin/cosign.versions.json")
