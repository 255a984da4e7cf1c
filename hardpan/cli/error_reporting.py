"""The end of a run: what is printed and logged for an error, and its exit code.

Every exception ends in ``report_error``, and ``RunContext`` intercepts everything that Python or a
library would write to stderr by itself.
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

from hardpan.core import bug_report, clock, interrupts, streams
from hardpan.core.console import print_message, process_line_printer, stderr
from hardpan.core.errors import (
    AggregateError,
    Exit,
    HardpanError,
    InputError,
    ResourceError,
    TerminationInterrupt,
    ToolError,
    UsageError,
)
from hardpan.core.event_log import EventLog
from hardpan.core.events import Diagnostic, observe, publish
from hardpan.core.extras import missing_extra_error

_RESULT_CODES = (Exit.OK, Exit.FINDINGS)
_STAGED_COMMANDS = ("build", "prove")
"""Commands that store the results of completed stages."""

_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE_PATH_ERRNOS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
"""Errors of a path that a user chose: an input error, not a bug."""


class RunContext:
    """One command line from start to end: its observers, its log and whether a bug occurred."""

    def __init__(self) -> None:
        self.command = ""
        """The command's name, once it is known."""
        self.event_log: EventLog | None = None
        self.has_bug = False
        """True also if a thread ended with an unhandled exception."""
        self._is_verbose = False
        self._start_s = clock.monotonic_s()
        self._exit_stack = ExitStack()

    def __enter__(self) -> "RunContext":
        for module, name, hook_function in (
            (threading, "excepthook", self._report_thread_exception),
            (sys, "unraisablehook", _publish_unraisable),
        ):
            self._exit_stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, hook_function)
        self._exit_stack.callback(setattr, warnings, "showwarning", warnings.showwarning)
        warnings.showwarning = _publish_warning
        handler = _DiagnosticHandler(logging.WARNING)
        logging.getLogger().addHandler(handler)
        self._exit_stack.callback(logging.getLogger().removeHandler, handler)
        return self

    def __exit__(self, *_: object) -> None:
        self._exit_stack.close()

    def enable_verbose(self) -> None:
        """Print processes from now on."""
        if not self._is_verbose:
            self._is_verbose = True
            self._exit_stack.enter_context(observe(process_line_printer(stderr)))

    def open_log_file(self, path: Path) -> None:
        """Write all further events to a file.

        Raises:
            UsageError: a log file is open already.
            InputError: it cannot be opened.
        """
        if self.event_log is not None:
            raise UsageError(f"--log-file: given twice: expected one file, got {path} as well")
        self.event_log = EventLog(path)
        self._exit_stack.callback(self.event_log.close)
        self._exit_stack.enter_context(observe(self.event_log.write_record))
        self.event_log.write(
            "run_started", {**bug_report.describe_environment(), "process_id": os.getpid()}
        )

    def finish(self, exit_code: int) -> int:
        """Finish the log and return the exit code: a bug in a thread turns a result into 70."""
        if self.has_bug and exit_code in _RESULT_CODES:
            exit_code = int(Exit.BUG)
        if self.event_log is not None:
            duration_s = clock.monotonic_s() - self._start_s
            self.event_log.write("run_ended", {"exit_status": exit_code, "duration_s": duration_s})
            if self.event_log.failure:
                message = f"{self.event_log.path}: the log is incomplete: {self.event_log.failure}"
                print_message(stderr, f"warning: {message}", style="yellow")
        return exit_code

    def _report_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            _report_bug(args.exc_value, self)


def report_error(error: BaseException, context: RunContext) -> int:
    """Print how the run ended and return its exit code."""
    interrupt = interrupts.find_interrupt(error)
    if interrupt is not None or isinstance(error, click.Abort):
        _print_interrupt(interrupt, context.command)
        return interrupt_exit_code(interrupt)
    if isinstance(error, BrokenPipeError) and _discard_closed_streams():
        return int(Exit.BROKEN_PIPE)
    if isinstance(error, click.ClickException):
        report_usage_error(error)
        return int(Exit.USAGE)
    hardpan_error = _to_hardpan_error(error, context)
    if hardpan_error is None:
        _report_bug(error, context)
        return int(Exit.BUG)
    _print_error(hardpan_error)
    if context.event_log is not None:
        context.event_log.write(
            "error", {"exception": type(hardpan_error).__name__, "message": str(hardpan_error)}
        )
    return int(hardpan_error.exit_code)


def report_usage_error(error: click.ClickException) -> None:
    """Print what is wrong with the command line, in click's form.

    click's own ``show`` prints arguments unescaped, file names expanded by a shell included.
    """
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the help text
        for line in message.split("\n"):
            print_message(stderr, line)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().split("\n"):
            print_message(stderr, line)
        print_message(
            stderr, f"Try '{error.ctx.command_path} {error.ctx.help_option_names[0]}' for help."
        )
        print_message(stderr, "")
    print_message(stderr, f"Error: {message}")


def _to_hardpan_error(error: BaseException, context: RunContext) -> HardpanError | None:
    """Return the error to print; None if ``error`` is a bug."""
    if isinstance(error, HardpanError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing_extra_error(error, context.command)
    if isinstance(error, OSError) and error.errno in _DISK_FULL_ERRNOS:
        return ResourceError(
            f"{error.filename or 'a file'}: cannot be written: {error.strerror}",
            hint="free some space, or choose other folders for outputs, caches and TMPDIR",
        )
    if isinstance(error, OSError) and error.errno in _UNUSABLE_PATH_ERRNOS and error.filename:
        return InputError(
            f"{os.fsdecode(error.filename)}: cannot be used: {error.strerror}",
            hint="choose another path, or run as a user with access to this path",
        )
    return None


def interrupt_exit_code(interrupt: KeyboardInterrupt | None) -> int:
    """Return the exit code of an interrupt, or of the end of input at a prompt (None)."""
    return int(Exit.TERMINATED if isinstance(interrupt, TerminationInterrupt) else Exit.INTERRUPTED)


def _print_interrupt(interrupt: KeyboardInterrupt | None, command: str) -> None:
    if stderr.is_terminal:
        print_message(stderr, "")  # the terminal shows ^C at the start of the line
    outcome = "terminated" if isinstance(interrupt, TerminationInterrupt) else "interrupted"
    reuse = "; completed stages will be reused" if command in _STAGED_COMMANDS else ""
    print_message(stderr, f"{outcome}{reuse}", style="yellow")


def _discard_closed_streams() -> list[TextIO]:
    """Return the standard streams whose reader is gone, after discarding what they hold."""
    closed_streams = [s for s in (sys.stdout, sys.stderr) if streams.has_no_reader(s)]
    for stream in closed_streams:
        streams.redirect_to_null(stream)
    return closed_streams


def _print_error(error: HardpanError) -> None:
    if isinstance(error, AggregateError):
        for member in error.errors:
            _print_error(member)
        return
    print_message(stderr, f"error: {error}", style="bold red")
    if isinstance(error, ToolError) and error.output_tail:
        for line in error.output_tail.splitlines():
            print_message(stderr, f"  | {line}")
    if error.hint:
        print_message(stderr, f"hint: {error.hint}", style="cyan")


def _report_bug(error: BaseException, context: RunContext) -> None:
    context.has_bug = True
    path = bug_report.write_bug_report(error, context.event_log)
    location = f"the traceback is in {path}" if path else "no debug log could be written"
    text = f"error: this is a bug in hardpan: {bug_report.summarize(error)}; {location}"
    print_message(stderr, text, style="bold red")


class _DiagnosticHandler(logging.Handler):
    """Publish what libraries log: paramiko logs the traceback of an error that it raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """Publish the message; without a handler, Python would print it."""
        publish(Diagnostic(source=record.name, level=record.levelname, text=self.format(record)))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Publish that a message cannot be formatted; logging would print a traceback."""
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


def _publish_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Publish an exception in a destructor: it changes nothing about the run's result."""
    if args.exc_value is not None:
        text = "".join(traceback.format_exception(args.exc_value))
        publish(Diagnostic(source="python", level="ERROR", text=text))
