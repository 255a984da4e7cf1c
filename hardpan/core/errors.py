"""Every error hardpan raises on purpose, and the exit code each one ends with.

::

    HardpanError            70  never raised itself
    ├── UsageError           2  the command line is wrong
    ├── InputError           3  a file or value that a person wrote is wrong
    ├── ToolError            4  an external tool is missing, failed or hung
    │   └── ResourceError    4  this machine lacks disk, memory, a port or a package
    ├── UnreachableError     5  a target does not answer
    ├── TrustError           6  a key, digest or signature is not what was expected
    └── AggregateError            two or more of them, told at once; the first one's code

Exit code 1 is not an error: it is the answer "there are findings". What is not a ``HardpanError``
is a bug, and ends with 70.
"""

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """What a hardpan command's exit code means."""

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
    """As the shell shows a program that SIGPIPE ended: the reader of stdout is gone.

    Not 0: an answer that nobody got must not pass for "done and compliant".
    """
    TERMINATED = 143


class TerminationInterrupt(KeyboardInterrupt):
    """SIGTERM came. Whatever cleans up after Ctrl-C cleans up after it, too."""


class HardpanError(Exception):
    """What went wrong, where, and what was expected; ``hint`` is the next step."""

    exit_code: Exit = Exit.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HardpanError):
    """The command line cannot be carried out as typed."""

    exit_code = Exit.USAGE


class InputError(HardpanError):
    """A file or value that a person wrote is wrong; nothing was done."""

    exit_code = Exit.INPUT


class ToolError(HardpanError):
    """An external program is missing, failed, or ran past its time limit.

    ``argv`` is already redacted; ``tail`` holds the last lines of what it said.
    """

    exit_code = Exit.TOOL

    def __init__(
        self, argv: Sequence[str], problem: str, *, output_tail: str = "", hint: str = ""
    ) -> None:
        super().__init__(f"{argv[0]} {problem}", hint=hint)
        self.argv = tuple(argv)
        self.output_tail = output_tail


class ResourceError(ToolError):
    """This machine lacks disk, memory, a port or a Python package that the work needs."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        HardpanError.__init__(self, message, hint=hint)
        self.argv = ()
        self.output_tail = ""


class UnreachableError(HardpanError):
    """A target refused the connection, does not answer, or hung up."""

    exit_code = Exit.UNREACHABLE


class TrustError(HardpanError):
    """A key, digest or signature is not the one that was expected."""

    exit_code = Exit.TRUST


class AggregateError(HardpanError):
    """More than one thing stands in the way; ends with the exit code of the first."""

    def __init__(self, errors: Sequence[HardpanError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
        self.exit_code = errors[0].exit_code


def raise_if_any(errors: Sequence[HardpanError]) -> None:
    """Pass if there is none; one is raised as it is.

    Raises:
        HardpanError: all of them.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise AggregateError(errors)
