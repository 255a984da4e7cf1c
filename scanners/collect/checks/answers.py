"""Ask a target a query of the checks."""

from collections.abc import Callable

from testinfra.backend.base import CommandResult  # type: ignore[import-untyped]
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.core.errors import UnavailableError
from hardpan.scanners.collect.preconditions import Query

Observe = Callable[[str], None]
"""Fixture ``observe``: records what the target reported, on one line."""

_TIMED_OUT = (124, 137)


def ask(target: Host, query: Query) -> CommandResult:
    """Return the answer of the target.

    Raises:
        UnavailableError: a precondition is missing, or the time limit ended the script.
        ToolError: the answer cannot be read.
    """
    answer = target.run(query.command_line)
    query.require_met(answer.rc)
    if answer.rc in _TIMED_OUT:
        raise UnavailableError(
            ["the command"], "exceeded its time limit", hint="scan when the target has less load"
        )
    return answer


def read_output(target: Host, query: Query) -> str:
    """Return the output of a script that must succeed.

    Raises:
        AssertionError: it did not.
        UnavailableError, ToolError: as ``ask`` does.
    """
    answer = ask(target, query)
    assert answer.rc == 0, f"the command exited with {answer.rc}"  # noqa: S101 - a check's verdict
    return str(answer.stdout)
