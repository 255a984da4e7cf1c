"""apt against archives that are slow or that stall: only a download without progress ends."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from images.lab import mirror

pytestmark = pytest.mark.integration

STALL_S = 2
CHUNKS = 12
CHUNK = b"Origin: test archive\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (CHUNKS * len(CHUNK))


@contextmanager
def archive(respond: Callable[[socket.socket], None]) -> Iterator[mirror.Mirror]:
    """Serve every request with ``respond``, which gets the connection after the request's head."""

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                respond(connection)
            except OSError:
                return  # apt has ended the connection

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the test has ended
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        yield mirror.Mirror(uri=f"http://127.0.0.1:{port}", suite="trixie")
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "STALL_S", STALL_S)
    monkeypatch.setattr(mirror, "RETRIES", 0)


def test_slow_download_is_received_to_its_end(tmp_path: Path) -> None:
    def send_slowly(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        for _ in range(CHUNKS):
            time.sleep(STALL_S / 8)
            connection.sendall(CHUNK)

    with archive(send_slowly) as source, pytest.raises(ToolError) as caught:
        mirror.resolve_packages(source, ["bash"], tmp_path)

    # All of it arrived, after more than STALL_S; it has no signature.
    assert "is not signed" in caught.value.output_tail
    assert "timed out" not in caught.value.output_tail


def test_download_without_progress_ends_with_the_reason(tmp_path: Path) -> None:
    released = threading.Event()

    def stall(connection: socket.socket) -> None:
        connection.sendall(HEAD + CHUNK)
        # Shorter than the limit that apt has by itself, 30 s.
        released.wait(15)

    try:
        with archive(stall) as source, pytest.raises(ToolError) as caught:
            mirror.resolve_packages(source, ["bash"], tmp_path)
    finally:
        released.set()

    assert "timed out" in caught.value.output_tail
    assert caught.value.hint.startswith("check apt's sources and the network")
