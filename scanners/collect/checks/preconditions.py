"""What a check needs on the target, and the reason and remedy where it is missing.

A check without its precondition is ``not_checked``: an absent program or right would otherwise
look like an empty answer, which several checks take for a good one.
"""

import shlex
from dataclasses import dataclass

from testinfra.backend.base import CommandResult  # type: ignore[import-untyped]
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.core.errors import UnavailableError

_FIRST_STATUS = 201
"""Exit status of the first missing precondition; the others follow."""

_TIMED_OUT = (124, 137)


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """One precondition of a query."""

    test: str
    """Shell command that succeeds where it is met."""

    reason: str
    """What is missing."""

    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A shell script whose output a check reads."""

    script: str
    needs: tuple[Precondition, ...] = ()

    @property
    def command_line(self) -> str:
        """The script after its preconditions; each missing one has its own exit status."""
        tests = (
            f"{{ {p.test}; }} >/dev/null 2>&1 || exit {_FIRST_STATUS + n}; "
            for n, p in enumerate(self.needs)
        )
        return "".join(tests) + self.script


def ask(target: Host, query: Query) -> CommandResult:
    """Return the answer of the target.

    Raises:
        UnavailableError: a precondition is missing, or the time limit ended the script.
        ToolError: the answer cannot be read.
    """
    answer = target.run(query.command_line)
    number = answer.rc - _FIRST_STATUS
    if 0 <= number < len(query.needs):
        missing = query.needs[number]
        raise UnavailableError([missing.reason], "", hint=missing.remedy)
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


def program(name: str, package: str = "") -> Precondition:
    """Return the precondition that a program is installed."""
    return Precondition(
        test=f"command -v {shlex.quote(name)}",
        reason=f"{name} is not installed",
        remedy=f"install {package or name}",
    )


def path(name: str, subject: str) -> Precondition:
    """Return the precondition that a file or folder exists; ``subject`` is what it belongs to."""
    return Precondition(
        test=f"[ -e {shlex.quote(name)} ]",
        reason=f"there is no {name}",
        remedy=f"the check is for hosts with {subject}",
    )


ROOT = Precondition(
    test='[ "$(id -u)" = 0 ]',
    reason="the scan has no root rights",
    remedy="log in as root, or as a user with sudo rights",
)
SYSTEMD = Precondition(
    test="[ -d /run/systemd/system ]",
    reason="systemd does not run on the target",
    remedy="the check is for hosts that systemd booted",
)
SHADOW = Precondition(
    test="getent shadow root",
    reason="getent cannot read the shadow database",
    remedy="the check needs getent and root rights",
)
HOST_KEYS = Precondition(
    test="ls /etc/ssh/ssh_host_*_key",
    reason="there is no host key in /etc/ssh",
    remedy="the check is for hosts with OpenSSH",
)
