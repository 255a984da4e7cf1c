"""What is kept of a bug: the traceback, in a log; and said of it: one line without secrets."""

import contextlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan import clock
from hardpan.event_log import EventLog
from hardpan.folders import state_home
from hardpan.printable import printable, printable_lines
from hardpan.redaction import redact, redact_argv

_MAX_SUMMARY = 200


def summary(error: BaseException) -> str:
    """Type and message of ``error`` on one short line, without escape codes and secrets."""
    text = "".join(traceback.format_exception_only(error))
    line = printable(redact(" ".join(text.split())))
    return line if len(line) <= _MAX_SUMMARY else line[:_MAX_SUMMARY] + "…"


def environment() -> Mapping[str, object]:
    """Version, interpreter, system and command line."""
    system = os.uname()
    return {
        "version": _version(),
        "python": sys.version.partition(" ")[0],
        "system": f"{system.sysname} {system.release} {system.machine}",
        "argv": _argv(),
    }


def keep(error: BaseException, log: EventLog | None) -> Path | None:
    """Write the traceback into ``log``, or without one into a new private file.

    None where nothing can be written, neither below ``$XDG_STATE_HOME`` nor among the temporary
    files. Never raises: a failure here must not hide the bug.
    """
    trace = "".join(traceback.format_exception(error))
    if log is not None:
        log.write("bug", {"exception": summary(error), "traceback": trace, **environment()})
        if not log.failure:
            return log.path
    facts = {"time": clock.timestamp(), **environment(), "argv": shlex.join(_argv())}
    head = "".join(f"{name}: {value}\n" for name, value in facts.items())
    text = printable_lines(redact(f"{head}\n{trace}"))
    for folder in (lambda: state_home() / "logs", lambda: Path(tempfile.gettempdir())):
        path = _written(folder, text)
        if path is not None:
            return path
    return None


def _written(folder: Callable[[], Path], text: str) -> Path | None:
    path = None
    # RuntimeError: the user has no home folder.
    with contextlib.suppress(OSError, RuntimeError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        prefix = f"bug-{clock.now():%Y%m%dT%H%M%SZ}-"
        number, name = tempfile.mkstemp(prefix=prefix, suffix=".log", dir=place)  # mode 0600
        path = Path(name)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _argv() -> tuple[str, ...]:
    return redact_argv(sys.argv)


def _version() -> str:
    try:
        return importlib.metadata.version("hardpan")
    except importlib.metadata.PackageNotFoundError:
        return "unknown: not installed"
