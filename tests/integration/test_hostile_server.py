"""An SSH server that answers no request: no command waits longer than its limit."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from hardpan.core.errors import UnreachableError
from hardpan.ssh import connection as connection_module
from hardpan.ssh.client import connect
from hardpan.ssh.target import Target

pytestmark = pytest.mark.integration


class SilentServer(paramiko.ServerInterface):
    """Lets everybody in and answers no request on a channel, or none for a channel."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended
        self.opens_channels = True

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if not self.opens_channels:
            self._ended.wait(60)
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._ended.wait(60)
        return True


@pytest.fixture(params=["silent in a session", "silent before a session"])
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Target]:
    host, user = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
    user.write_private_key_file(str(tmp_path / "key"))
    ended = threading.Event()
    silent_server = SilentServer(ended)
    silent_server.opens_channels = request.param == "silent in a session"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            server = paramiko.Transport(connection)
            server.add_server_key(host)
            server.start_server(server=silent_server)
            ended.wait(60)
            server.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Target(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            user="root",
            identity=tmp_path / "key",
            host_keys=(f"{host.get_name()} {host.get_base64()}",),
        )
        ended.set()
        thread.join(20)


def test_unanswered_command_times_out(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_GRACE_S", 0.5)
    monkeypatch.setattr(connection_module, "_SESSION_TIMEOUT_S", 1.0)

    with connect(target, timeout_s=20) as connection:
        start = time.monotonic()
        with pytest.raises(UnreachableError):
            connection.run(["true"], timeout_s=1)

    assert time.monotonic() - start < 10


@pytest.mark.parametrize("target", ["silent before a session"], indirect=True)
def test_session_that_is_not_opened_is_named(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is still booting accepts the login and then needs a minute for a session."""
    monkeypatch.setattr(connection_module, "_SESSION_TIMEOUT_S", 0.5)

    with (
        connect(target, timeout_s=20) as connection,
        pytest.raises(UnreachableError, match=r"opened no session within 0\.5 s") as caught,
    ):
        connection.run(["true"], timeout_s=1)

    assert "still booting" in caught.value.hint
