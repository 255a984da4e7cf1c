"""What a script needs on the target, and the reason and remedy where it is missing.

A part or check without its precondition is ``not_checked``: an absent program or right would
otherwise look like an empty answer, which several checks take for a good one.
"""

import shlex
from dataclasses import dataclass

from hardpan.core.errors import UnavailableError

_FIRST_STATUS = 201
"""Exit status of the first missing precondition; the others follow."""


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
    """A shell script and its preconditions."""

    script: str
    needs: tuple[Precondition, ...] = ()

    @property
    def command_line(self) -> str:
        """The script after its preconditions; each missing one has its own exit status."""
        tests = (
            f"{{ {p.test}; }} </dev/null >/dev/null 2>&1 || exit {_FIRST_STATUS + n}; "
            for n, p in enumerate(self.needs)
        )
        return "".join(tests) + self.script

    @property
    def missing_statuses(self) -> tuple[int, ...]:
        """Exit statuses of the preconditions."""
        return tuple(range(_FIRST_STATUS, _FIRST_STATUS + len(self.needs)))

    def require_met(self, exit_status: int) -> None:
        """Pass if ``exit_status`` is not the one of a missing precondition.

        Raises:
            UnavailableError: it is.
        """
        if exit_status in self.missing_statuses:
            missing = self.needs[exit_status - _FIRST_STATUS]
            raise UnavailableError([missing.reason], "", hint=missing.remedy)


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


def python(name: str) -> Precondition:
    """Return the precondition that ``name`` is a Python 3.9 or newer."""
    code = "import sys; sys.exit(sys.version_info < (3, 9))"
    return Precondition(
        test=f"{shlex.quote(name)} -I -c {shlex.quote(code)}",
        reason=f"there is no Python 3.9 or newer at {name}",
        remedy="install python3",
    )


RPM_DATABASE_TEST = """[ -d "$(rpm --eval '%{_dbpath}' 2>/dev/null)" ]"""
"""Succeeds where rpm has a database. Debian's rpm creates one in ``$HOME`` at the first query."""

RPM_DATABASE = Precondition(
    test=RPM_DATABASE_TEST,
    reason="rpm has no database there",
    remedy="the check is for systems that are installed from RPM packages",
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
