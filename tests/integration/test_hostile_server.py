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
    """Lets everybody in and answers no request on a channel."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._ended.wait(60)
        return True


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    host, user = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
    user.write_private_key_file(str(tmp_path / "key"))
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            server = paramiko.Transport(connection)
            server.add_server_key(host)
            server.start_server(server=SilentServer(ended))
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

    with connect(target, timeout_s=20) as connection:
        start = time.monotonic()
        with pytest.raises(UnreachableError):
            connection.run(["true"], timeout_s=1)

    assert time.monotonic() - start < 10
