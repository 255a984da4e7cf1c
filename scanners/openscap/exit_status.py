"""What an exit status of oscap means for the results of its part.

oscap(8) lists 0, 1 and 2; a shell reports a process that a signal ended as 128 plus its number.
"""

import re
import signal
from dataclasses import dataclass

from hardpan.scanners.openscap.arf.state import sanitize_line

_STATUS = re.compile(rb"([0-9]{1,3})\n?")
_EVALUATED = (0, 2)
"""Every rule passed; a rule did not pass, or ended in an error."""

_MAX_STDERR_LINES = 4
_MAX_STDERR_BYTES = 4096
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS")
_MEANINGS = {
    1: "failed",
    124: "did not end within the time limit",
    126: "cannot be executed",
    127: "was not found",
}
_REMEDIES = {
    124: "scan again when the target has less load and its network file systems respond",
    128 + signal.SIGKILL: "the log of the target's kernel shows if it lacks memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OscapFailure:
    """Why oscap evaluated nothing."""

    reason: str
    is_due_to_content: bool
    """True if other content may be evaluated: oscap refused this one or crashed on it."""


def find_failure(status_file: bytes | None, stderr: bytes) -> OscapFailure | None:
    """Return why a part has no results, or None if oscap evaluated it.

    ``status_file`` is the exit status as the target's shell wrote it; None if it wrote none.
    """
    match = _STATUS.fullmatch(status_file or b"")
    if match is None:
        return OscapFailure(
            reason="oscap left no exit status: it was killed", is_due_to_content=False
        )
    status = int(match[1])
    if status in _EVALUATED:
        return None
    reason = f"oscap {_describe_status(status)}{_format_stderr(stderr)}"
    if status in _REMEDIES:
        reason += f"; {_REMEDIES[status]}"
    return OscapFailure(
        reason=reason,
        is_due_to_content=status == 1 or _name_signal(status) in _CRASHES,
    )


def _describe_status(status: int) -> str:
    name = _name_signal(status)
    if name in _CRASHES:
        return f"crashed with {name}"
    if name:
        return f"was killed with {name}"
    return _MEANINGS.get(status, f"ended with the unknown exit status {status}")


def _name_signal(status: int) -> str:
    """Return the name of the signal that ended a process; empty if none did."""
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return ""


def _format_stderr(stderr: bytes) -> str:
    text = stderr[-_MAX_STDERR_BYTES:].decode("utf-8", "replace")
    lines = [sanitize_line(line) for line in text.splitlines() if line.strip()]
    return f": {' / '.join(lines[-_MAX_STDERR_LINES:])}" if lines else ""
