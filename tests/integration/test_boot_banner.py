"""How a booting guest is asked whether its sshd answers: one connection, with patience."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hardpan.builder.vm import boot
from hardpan.core.errors import ToolError

pytestmark = pytest.mark.integration
DELAY_S = 0.4


@pytest.fixture(autouse=True)
def short_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_BANNER_POLL_S", 0.05)


@contextmanager
def slow_server(banner: bytes, *, delay_s: float) -> Iterator[tuple[int, list[int]]]:
    """Serve one connection after another; yield the port and a list with an entry for each."""
    accepted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, (_, port) = server.accept()
                except OSError:
                    return
                accepted.append(port)
                with connection:
                    time.sleep(delay_s)
                    connection.sendall(banner)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], accepted
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_slow_banner_needs_no_second_connection() -> None:
    waits: list[None] = []
    with slow_server(b"SSH-2.0-OpenSSH_9.9\r\n", delay_s=DELAY_S) as (port, accepted):
        assert boot._has_ssh_banner(port, patience_s=30, on_wait=lambda: waits.append(None))
        assert len(accepted) == 1
    assert waits


@pytest.mark.parametrize(
    ("banner", "patience_s"),
    [
        pytest.param(b"HTTP/1.1 400", 30, id="another protocol"),
        pytest.param(b"", 30, id="closed"),
        pytest.param(b"SSH-", 0.1, id="later than the patience"),
    ],
)
def test_server_without_banner_does_not_answer(banner: bytes, patience_s: float) -> None:
    with slow_server(banner, delay_s=DELAY_S) as (port, _):
        assert not boot._has_ssh_banner(port, patience_s=patience_s, on_wait=lambda: None)


def test_closed_port_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not boot._has_ssh_banner(port, patience_s=30, on_wait=lambda: None)


def test_failed_machine_ends_the_wait() -> None:
    def fail() -> None:
        raise ToolError(["qemu"], "panicked")

    with (
        slow_server(b"SSH-", delay_s=DELAY_S) as (port, _),
        pytest.raises(ToolError, match="panicked"),
    ):
        boot._has_ssh_banner(port, patience_s=30, on_wait=fail)
