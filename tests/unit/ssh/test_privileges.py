import pytest

from hardpan.ssh.privileges import (
    Attempt,
    BecomeMethod,
    LoginFacts,
    Privileges,
    detect_privileges,
    parse_facts,
)
from hardpan.ssh.sudo import BecomeDialogue, BecomeFailure

BOTH = frozenset({"sudo", "doas"})


def facts(*, is_root: bool = False, is_admin: bool = False) -> LoginFacts:
    return LoginFacts(is_root=is_root, is_admin=is_admin, programs=BOTH)


class Host:
    """Answers attempts from a table, and records them."""

    def __init__(self, outcomes: dict[tuple[str, bool], BecomeFailure | None]) -> None:
        self.outcomes = outcomes
        self.attempts: list[tuple[str, bool]] = []

    def attempt(self, become: BecomeDialogue, has_terminal: bool) -> Attempt:
        self.attempts.append((become.program, has_terminal))
        failure = self.outcomes[become.program, has_terminal]
        return Attempt(
            program=become.program,
            failure=failure,
            reason=f"{become.program}: {failure}",
            hint="next",
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uid 0\ngroups root\n", LoginFacts(is_root=True, is_admin=True, programs=frozenset())),
        (
            "uid 1000\ngroups me wheel\nprogram sudo\nprogram doas\n",
            LoginFacts(is_root=False, is_admin=True, programs=BOTH),
        ),
        (
            "uid\nuid 0 1\nprogram rm\n\x00",
            LoginFacts(is_root=False, is_admin=False, programs=frozenset()),
        ),
    ],
)
def test_facts_are_parsed(text: str, expected: LoginFacts) -> None:
    assert parse_facts(text) == expected


def test_root_login_needs_no_program() -> None:
    result = detect_privileges(facts(is_root=True), "", Host({}).attempt)

    assert result == Privileges(method=BecomeMethod.ROOT)


def test_sudo_gets_a_terminal_only_on_demand() -> None:
    host = Host({("sudo", False): BecomeFailure.NO_TERMINAL, ("sudo", True): None})

    result = detect_privileges(facts(), "pw", host.attempt)

    assert result == Privileges(method=BecomeMethod.SUDO, needs_terminal=True)
    assert host.attempts == [("sudo", False), ("sudo", True)]


def test_doas_is_used_if_sudo_gives_no_right() -> None:
    host = Host({("sudo", False): BecomeFailure.NO_RIGHTS, ("doas", True): None})

    result = detect_privileges(facts(), "pw", host.attempt)

    assert result == Privileges(method=BecomeMethod.DOAS, needs_terminal=True)


@pytest.mark.parametrize(
    ("failure", "password", "is_admin"),
    [
        (BecomeFailure.CREDENTIAL_INCORRECT, "pw", False),
        (BecomeFailure.NO_RIGHTS, "pw", False),
        (BecomeFailure.CREDENTIAL_REQUIRED, "", True),
        (BecomeFailure.NOEXEC, "", False),
        (BecomeFailure.OTHER, "", False),
    ],
)
def test_failure_that_the_user_can_correct_is_an_error(
    failure: BecomeFailure, password: str, is_admin: bool
) -> None:
    no_doas = {("doas", x): BecomeFailure.NO_RIGHTS for x in (False, True)}
    host = Host({("sudo", False): failure, **no_doas})

    result = detect_privileges(facts(is_admin=is_admin), password, host.attempt)

    assert isinstance(result, Attempt)
    assert result.failure is failure


@pytest.mark.parametrize("failure", [BecomeFailure.NO_RIGHTS, BecomeFailure.CREDENTIAL_REQUIRED])
def test_login_without_rights_is_unprivileged_with_the_reason(failure: BecomeFailure) -> None:
    host = Host({("sudo", False): failure, ("doas", False): BecomeFailure.NO_RIGHTS})

    result = detect_privileges(facts(), "", host.attempt)

    assert isinstance(result, Privileges)
    assert (result.method, result.is_privileged) == (BecomeMethod.NONE, False)
    assert result.reason == f"sudo: {failure}"
    assert result.hint == "next"
