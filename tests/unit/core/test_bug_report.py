import os
import stat
import tempfile
from pathlib import Path

import pytest

from hardpan.core import bug_report
from hardpan.core.event_log import EventLog


def raised_error(text: str) -> Exception:
    try:
        raise RuntimeError(text)
    except RuntimeError as e:
        return e


def test_summary_is_a_short_line_without_escape_codes_and_secrets() -> None:
    line = bug_report.summarize(raised_error("a\x1b[31mb\nc password=hunter2 " + "x" * 1000))

    assert line.startswith("RuntimeError: a\\x1b[31mb c password=[redacted] xxx")
    assert len(line) == 201


def test_bug_report_has_traceback_and_environment_and_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("sys.argv", ["hardpan", "scan", "--key", "pkcs11:pin-value=1234"])

    path = bug_report.write_bug_report(raised_error("\x1b[31mplanted token=hunter2"), None)

    assert path is not None
    text = path.read_text()
    assert path.parent == tmp_path / "state" / "hardpan" / "logs"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "RuntimeError: \\x1b[31mplanted token=[redacted]\n" in text
    assert "in raised_error\n    raise RuntimeError(text)\n" in text
    assert "\nargv: hardpan scan --key 'pkcs11:pin-value=[redacted]'\n" in text
    assert [line.partition(":")[0] for line in text.splitlines()[:5]] == [
        *("time", "version", "python", "system", "argv"),
    ]


def test_bug_is_written_to_open_event_log(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")

    assert bug_report.write_bug_report(raised_error("planted"), log) == tmp_path / "log"
    assert '"kind": "bug"' in log.path.read_text()


def test_unwritable_state_folder_falls_back_to_temporary_folder_then_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    log = EventLog(tmp_path / "log")
    log.close()

    path = bug_report.write_bug_report(raised_error("planted"), log)

    assert path is not None
    assert path.parent == tmp_path / "tmp"
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    assert bug_report.write_bug_report(raised_error("planted"), log) is None


def test_failed_write_leaves_no_partial_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))

    def raise_disk_full(descriptor: int, *_: object, **__: object) -> None:
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", raise_disk_full)

    assert bug_report.write_bug_report(raised_error("planted"), None) is None
    assert not list(tmp_path.rglob("bug-*"))
