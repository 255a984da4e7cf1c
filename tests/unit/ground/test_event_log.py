import json
import os
import stat
import threading
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from hardpan.errors import InputError
from hardpan.event_log import KINDS, EventLog
from hardpan.events import Ended, Note, ProcessEnded, ProcessStarted, Record, observed, publish


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_every_class_of_record_has_a_kind_of_its_own() -> None:
    assert set(KINDS) == set(get_args(Record))
    assert len(set(KINDS.values())) == len(KINDS)


def test_a_record_is_one_line_with_time_kind_and_fields(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")

    log.take(ProcessEnded(process_id=7, argv=("true",), exit_status=0, duration_s=0.12345))
    log.take(Ended(stage="iso", took_s=1.0))

    first, second = lines(log.path)
    assert str(first.pop("time"))[10] == "T"
    assert str(second.pop("time")).endswith("Z")
    assert first == {
        "kind": "process_ended",
        "process_id": 7,
        "argv": ["true"],
        "exit_status": 0,
        "duration_s": 0.123,
    }
    assert second == {"kind": "stage_ended", "stage": "iso", "duration_s": 1.0, "reused": False}


def test_a_targets_words_stay_in_their_line_without_escape_codes_and_secrets(
    tmp_path: Path,
) -> None:
    log = EventLog(tmp_path / "log")

    log.take(Note(stage="scan", text='a\x1b[31m\n{"kind": "x"} password=hunter2 \udc80'))

    (found,) = lines(log.path)
    assert found["text"] == 'a\x1b[31m\n{"kind": "x"} password=[redacted] \udc80'
    assert b"\x1b" not in log.path.read_bytes()


def test_the_file_is_private_and_a_second_run_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("earlier\n")
    path.chmod(0o644)

    log = EventLog(path)
    log.write("run_started", {})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines()[0] == "earlier"
    assert len(path.read_text().splitlines()) == 2


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match="the log file cannot be opened: No such file"):
        EventLog(tmp_path / "no" / "log")
    with pytest.raises(InputError, match="pipe: the log file cannot be opened: No such device"):
        EventLog(tmp_path / "pipe")
    with pytest.raises(InputError, match="null: cannot be the log file: expected a regular file"):
        EventLog(Path(os.devnull))


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    text = "x" * 9000

    def emit() -> None:
        for _ in range(50):
            publish(Note(stage="s", text=text))

    with observed(log.take):
        threads = [threading.Thread(target=emit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    publish(Note(stage="s", text="after the block"))

    assert [line["text"] for line in lines(log.path)] == [text] * 200


def test_a_full_disk_ends_the_log_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "log")
    log.write("first", {})

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.take(ProcessStarted(process_id=1, argv=("x",)))
    monkeypatch.undo()
    log.take(ProcessStarted(process_id=2, argv=("x",)))

    assert log.failure == "No space left on device"
    assert [line["kind"] for line in lines(log.path)] == ["first"]


def test_a_closed_log_takes_no_more(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    log.close()

    log.take(Note(stage="s", text="late"))

    assert log.path.read_bytes() == b""


def test_no_record_has_a_field_that_the_log_itself_uses() -> None:
    assert len(KINDS) > 3
    for kind in KINDS:
        assert not {field.name for field in fields(kind)} & {"time", "kind"}
