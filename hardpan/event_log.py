"""The file of ``--log-file``: all that happens in a run, one JSON object a line."""

import contextlib
import json
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from hardpan import clock
from hardpan.errors import InputError
from hardpan.events import (
    Diagnostic,
    Ended,
    Failed,
    Note,
    ProcessEnded,
    ProcessStarted,
    Progress,
    Record,
    RemoteCommandEnded,
    Started,
)
from hardpan.printable import printable_json
from hardpan.redaction import redact, redact_argv

KINDS: Mapping[type[Record], str] = {
    Started: "stage_started",
    Note: "stage_note",
    Progress: "stage_progress",
    Ended: "stage_ended",
    Failed: "stage_failed",
    ProcessStarted: "process_started",
    ProcessEnded: "process_ended",
    RemoteCommandEnded: "remote_command_ended",
    Diagnostic: "diagnostic",
}
"""Class of a record -> its ``kind`` in the file."""

_RENAMED = {"took_s": "duration_s"}


class EventLog:
    """An open log file. Safe to use from many threads; never raises after it was opened.

    A run is appended to what the file holds: a second run must not erase the first one's log.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, created with mode 0600 where it is not there.

        Raises:
            InputError: it cannot be opened, or is no regular file.
        """
        self.path = path.absolute()
        self.failure = ""
        """Why nothing more is written; empty while all is well."""
        self._lock = threading.Lock()
        self._file = _opened(path)

    def take(self, record: Record) -> None:
        """Write ``record``; an ``events.Observer``."""
        values = {
            _RENAMED.get(field.name, field.name): getattr(record, field.name)
            for field in fields(record)
        }
        self.write(KINDS[type(record)], values)

    def write(self, kind: str, values: Mapping[str, object]) -> None:
        """Write one line: time, ``kind`` and ``values``, secrets redacted."""
        shown = {name: _shown(value) for name, value in values.items()}
        line = printable_json(json.dumps({"time": clock.timestamp(), "kind": kind, **shown})) + "\n"
        with self._lock:
            if self.failure:
                return
            try:
                # One call for one line, so that two runs can share a file.
                written = os.write(self._file, line.encode("ascii"))
            except OSError as e:
                self.failure = e.strerror or type(e).__name__
            else:
                if written != len(line):
                    self.failure = "the disk is full"

    def close(self) -> None:
        """Close the file; what comes later is dropped."""
        with self._lock:
            self.failure = self.failure or "closed"
            os.close(self._file)


def _opened(path: Path) -> int:
    # NONBLOCK: opening a named pipe that nobody reads would wait for ever.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    try:
        file = os.open(path, flags, 0o600)
    except OSError as e:
        raise InputError(f"{path}: the log file cannot be opened: {e.strerror}") from e
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise InputError(f"{path}: cannot be the log file: expected a regular file")
        try:
            os.fchmod(file, 0o600)
        except OSError as e:
            raise InputError(f"{path}: the log file cannot get mode 0600: {e.strerror}") from e
        undo.pop_all()
    return file


def _shown(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return list(redact_argv(map(str, value)))
    if isinstance(value, float):
        return round(value, 3)
    return value
