"""Every error that hardpan raises on purpose, with its exit code.

::

    HardpanError            70  never raised itself
    ├── UsageError           2  the command line is wrong
    ├── InputError           3  a file or value that the user wrote is wrong
    ├── ToolError            4  an external tool is missing, failed or hung
    │   ├── UnavailableError 4  a target lacks what a part of the work needs
    │   └── ResourceError    4  this machine lacks disk, memory, a port or a package
    ├── UnreachableError     5  a target does not respond
    ├── TrustError           6  a key, digest or signature is not the expected one
    └── AggregateError            two or more of them, reported together; exit code of the first

Exit code 1 is not an error: it means "there are findings". Any other exception is a bug and ends
with 70.
"""

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of hardpan's commands."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INPUT = 3
    TOOL = 4
    UNREACHABLE = 5
    TRUST = 6
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """The reader of stdout is gone: what a shell reports for a program that SIGPIPE ended.

    Not 0: an undelivered result must not pass for "done and compliant".
    """
    TERMINATED = 143


class TerminationInterrupt(KeyboardInterrupt):
    """SIGTERM: handled like Ctrl-C, so that the same cleanup runs."""


class HardpanError(Exception):
    """``OBJECT: PROBLEM: expected X, got Y``; ``hint`` is the next step."""

    exit_code: Exit = Exit.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HardpanError):
    """The command line is invalid."""

    exit_code = Exit.USAGE


class InputError(HardpanError):
    """A file or value that the user wrote is invalid; nothing was done."""

    exit_code = Exit.INPUT


class ToolError(HardpanError):
    """An external program is missing, failed, or exceeded its time limit.

    ``argv`` is already redacted; ``output_tail`` holds the last lines of its output.
    """

    exit_code = Exit.TOOL

    def __init__(
        self, argv: Sequence[str], problem: str, *, output_tail: str = "", hint: str = ""
    ) -> None:
        super().__init__(f"{argv[0]} {problem}", hint=hint)
        self.argv = tuple(argv)
        self.output_tail = output_tail


class UnavailableError(ToolError):
    """A target lacks a program, a right or time that a part of the work needs.

    ``hint`` is the remedy. A scan records the part as ``not_checked`` and delivers the others; an
    answer that is broken or hostile is another ``ToolError``.
    """


class ResourceError(ToolError):
    """This machine lacks disk, memory, a port or a Python package that the work needs."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        HardpanError.__init__(self, message, hint=hint)
        self.argv = ()
        self.output_tail = ""


class UnreachableError(HardpanError):
    """A target refused the connection, does not respond, or closed it."""

    exit_code = Exit.UNREACHABLE


class TrustError(HardpanError):
    """A key, digest or signature is not the expected one."""

    exit_code = Exit.TRUST


class AggregateError(HardpanError):
    """Several errors, reported together; its exit code is that of the first."""

    def __init__(self, errors: Sequence[HardpanError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
        self.exit_code = errors[0].exit_code


def raise_if_any(errors: Sequence[HardpanError]) -> None:
    """Raise ``errors``: a single one as it is, several as an ``AggregateError``.

    Raises:
        HardpanError: there is at least one.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise AggregateError(errors)
