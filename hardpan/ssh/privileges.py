"""How commands get root on a target: tried once for a connection, then reused."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hardpan.ssh.sudo import BecomeDialogue, BecomeFailure

_ADMIN_GROUPS = frozenset({"admin", "root", "sudo", "wheel"})


class BecomeMethod(StrEnum):
    """The way to root."""

    ROOT = "root login"
    SUDO = "sudo"
    DOAS = "doas"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """What a connection may do."""

    method: BecomeMethod
    needs_terminal: bool = False
    reason: str = ""
    """Why there is no way to root."""

    hint: str = ""

    @property
    def is_privileged(self) -> bool:
        """Whether commands run as root."""
        return self.method is not BecomeMethod.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The outcome of one attempt to run a command as root."""

    program: str
    failure: BecomeFailure | None
    """None: it ran."""

    reason: str = ""
    hint: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFacts:
    """What the login itself can do."""

    is_root: bool
    is_admin: bool
    """Whether it is in a group that usually may use sudo."""

    programs: frozenset[str]
    """``sudo`` and ``doas``, if installed."""


FACTS_SCRIPT = """\
echo "uid $(id -u)"
echo "groups $(id -Gn)"
for p in sudo doas; do command -v $p >/dev/null 2>&1 && echo "program $p"; done
true"""

TryMethod = Callable[[BecomeDialogue, bool], Attempt]
"""Tries to run a command as root, without or with a terminal."""


def parse_facts(text: str) -> LoginFacts:
    """Parse the output of ``FACTS_SCRIPT``; hostile text gives no rights."""
    lines = [line.split() for line in text.splitlines()]
    values = {line[0]: line[1:] for line in lines if line and line[0] in ("uid", "groups")}
    programs = {line[1] for line in lines if len(line) == 2 and line[0] == "program"}
    return LoginFacts(
        is_root=values.get("uid") == ["0"],
        is_admin=not _ADMIN_GROUPS.isdisjoint(values.get("groups", ())),
        programs=frozenset(programs & {"sudo", "doas"}),
    )


def detect_privileges(facts: LoginFacts, password: str, attempt: TryMethod) -> Privileges | Attempt:
    """Return the first method that works, or none with the reason.

    An ``Attempt`` is the failure that the user must correct: a password is wrong or missing, or
    sudo cannot run programs. Without any right the scan runs with those of the login.
    """
    if facts.is_root:
        return Privileges(method=BecomeMethod.ROOT)
    failures: list[Attempt] = []
    for method in (BecomeMethod.SUDO, BecomeMethod.DOAS):
        if method not in facts.programs:
            continue
        result = _try_method(method, password, attempt)
        if isinstance(result, Privileges):
            return result
        failures.append(result)
    fatal = [f for f in failures if _is_fatal(f, facts, password)]
    if fatal:
        return fatal[0]
    if not failures:
        reason = "neither sudo nor doas is installed there"
        return Privileges(
            method=BecomeMethod.NONE, reason=reason, hint="log in as root, or install sudo"
        )
    return Privileges(method=BecomeMethod.NONE, reason=failures[0].reason, hint=failures[0].hint)


def _try_method(method: BecomeMethod, password: str, attempt: TryMethod) -> Privileges | Attempt:
    # doas reads a password from a terminal only.
    needs_terminal = method is BecomeMethod.DOAS and bool(password)
    result = attempt(BecomeDialogue(method.value, password), needs_terminal)
    if result.failure is BecomeFailure.NO_TERMINAL and not needs_terminal:
        needs_terminal = True
        result = attempt(BecomeDialogue(method.value, password), True)
    if result.failure is None:
        return Privileges(method=method, needs_terminal=needs_terminal)
    return result


def _is_fatal(result: Attempt, facts: LoginFacts, password: str) -> bool:
    if result.failure is BecomeFailure.CREDENTIAL_REQUIRED and not password:
        return facts.is_admin
    return bool(password) or result.failure not in (
        BecomeFailure.NO_RIGHTS,
        BecomeFailure.NOT_INSTALLED,
        BecomeFailure.CREDENTIAL_REQUIRED,
    )
