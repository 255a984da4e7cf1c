"""Where a run ends: what a person is told of an error, with which exit code, and what is logged.

Nothing that is raised below goes past ``report``, and nothing that Python or a library would write
to stderr by itself goes past ``Run``.
"""

import errno
import logging
import os
import sys
import threading
import traceback
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import click

from hardpan import bug_report, clock, interrupts, streams
from hardpan.errors import (
    Exit,
    HardpanError,
    InputError,
    ResourceError,
    SeveralError,
    Terminated,
    ToolError,
    UsageError,
)
from hardpan.event_log import EventLog
from hardpan.events import Diagnostic, observed, publish
from hardpan.extras import missing_package
from hardpan.terminal import err, process_lines, say

_ANSWERS = (Exit.DONE, Exit.FINDINGS)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE_PATH = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
"""What the kernel says of a path that a person chose: no fault of the program that tries it."""


class Run:
    """One command line from its start to its end: who observes it, and whether a bug came up."""

    def __init__(self) -> None:
        self.command = ""
        """The command's name, once it is known."""
        self.log: EventLog | None = None
        self.has_bug = False
        """True also when a thread ended with an exception that nobody took."""
        self._is_verbose = False
        self._began = clock.monotonic()
        self._undo = ExitStack()

    def __enter__(self) -> "Run":
        for module, name, hook in (
            (threading, "excepthook", self._take_thread),
            (sys, "unraisablehook", _publish_unraisable),
        ):
            self._undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, hook)
        self._undo.callback(setattr, warnings, "showwarning", warnings.showwarning)
        warnings.showwarning = _publish_warning
        handler = _Handler(logging.WARNING)
        logging.getLogger().addHandler(handler)
        self._undo.callback(logging.getLogger().removeHandler, handler)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def be_verbose(self) -> None:
        """Show processes from here on."""
        if not self._is_verbose:
            self._is_verbose = True
            self._undo.enter_context(observed(process_lines(err)))

    def log_to(self, path: Path) -> None:
        """Write everything that happens from here on into a file.

        Raises:
            UsageError: a file was given before.
            InputError: it cannot be opened.
        """
        if self.log is not None:
            raise UsageError(f"--log-file: given twice: expected one file, got {path} as well")
        self.log = EventLog(path)
        self._undo.callback(self.log.close)
        self._undo.enter_context(observed(self.log.take))
        self.log.write("run_started", {**bug_report.environment(), "process_id": os.getpid()})

    def end(self, code: int) -> int:
        """Finish the log and return the exit code: a bug in a thread turns an answer into 70."""
        if self.has_bug and code in _ANSWERS:
            code = int(Exit.BUG)
        if self.log is not None:
            duration_s = clock.monotonic() - self._began
            self.log.write("run_ended", {"exit_status": code, "duration_s": duration_s})
            if self.log.failure:
                why = f"{self.log.path}: the log is not complete: {self.log.failure}"
                say(err, f"warning: {why}", style="yellow")
        return code

    def _take_thread(self, hook: threading.ExceptHookArgs) -> None:
        if hook.exc_value is not None and not isinstance(hook.exc_value, SystemExit):
            _tell_bug(hook.exc_value, self)


def report(e: BaseException, state: Run) -> int:
    """Tell a person how the run ended, and return the exit code of that."""
    interrupt = interrupts.interrupt_in(e)
    if interrupt is not None or isinstance(e, click.Abort):
        _tell_interrupt(interrupt)
        return code_of(interrupt)
    if isinstance(e, BrokenPipeError) and _discarded():
        return int(Exit.BROKEN_PIPE)
    if isinstance(e, click.ClickException):
        report_usage(e)
        return int(Exit.USAGE)
    ours = _ours(e, state)
    if ours is None:
        _tell_bug(e, state)
        return int(Exit.BUG)
    _tell(ours)
    if state.log is not None:
        state.log.write("error", {"exception": type(ours).__name__, "message": str(ours)})
    return int(ours.exit_code)


def report_usage(e: click.ClickException) -> None:
    """Tell a person what is wrong with the command line, in the form that click gives it.

    click's own ``show`` prints what was typed as it is, file names that a shell put in among it.
    """
    message = e.format_message()
    if isinstance(e, click.exceptions.NoArgsIsHelpError):  # its message is the help text
        for line in message.split("\n"):
            say(err, line)
        return
    if isinstance(e, click.UsageError) and e.ctx is not None:
        for line in e.ctx.get_usage().split("\n"):
            say(err, line)
        say(err, f"Try '{e.ctx.command_path} {e.ctx.help_option_names[0]}' for help.")
        say(err, "")
    say(err, f"Error: {message}")


def _ours(e: BaseException, state: Run) -> HardpanError | None:
    """The error to tell a person; None where ``e`` is a bug."""
    if isinstance(e, HardpanError):
        return e
    if isinstance(e, ModuleNotFoundError):
        return missing_package(e, state.command)
    if isinstance(e, OSError) and e.errno in _DISK_FULL:
        return ResourceError(
            f"{e.filename or 'a file'}: cannot be written: {e.strerror}",
            hint="free some space, or choose other folders for outputs, caches and TMPDIR",
        )
    if isinstance(e, OSError) and e.errno in _UNUSABLE_PATH and e.filename:
        return InputError(
            f"{os.fsdecode(e.filename)}: cannot be used: {e.strerror}",
            hint="choose another path, or a user who may use this one",
        )
    return None


def code_of(interrupt: KeyboardInterrupt | None) -> int:
    """The exit code of an interrupt; without one, of the end of input at a prompt."""
    return int(Exit.TERMINATED if isinstance(interrupt, Terminated) else Exit.INTERRUPTED)


def _tell_interrupt(interrupt: KeyboardInterrupt | None) -> None:
    if err.is_terminal:
        say(err, "")  # the terminal shows ^C at the start of the line
    word = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
    say(err, f"{word}; finished stages are kept", style="yellow")


def _discarded() -> list[TextIO]:
    """The standard streams that nobody reads any more; what they hold is dropped."""
    closed = [s for s in (sys.stdout, sys.stderr) if streams.has_no_reader(s)]
    for stream in closed:
        streams.discard(stream)
    return closed


def _tell(e: HardpanError) -> None:
    if isinstance(e, SeveralError):
        for one in e.errors:
            _tell(one)
        return
    say(err, f"error: {e}", style="bold red")
    if isinstance(e, ToolError) and e.tail:
        for line in e.tail.splitlines():
            say(err, f"  | {line}")
    if e.hint:
        say(err, f"hint: {e.hint}", style="cyan")


def _tell_bug(e: BaseException, state: Run) -> None:
    state.has_bug = True
    path = bug_report.keep(e, state.log)
    where = f"the traceback is in {path}" if path else "no debug log could be written"
    text = f"error: this is a bug in hardpan: {bug_report.summary(e)}; {where}"
    say(err, text, style="bold red")


class _Handler(logging.Handler):
    """Publishes what libraries log: paramiko logs the traceback of an error that it raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """Publish the message; without a handler, Python would print it."""
        publish(Diagnostic(source=record.name, level=record.levelname, text=self.format(record)))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Publish that a message could not be formatted; logging would print a traceback."""
        text = f"message cannot be formatted: {record.msg!r}"
        publish(Diagnostic(source=record.name, level=record.levelname, text=text))


def _publish_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Publish a warning: its text may quote a value, and Python would print it."""
    text = warnings.formatwarning(message, category, filename, lineno, line)
    publish(Diagnostic(source="python", level="WARNING", text=text))


def _publish_unraisable(hook: "sys.UnraisableHookArgs") -> None:
    """Publish an exception in a destructor: it changes nothing about the run's result."""
    if hook.exc_value is not None:
        text = "".join(traceback.format_exception(hook.exc_value))
        publish(Diagnostic(source="python", level="ERROR", text=text))
