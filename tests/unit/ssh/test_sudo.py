import shlex

from hardpan.ssh.sudo import SudoSession, build_command_line, to_shell_command

SECRET = "hunter2 $(x)"


def test_every_word_of_an_argv_is_quoted() -> None:
    argv = ["echo", "a b", "$(reboot)", "it's", "-n"]

    assert shlex.split(to_shell_command(argv)) == argv


def test_command_has_a_timeout_on_the_target() -> None:
    argv = shlex.split(build_command_line("sleep 9", timeout_s=3))

    assert argv[argv.index("timeout") :] == ["timeout", "-k", "5", "3.0", "sh", "-c", "sleep 9"]


def test_password_is_not_in_the_command_line() -> None:
    sudo = SudoSession(SECRET)

    assert SECRET not in build_command_line(["id"], timeout_s=3, sudo=sudo)
    assert f"-S -p {sudo.prompt}" in build_command_line(["id"], timeout_s=3, sudo=sudo)


def test_sudo_is_non_interactive_without_password() -> None:
    assert "sudo -n --" in build_command_line(["id"], timeout_s=3, sudo=SudoSession())


def test_password_is_sent_only_after_the_prompt() -> None:
    sudo = SudoSession(SECRET)

    assert sudo.feed(b"a lecture\n") == (b"", b"")
    assert sudo.feed(sudo.prompt.encode()) == (SECRET.encode() + b"\n", b"")
    assert sudo.feed(f"{sudo.start_marker}\nwarning\n".encode()) == (b"", b"warning\n")
    assert sudo.feed(sudo.prompt.encode()) == (b"", sudo.prompt.encode())


def test_prompt_split_over_two_reads_is_recognized() -> None:
    sudo = SudoSession(SECRET)
    text = sudo.prompt.encode()

    assert sudo.feed(text[:9]) == (b"", b"")
    assert sudo.feed(text[9:])[0] == SECRET.encode() + b"\n"


def test_password_is_not_sent_with_cached_credential() -> None:
    sudo = SudoSession(SECRET)

    assert sudo.feed(f"{sudo.start_marker}\n".encode()) == (b"", b"")
    assert sudo.has_started


def test_second_prompt_means_incorrect_password() -> None:
    sudo = SudoSession(SECRET)
    sudo.feed(sudo.prompt.encode())
    sudo.feed(b"Sorry, try again.\n" + sudo.prompt.encode())

    assert sudo.prompt_count == 2
    assert sudo.failure_reason()[0] == "sudo did not take the password"


def test_failure_reason_explains_sudo_output() -> None:
    for output, meaning in {
        "sudo: a password is required": "asks for a password",
        "sudo: sorry, you must have a tty to run sudo": "insists on a terminal",
        "me is not in the sudoers file.": "does not know this user",
        "env: sudo: not found\nsudo: not found": "not installed",
        "boom": "sudo refused",
    }.items():
        sudo = SudoSession()
        sudo.feed(output.encode() + b"\n")

        assert meaning in sudo.failure_reason()[0]
