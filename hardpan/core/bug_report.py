"""Reports of bugs: the traceback goes to a log, and one line without secrets to the terminal."""

import contextlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.core import clock
from hardpan.core.event_log import EventLog
from hardpan.core.redaction import redact, redact_argv
from hardpan.core.sanitize import sanitize_line, sanitize_lines
from hardpan.core.xdg import state_home

_MAX_SUMMARY_CHARS = 200


def summarize(error: BaseException) -> str:
    """Return type and message of ``error`` on one short line, escaped and redacted."""
    text = "".join(traceback.format_exception_only(error))
    line = sanitize_line(redact(" ".join(text.split())))
    return line if len(line) <= _MAX_SUMMARY_CHARS else line[:_MAX_SUMMARY_CHARS] + "…"


def describe_environment() -> Mapping[str, object]:
    """Return version, interpreter, system and command line."""
    system = os.uname()
    return {
        "version": _installed_version(),
        "python": sys.version.partition(" ")[0],
        "system": f"{system.sysname} {system.release} {system.machine}",
        "argv": _redacted_argv(),
    }


def write_bug_report(error: BaseException, event_log: EventLog | None) -> Path | None:
    """Write the traceback to ``event_log``, or to a new private file; return its path.

    None if neither ``$XDG_STATE_HOME`` nor the temporary folder is writable. Never raises: a
    failure here must not hide the bug.
    """
    traceback_text = "".join(traceback.format_exception(error))
    if event_log is not None:
        event_log.write(
            "bug",
            {"exception": summarize(error), "traceback": traceback_text, **describe_environment()},
        )
        if not event_log.failure:
            return event_log.path
    fields = {
        "time": clock.log_timestamp(),
        **describe_environment(),
        "argv": shlex.join(_redacted_argv()),
    }
    header = "".join(f"{name}: {value}\n" for name, value in fields.items())
    text = sanitize_lines(redact(f"{header}\n{traceback_text}"))
    for get_folder in (lambda: state_home() / "logs", lambda: Path(tempfile.gettempdir())):
        path = _write_report(get_folder, text)
        if path is not None:
            return path
    return None


def _write_report(get_folder: Callable[[], Path], text: str) -> Path | None:
    path = None
    # RuntimeError: the user has no home folder.
    with contextlib.suppress(OSError, RuntimeError):
        directory = get_folder()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        prefix = f"bug-{clock.now():%Y%m%dT%H%M%SZ}-"
        descriptor, name = tempfile.mkstemp(
            prefix=prefix, suffix=".log", dir=directory
        )  # mode 0600
        path = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _redacted_argv() -> tuple[str, ...]:
    return redact_argv(sys.argv)


def _installed_version() -> str:
    try:
        return importlib.metadata.version("hardpan")
    except importlib.metadata.PackageNotFoundError:
        return "unknown: not installed"
