"""The file of ``--log-file``: every event of a run, one JSON object per line."""

import contextlib
import json
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.core.events import (
    Diagnostic,
    ProcessEnded,
    ProcessStarted,
    Record,
    RemoteCommandEnded,
    StageFailed,
    StageFinished,
    StageMessage,
    StageProgress,
    StageStarted,
)
from hardpan.core.redaction import redact, redact_argv
from hardpan.core.sanitize import sanitize_json

RECORD_KINDS: Mapping[type[Record], str] = {
    StageStarted: "stage_started",
    StageMessage: "stage_note",
    StageProgress: "stage_progress",
    StageFinished: "stage_ended",
    StageFailed: "stage_failed",
    ProcessStarted: "process_started",
    ProcessEnded: "process_ended",
    RemoteCommandEnded: "remote_command_ended",
    Diagnostic: "diagnostic",
}
"""Class of a record -> its ``kind`` in the file."""


class EventLog:
    """An open log file. Safe to use from many threads; never raises after it was opened.

    A run is appended: a second run must not erase the log of the first.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, created with mode 0600 if it does not exist.

        Raises:
            InputError: it cannot be opened, or is not a regular file.
        """
        self.path = path.absolute()
        self.failure = ""
        """Why nothing more is written; empty without a failure."""
        self._lock = threading.Lock()
        self._file = _open_log(path)

    def write_record(self, record: Record) -> None:
        """Write ``record``; an ``events.Observer``."""
        values = {field.name: getattr(record, field.name) for field in fields(record)}
        self.write(RECORD_KINDS[type(record)], values)

    def write(self, kind: str, values: Mapping[str, object]) -> None:
        """Write one line: time, ``kind`` and ``values``, secrets redacted."""
        redacted_values = {name: _redact_value(value) for name, value in values.items()}
        line = (
            sanitize_json(
                json.dumps({"time": clock.log_timestamp(), "kind": kind, **redacted_values})
            )
            + "\n"
        )
        with self._lock:
            if self.failure:
                return
            try:
                # A single call per line, so that two runs can share a file.
                written_bytes = os.write(self._file, line.encode("ascii"))
            except OSError as e:
                self.failure = e.strerror or type(e).__name__
            else:
                if written_bytes != len(line):
                    self.failure = "the disk is full"

    def close(self) -> None:
        """Close the file; later records are dropped."""
        with self._lock:
            self.failure = self.failure or "closed"
            os.close(self._file)


def _open_log(path: Path) -> int:
    # NONBLOCK: opening a named pipe without a reader would block forever.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as e:
        raise InputError(f"{path}: the log file cannot be opened: {e.strerror}") from e
    with contextlib.ExitStack() as exit_stack:
        exit_stack.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path}: cannot be the log file: expected a regular file")
        try:
            os.fchmod(descriptor, 0o600)
        except OSError as e:
            raise InputError(f"{path}: the log file cannot get mode 0600: {e.strerror}") from e
        exit_stack.pop_all()
    return descriptor


def _redact_value(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return list(redact_argv(map(str, value)))
    if isinstance(value, float):
        return round(value, 3)
    return value
