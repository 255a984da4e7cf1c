import pytest

from hardpan.ssh.sudo import BecomeDialogue, BecomeFailure, explain_failure

SECRET = "hunter2 $(x)"


def prompt_of(sudo: BecomeDialogue, user: str = "me") -> bytes:
    return f"{sudo.prompt}{user}:".encode()


def test_password_is_not_in_the_argv() -> None:
    sudo = BecomeDialogue("sudo", SECRET)

    assert SECRET not in " ".join(sudo.argv())
    assert sudo.argv() == ["sudo", "-S", "-p", f"{sudo.prompt}%p:", "--"]


def test_programs_are_non_interactive_without_password() -> None:
    assert BecomeDialogue("sudo").argv() == ["sudo", "-n", "--"]
    assert BecomeDialogue("doas").argv() == ["doas", "-n"]


def test_password_is_sent_only_after_the_prompt() -> None:
    sudo = BecomeDialogue("sudo", SECRET)
    text = b"a lecture\n"

    assert sudo.answer(text, is_idle=False) == b""
    text += prompt_of(sudo)
    assert sudo.answer(text, is_idle=False) == SECRET.encode() + b"\n"
    assert sudo.answer(text, is_idle=True) == b""
    assert (sudo.prompt_count, sudo.has_failed()) == (1, False)


def test_prompt_split_over_two_reads_is_recognized() -> None:
    sudo = BecomeDialogue("sudo", SECRET)
    text = prompt_of(sudo)

    assert sudo.answer(text[:9], is_idle=False) == b""
    assert sudo.answer(text, is_idle=False) == SECRET.encode() + b"\n"


def test_prompt_of_a_pam_module_is_answered_when_idle() -> None:
    sudo = BecomeDialogue("sudo", SECRET)

    assert sudo.answer(b"Passwort: ", is_idle=False) == b""
    assert sudo.answer(b"Passwort: ", is_idle=True) == SECRET.encode() + b"\n"


def test_password_is_not_sent_to_a_prompt_for_a_code() -> None:
    sudo = BecomeDialogue("sudo", SECRET)

    assert sudo.answer(b"Verification code: ", is_idle=True) == b""
    assert sudo.failure(b"") is BecomeFailure.VERIFICATION_CODE


def test_second_prompt_means_incorrect_password() -> None:
    sudo = BecomeDialogue("sudo", SECRET)
    text = prompt_of(sudo, "root")
    sudo.answer(text, is_idle=False)
    text += b"\nSorry, try again.\n" + prompt_of(sudo, "root")
    sudo.answer(text, is_idle=False)

    assert sudo.has_failed()
    assert sudo.failure(text) is BecomeFailure.CREDENTIAL_INCORRECT
    assert sudo.output(text) == "Sorry, try again."
    reason, hint = explain_failure(sudo.failure(text), sudo, "me")
    assert reason == "sudo refused the password: it asks for the password of root"
    assert hint.startswith("type the password of root")


def test_doas_prompt_on_the_terminal_is_answered() -> None:
    doas = BecomeDialogue("doas", SECRET)

    assert doas.argv() == ["doas"]
    assert doas.answer(b"doas (me@host) password: ", is_idle=False) == SECRET.encode() + b"\n"


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        ("sudo: a password is required", BecomeFailure.CREDENTIAL_REQUIRED),
        ("sudo: sorry, you must have a tty to run sudo", BecomeFailure.NO_TERMINAL),
        ("me is not in the sudoers file.", BecomeFailure.NO_RIGHTS),
        ("Sorry, user me is not allowed to execute '/bin/sh' as root", BecomeFailure.NO_RIGHTS),
        ("env: 'sudo': No such file or directory", BecomeFailure.NOT_INSTALLED),
        ("sh: 1: sudo: not found", BecomeFailure.NOT_INSTALLED),
        ("doas: Authentication required", BecomeFailure.CREDENTIAL_REQUIRED),
        ("doas: Operation not permitted", BecomeFailure.NO_RIGHTS),
        ("boom", BecomeFailure.OTHER),
    ],
)
def test_failure_is_recognized_in_the_output(output: str, failure: BecomeFailure) -> None:
    sudo = BecomeDialogue("sudo")

    assert sudo.failure(output.encode() + b"\n") is failure
    reason, hint = explain_failure(failure, sudo, "me")
    assert reason.startswith("sudo")
    assert hint
