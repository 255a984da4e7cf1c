import json
import os
import stat
import threading
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from hardpan.core.errors import InputError
from hardpan.core.event_log import RECORD_KINDS, EventLog
from hardpan.core.events import (
    ProcessEnded,
    ProcessStarted,
    Record,
    StageFinished,
    StageMessage,
    observe,
    publish,
)


def read_records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_every_record_class_has_a_unique_kind() -> None:
    assert set(RECORD_KINDS) == set(get_args(Record))
    assert len(set(RECORD_KINDS.values())) == len(RECORD_KINDS)


def test_record_is_a_single_line_with_time_kind_and_fields(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")

    log.write_record(ProcessEnded(process_id=7, argv=("true",), exit_status=0, duration_s=0.12345))
    log.write_record(StageFinished(stage="iso", duration_s=1.0))

    process_record, stage_record = read_records(log.path)
    assert str(process_record.pop("time"))[10] == "T"
    assert str(stage_record.pop("time")).endswith("Z")
    assert process_record == {
        "kind": "process_ended",
        "process_id": 7,
        "argv": ["true"],
        "exit_status": 0,
        "duration_s": 0.123,
    }
    assert stage_record == {
        "kind": "stage_ended",
        "stage": "iso",
        "duration_s": 1.0,
        "reused": False,
    }


def test_target_text_is_escaped_and_redacted_on_a_single_line(
    tmp_path: Path,
) -> None:
    log = EventLog(tmp_path / "log")

    log.write_record(
        StageMessage(stage="scan", text='a\x1b[31m\n{"kind": "x"} password=hunter2 \udc80')
    )

    (record,) = read_records(log.path)
    assert record["text"] == 'a\x1b[31m\n{"kind": "x"} password=[redacted] \udc80'
    assert b"\x1b" not in log.path.read_bytes()


def test_log_file_is_private_and_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("earlier\n")
    path.chmod(0o644)

    log = EventLog(path)
    log.write("run_started", {})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines()[0] == "earlier"
    assert len(path.read_text().splitlines()) == 2


def test_non_regular_log_file_is_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match="the log file cannot be opened: No such file"):
        EventLog(tmp_path / "no" / "log")
    with pytest.raises(InputError, match="pipe: the log file cannot be opened: No such device"):
        EventLog(tmp_path / "pipe")
    with pytest.raises(InputError, match="null: cannot be the log file: expected a regular file"):
        EventLog(Path(os.devnull))


def test_threads_write_complete_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    text = "x" * 9000

    def emit() -> None:
        for _ in range(50):
            publish(StageMessage(stage="s", text=text))

    with observe(log.write_record):
        threads = [threading.Thread(target=emit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    publish(StageMessage(stage="s", text="after the block"))

    assert [line["text"] for line in read_records(log.path)] == [text] * 200


def test_full_disk_stops_the_log_without_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "log")
    log.write("first", {})

    def raise_disk_full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", raise_disk_full)
    log.write_record(ProcessStarted(process_id=1, argv=("x",)))
    monkeypatch.undo()
    log.write_record(ProcessStarted(process_id=2, argv=("x",)))

    assert log.failure == "No space left on device"
    assert [line["kind"] for line in read_records(log.path)] == ["first"]


def test_closed_log_ignores_records(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    log.close()

    log.write_record(StageMessage(stage="s", text="late"))

    assert log.path.read_bytes() == b""


def test_record_fields_do_not_collide_with_log_keys() -> None:
    assert len(RECORD_KINDS) > 3
    for record_class in RECORD_KINDS:
        assert not {field.name for field in fields(record_class)} & {"time", "kind"}
