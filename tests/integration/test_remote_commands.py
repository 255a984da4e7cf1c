"""Commands on hosts with other login shells, noisy rc files, and other ways to root."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError, UnreachableError
from hardpan.ssh import command
from hardpan.ssh.batch import BatchAnswer, run_batch
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.privileges import BecomeMethod
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from tests.integration.overlay_host import (
    PASSWORD,
    HostSpec,
    HostUser,
    OverlayHost,
    overlay_host,
)

pytestmark = pytest.mark.integration

ROOT_PASSWORD = "another battery staple"
DATA = b"~~\n~.\n~?\n~#\n" + os.urandom(150_000) + bytes(range(256)) * 4
PACKAGES = ("tcsh", "fish", "zsh", "mksh", "ksh", "busybox", "sudo", "opendoas")
SHELLS = {
    "bash": "/bin/bash",
    "dash": "/bin/dash",
    "tcsh": "/bin/tcsh",
    "fish": "/usr/bin/fish",
    "zsh": "/usr/bin/zsh",
    "ksh": "/usr/bin/ksh93",
    "mksh": "/bin/mksh",
    "ash": "/usr/local/bin/ash",
    "rbash": "/bin/rbash",
}
NOISE = "echo Welcome to `hostname`; stty erase x"
RC_FILES = {
    ".bashrc": f"{NOISE}; echo error >&2; trap 'echo bye' EXIT\n",
    ".cshrc": f"{NOISE}\n",
    ".logout": "echo bye\n",
    ".zshenv": f"{NOISE}; echo error >&2; trap 'echo bye' EXIT\n",
    ".config/fish/config.fish": "echo Welcome; stty erase x; echo error >&2\n",
}
BAD_RC_FILES = {
    "exits": "exit 7",
    "execs": "exec /bin/echo Maintenance",
    "hangs": "exec sleep 99",
    "floods": "yes",
    "closes": "exec 0<&-",
}
DOAS_CONF = "permit doaspw\npermit nopass doasnopw\npermit persist doaspersist\n"
USERS = (
    *(HostUser(name=n, login_shell=s, files=RC_FILES) for n, s in SHELLS.items()),
    *(HostUser(name=n, files={".bashrc": f"{s}\n"}) for n, s in BAD_RC_FILES.items()),
    HostUser(name="disabled", login_shell="/usr/sbin/nologin"),
    HostUser(name="reads", files={".bashrc": "read -p 'Terms accepted? ' answer\n"}),
    HostUser(name="sue", password=PASSWORD, files=RC_FILES),
    HostUser(name="adm", password=PASSWORD, groups=("sudo",)),
    *(HostUser(name=n, password=PASSWORD) for n in ("doaspw", "doasnopw", "doaspersist")),
    HostUser(name="root", password=ROOT_PASSWORD, login_shell="/bin/tcsh", files=RC_FILES),
)
NOPASSWD = "\n".join(f"{n} ALL=(ALL) NOPASSWD: ALL" for n in SHELLS)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    spec = HostSpec(
        packages=PACKAGES,
        users=USERS,
        sudoers=NOPASSWD,
        files={"/etc/doas.conf": DOAS_CONF},
        setup="ln -s /bin/busybox /usr/local/bin/ash; chmod 400 /etc/doas.conf",
    )
    with overlay_host(tmp_path_factory.mktemp("host"), spec) as result:
        yield result


def set_sudoers(host: OverlayHost, text: str) -> None:
    host.run(f"rm -rf /run/sudo/ts; cat > /etc/sudoers.d/sue <<'END'\n{text}\nEND\n")


def check_command(connection: Connection, *, sudo: bool) -> str:
    """Run a command with binary stdin, stdout and stderr lines; return its user id."""
    lines: list[str] = []
    # A bash that the script starts must not read rc files either.
    script = 'bash -c : </dev/null; echo "$(id -u) $(umask) $LC_ALL" >&2; cat; exit 3'
    output = connection.run(
        script, timeout_s=20, ok=(3,), stdin=DATA, sudo=sudo, is_archive=True, on_line=lines.append
    )
    assert hashlib.sha256(output.data).digest() == hashlib.sha256(DATA).digest()
    assert output.stderr.splitlines() == lines
    user_id, umask, locale = output.stderr.split()
    assert (umask, locale) == ("0077", "C")
    return user_id


@pytest.mark.parametrize("shell", SHELLS)
def test_command_runs_in_any_login_shell(host: OverlayHost, shell: str) -> None:
    with connect(host.target(shell), timeout_s=20) as connection:
        assert check_command(connection, sudo=False) != "0"
        assert check_command(connection, sudo=True) == "0"
        assert connection.privileges.method is BecomeMethod.SUDO


def test_command_runs_as_root_with_csh(host: OverlayHost) -> None:
    with connect(host.target("root"), timeout_s=20) as connection:
        assert check_command(connection, sudo=True) == "0"
        assert connection.privileges.method is BecomeMethod.ROOT


def test_rc_file_that_reads_stdin_gets_nothing_of_the_command(host: OverlayHost) -> None:
    with connect(host.target("reads"), timeout_s=20) as connection:
        assert check_command(connection, sudo=False) != "0"


@pytest.mark.parametrize(
    ("user", "problem", "output"),
    [
        ("exits", "ended with 7 before it started sh", ""),
        ("execs", "ended with 0 before it started sh", "Maintenance"),
        ("hangs", "did not start sh within 3 s", ""),
        ("floods", "login shell sent more than 16 MiB; ended", ""),
        ("closes", "ended with 0 before it ran the command", ""),
        ("disabled", "ended with 1 before it started sh", "This account is currently not"),
    ],
)
def test_rc_file_that_replaces_the_shell_is_reported(
    host: OverlayHost, user: str, problem: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SHELL_START_S", 3.0)
    with (
        connect(host.target(user), timeout_s=20) as connection,
        pytest.raises(ToolError, match=problem) as caught,
    ):
        connection.run("id", timeout_s=20)

    assert "login shell" in str(caught.value)
    assert output in caught.value.output_tail
    assert "rc files" in caught.value.hint
    assert "not nologin" in caught.value.hint


WORKING_SUDOERS = {
    "NOPASSWD": ("sue ALL=(ALL) NOPASSWD: ALL", "", False),
    "password": ("sue ALL=(ALL) ALL", PASSWORD, False),
    "requiretty": ("Defaults requiretty\nsue ALL=(ALL) ALL", PASSWORD, True),
    "requiretty NOPASSWD": ("Defaults requiretty\nsue ALL=(ALL) NOPASSWD: ALL", "", True),
    "requiretty use_pty": ("Defaults requiretty,use_pty\nsue ALL=(ALL) ALL", PASSWORD, True),
    "use_pty": ("Defaults use_pty\nsue ALL=(ALL) ALL", PASSWORD, False),
    "lecture": ("Defaults lecture=always\nsue ALL=(ALL) ALL", PASSWORD, False),
    "passprompt": (
        'Defaults passprompt_override,passprompt="Geheim: "\nsue ALL=(ALL) ALL',
        PASSWORD,
        False,
    ),
    "timestamp_timeout": ("Defaults timestamp_timeout=0\nsue ALL=(ALL) ALL", PASSWORD, False),
    "log_output": ("Defaults log_output,log_input\nsue ALL=(ALL) ALL", PASSWORD, False),
    "pwfeedback": ("Defaults pwfeedback\nsue ALL=(ALL) ALL", PASSWORD, False),
    "rootpw": ("Defaults rootpw\nsue ALL=(ALL) ALL", ROOT_PASSWORD, False),
    "secure_path": ("Defaults secure_path=/bin\nsue ALL=(ALL) NOPASSWD: ALL", "", False),
}


@pytest.mark.parametrize("name", ["password", "requiretty", "use_pty", "log_output"])
def test_system_ssh_carries_the_sudo_dialogue(host: OverlayHost, name: str) -> None:
    sudoers, password, needs_terminal = WORKING_SUDOERS[name]
    set_sudoers(host, sudoers)

    with open_connection(
        host.target("sue"),
        timeout_s=20,
        sudo_password=password,
        transport=TransportKind.OPENSSH,
    ) as connection:
        assert check_command(connection, sudo=True) == "0"
        assert check_command(connection, sudo=False) != "0"
        assert connection.privileges.needs_terminal is needs_terminal


@pytest.mark.parametrize("shell", ["tcsh", "fish", "rbash"])
def test_system_ssh_starts_any_login_shell(host: OverlayHost, shell: str) -> None:
    with open_connection(
        host.target(shell), timeout_s=20, transport=TransportKind.OPENSSH
    ) as connection:
        assert check_command(connection, sudo=True) == "0"


@pytest.mark.parametrize("name", WORKING_SUDOERS)
def test_sudo_as_configured(host: OverlayHost, name: str) -> None:
    sudoers, password, needs_terminal = WORKING_SUDOERS[name]
    set_sudoers(host, sudoers)

    with connect(host.target("sue"), timeout_s=20, sudo_password=password) as connection:
        assert check_command(connection, sudo=True) == "0"
        assert check_command(connection, sudo=False) != "0"
        assert connection.privileges.needs_terminal is needs_terminal
        assert connection.is_privileged


@pytest.mark.parametrize(
    ("sudoers", "password", "problem", "hint"),
    [
        ("sue ALL=(ALL) ALL", "wrong one", "sudo refused the password$", "type it again"),
        ("", PASSWORD, "sudo does not allow this user", "use a user with that right"),
        ("Defaults noexec\nsue ALL=(ALL) NOPASSWD: ALL", "", "noexec option", "!noexec"),
        ("sue ALL=(ALL) NOEXEC: ALL", PASSWORD, "noexec option", "!noexec"),
        ("Defaults targetpw\nsue ALL=(ALL) ALL", PASSWORD, "the password of root", "of root"),
    ],
)
def test_refusal_of_sudo_is_explained(
    host: OverlayHost, sudoers: str, password: str, problem: str, hint: str
) -> None:
    set_sudoers(host, sudoers)
    with (
        connect(host.target("sue"), timeout_s=20, sudo_password=password) as connection,
        pytest.raises(ToolError, match=problem) as caught,
    ):
        connection.run("id", timeout_s=20, sudo=True)

    assert hint in caught.value.hint
    assert password == "" or password not in caught.value.output_tail


def test_member_of_the_sudo_group_needs_the_password(host: OverlayHost) -> None:
    with (
        connect(host.target("adm"), timeout_s=20) as connection,
        pytest.raises(ToolError, match="sudo asks for a password") as caught,
    ):
        connection.run("id", timeout_s=20, sudo=True)

    assert "--ask-sudo-password" in caught.value.hint


@pytest.mark.parametrize(
    ("user", "password"), [("doasnopw", ""), ("doaspw", PASSWORD), ("doaspersist", PASSWORD)]
)
def test_doas_is_used_if_sudo_gives_no_right(host: OverlayHost, user: str, password: str) -> None:
    with connect(host.target(user), timeout_s=20, sudo_password=password) as connection:
        assert check_command(connection, sudo=True) == "0"
        assert connection.privileges.method is BecomeMethod.DOAS


def test_login_without_rights_runs_unprivileged(host: OverlayHost) -> None:
    set_sudoers(host, "")
    with connect(host.target("sue"), timeout_s=20) as connection:
        assert check_command(connection, sudo=True) != "0"
        assert not connection.is_privileged
        assert connection.privileges.reason == "sudo asks for a password"


def test_missing_sudo_and_doas_are_named(tmp_path: Path) -> None:
    spec = HostSpec(removed=("sudo", "doas"), users=(HostUser(name="sue"),))
    with (
        overlay_host(tmp_path / "host", spec) as host,
        connect(host.target("sue"), timeout_s=20) as connection,
    ):
        assert not connection.is_privileged
        assert connection.privileges.reason == "neither sudo nor doas is installed there"


def test_command_ends_when_the_connection_is_cut(host: OverlayHost) -> None:
    set_sudoers(host, "sue ALL=(ALL) NOPASSWD: ALL")
    with connect(host.target("sue"), timeout_s=20) as connection:
        with pytest.raises(ToolError, match="did not end within"):
            connection.run("sleep 7654321", timeout_s=1, sudo=True)
        assert connection.run("id -u", timeout_s=20, sudo=True).stdout == "0\n"

    assert [x for x in host.process_names() if "7654321" in x] == []


BATCH_LOGINS = {
    "root": ("", "root", ""),
    "sudo": ("sue ALL=(ALL) NOPASSWD: ALL", "sue", ""),
    "sudo with a terminal": ("Defaults requiretty\nsue ALL=(ALL) NOPASSWD: ALL", "sue", ""),
    "sudo that logs": ("Defaults log_output\nsue ALL=(ALL) ALL", "sue", PASSWORD),
    "doas with a terminal": ("", "doaspw", PASSWORD),
    "csh": (NOPASSWD, "tcsh", ""),
}


@pytest.mark.parametrize("name", BATCH_LOGINS)
def test_question_of_a_batch_ends_when_the_connection_is_cut(host: OverlayHost, name: str) -> None:
    sudoers, user, password = BATCH_LOGINS[name]
    set_sudoers(host, sudoers)
    host.run("rm -f /run/started")
    questions = {
        "user": "id -u; exit 7",
        "stdin": "cat; echo end",
        "late": "sleep 0.3; echo late",
        "endless": "yes | head -c 100000",
        "limited": "sleep 7654323",
        "slow": "trap '' TERM; touch /run/started; sleep 7654322 & sleep 7654322",
    }

    def run(names: Sequence[str]) -> Mapping[str, BatchAnswer]:
        return run_batch(
            connection,
            {n: questions[n] for n in names},
            limit_s=lambda n: 1 if n == "limited" else 60,
            timeout_s=90,
            max_text=1000,
        ).answers

    def close_when_started() -> None:
        host.run("while [ ! -e /run/started ]; do sleep 0.1; done")
        connection._transport.close()

    with connect(host.target(user), timeout_s=20, sudo_password=password) as connection:
        answers = run(("user", "stdin", "late", "endless", "limited"))
        closer = threading.Thread(target=close_when_started)
        closer.start()
        with pytest.raises(UnreachableError):
            run(("slow",))
        closer.join()

    assert {n: (a.exit_status, a.output[:10]) for n, a in answers.items()} == {
        "user": (7, "0\n"),
        "stdin": (0, "end\n"),
        "late": (0, "late\n"),
        "endless": (answers["endless"].exit_status, "y\ny\ny\ny\ny\n"),
        "limited": (124, ""),
    }
    assert len(answers["endless"].output) == 1000
    for _ in range(150):
        processes = [x for x in host.process_names() if "765432" in x or "@@hardpan" in x]
        if not processes:
            break
        time.sleep(0.1)
    assert processes == []
