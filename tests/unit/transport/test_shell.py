import shlex

from hardpan.scanners.shell import Sudo, body, line

SECRET = "hunter2 $(x)"


def test_every_word_of_an_argv_is_quoted() -> None:
    argv = ["echo", "a b", "$(reboot)", "it's", "-n"]

    assert shlex.split(body(argv)) == argv


def test_every_command_ends_on_the_target_too() -> None:
    words = shlex.split(line("sleep 9", timeout_s=3))

    assert words[words.index("timeout") :] == ["timeout", "-k", "5", "3.0", "sh", "-c", "sleep 9"]


def test_the_password_is_in_no_command_line() -> None:
    sudo = Sudo(SECRET)

    assert SECRET not in line(["id"], timeout_s=3, sudo=sudo)
    assert f"-S -p {sudo.prompt}" in line(["id"], timeout_s=3, sudo=sudo)


def test_without_a_password_sudo_may_not_ask() -> None:
    assert "sudo -n --" in line(["id"], timeout_s=3, sudo=Sudo())


def test_the_password_is_given_when_sudo_asks_and_not_before() -> None:
    sudo = Sudo(SECRET)

    assert sudo.hear(b"a lecture\n") == (b"", b"")
    assert sudo.hear(sudo.prompt.encode()) == (SECRET.encode() + b"\n", b"")
    assert sudo.hear(f"{sudo.ready}\nwarning\n".encode()) == (b"", b"warning\n")
    assert sudo.hear(sudo.prompt.encode()) == (b"", sudo.prompt.encode())


def test_a_prompt_that_comes_in_two_pieces_is_heard() -> None:
    sudo = Sudo(SECRET)
    text = sudo.prompt.encode()

    assert sudo.hear(text[:9]) == (b"", b"")
    assert sudo.hear(text[9:])[0] == SECRET.encode() + b"\n"


def test_a_cached_credential_keeps_the_password_out_of_the_commands_input() -> None:
    sudo = Sudo(SECRET)

    assert sudo.hear(f"{sudo.ready}\n".encode()) == (b"", b"")
    assert sudo.begun


def test_a_second_question_means_a_wrong_password() -> None:
    sudo = Sudo(SECRET)
    sudo.hear(sudo.prompt.encode())
    sudo.hear(b"Sorry, try again.\n" + sudo.prompt.encode())

    assert sudo.asked == 2
    assert sudo.refusal()[0] == "sudo did not take the password"


def test_a_refusal_is_explained() -> None:
    for said, meaning in {
        "sudo: a password is required": "asks for a password",
        "sudo: sorry, you must have a tty to run sudo": "insists on a terminal",
        "me is not in the sudoers file.": "does not know this user",
        "env: sudo: not found\nsudo: not found": "not installed",
        "boom": "sudo refused",
    }.items():
        sudo = Sudo()
        sudo.hear(said.encode() + b"\n")

        assert meaning in sudo.refusal()[0]
