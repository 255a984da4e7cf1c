"""Logins with a password, keyboard-interactive and several methods, against paramiko's server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from hardpan.core.errors import UnreachableError
from hardpan.ssh.client import connect
from hardpan.ssh.target import Target

pytestmark = pytest.mark.integration

PASSWORD = "correct horse"
SUCCESS = paramiko.common.AUTH_SUCCESSFUL
PARTIAL = paramiko.common.AUTH_PARTIALLY_SUCCESSFUL
FAILED = paramiko.common.AUTH_FAILED


class LoginServer(paramiko.ServerInterface):
    """Demands the methods in order; the prompts are those of keyboard-interactive."""

    def __init__(self, methods: list[str], prompts: list[tuple[str, bool]]) -> None:
        self._pending = methods
        self._prompts = prompts
        self.requests: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return self._pending[0] if self._pending else ""

    def check_auth_none(self, username: str) -> int:
        return FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._finish("publickey", True)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._finish("password", password == PASSWORD)

    def check_auth_interactive(
        self, username: str, submethods: str
    ) -> int | paramiko.InteractiveQuery:
        if self._pending[0] != "keyboard-interactive":
            return FAILED
        return paramiko.InteractiveQuery("", "", *self._prompts)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        expected = ["" if has_echo else PASSWORD for _, has_echo in self._prompts]
        return self._finish("keyboard-interactive", responses == expected)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def _finish(self, method: str, is_correct: bool) -> int:
        self.requests.append(method)
        if not is_correct or not self._pending or self._pending[0] != method:
            return FAILED
        self._pending = self._pending[1:]
        return PARTIAL if self._pending else SUCCESS


@contextmanager
def serve(
    folder: Path, methods: list[str], prompts: list[tuple[str, bool]], password: str
) -> Iterator[tuple[Target, LoginServer]]:
    host, user = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    user.write_private_key_file(str(folder / "key"))
    ended = threading.Event()
    interface = LoginServer(methods, prompts)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            server = paramiko.Transport(connection)
            server.add_server_key(host)
            # With an event it does not raise for a client that has ended already.
            server.start_server(event=threading.Event(), server=interface)
            ended.wait(60)
            server.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        target = Target(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            user="root",
            identity=folder / "key",
            host_keys=(f"{host.get_name()} {host.get_base64()}",),
            password=password,
        )
        yield target, interface
        ended.set()
        thread.join(20)


@pytest.mark.parametrize(
    "methods",
    [
        ["password"],
        ["keyboard-interactive"],
        ["publickey", "password"],
        ["publickey", "keyboard-interactive"],
        ["keyboard-interactive", "publickey"],
    ],
)
def test_every_demanded_method_is_used(tmp_path: Path, methods: list[str]) -> None:
    with serve(tmp_path, list(methods), [("Password: ", False)], PASSWORD) as (target, server):
        with connect(target, timeout_s=20) as connection:
            assert connection.host_key.trust == "pinned"

        assert server.requests == methods


def test_host_that_demands_the_password_without_end_is_left(tmp_path: Path) -> None:
    with serve(tmp_path, ["password"] * 500, [], PASSWORD) as (target, server):
        with pytest.raises(UnreachableError, match="login failed"), connect(target, timeout_s=20):
            pass

        assert 0 < len(server.requests) < 20


def test_wrong_password_fails_with_the_password_named(tmp_path: Path) -> None:
    with (
        serve(tmp_path, ["password"], [], "hunter-22") as (target, _),
        pytest.raises(UnreachableError, match=r"login failed with .*the password") as caught,
        connect(target, timeout_s=20),
    ):
        pass

    assert "hunter-22" not in str(caught.value)


def test_password_host_without_password_names_the_option(tmp_path: Path) -> None:
    with (
        serve(tmp_path, ["password"], [], "") as (target, _),
        pytest.raises(UnreachableError, match="the host accepts: password") as caught,
        connect(target, timeout_s=20),
    ):
        pass

    assert "--ask-ssh-password" in caught.value.hint


def test_second_factor_is_named_by_its_prompt(tmp_path: Path) -> None:
    prompts = [("Password: ", False), ("Verification code: ", False)]
    with (
        serve(tmp_path, ["keyboard-interactive"], prompts, "no") as (target, _),
        pytest.raises(UnreachableError, match="it asked for 'Password:', 'Verification code:'"),
        connect(target, timeout_s=20),
    ):
        pass


def test_password_is_not_in_the_representation_of_a_target() -> None:
    assert PASSWORD not in repr(Target(host="h", user="u", password=PASSWORD))
