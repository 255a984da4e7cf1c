"""The control socket of a QEMU that starts slowly."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from hardpan.builder.vm.qmp import open_qmp
from hardpan.core.errors import ToolError

pytestmark = pytest.mark.integration

GREETING = {"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 0}}, "capabilities": []}}


def test_qmp_waits_for_a_socket_that_exists_but_does_not_listen_yet(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        thread = threading.Thread(target=_serve_client, args=(server,))
        thread.start()
        with open_qmp(path, lambda: None) as connection:
            assert connection.call("query-status") == {"status": "running"}
        thread.join(timeout=10)


def test_qmp_reports_a_process_that_ends_before_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with (
            pytest.raises(ToolError, match="ended with 1 before it could be controlled"),
            open_qmp(path, lambda: 1),
        ):
            pass


def _serve_client(server: socket.socket) -> None:
    """Listen after half a second; answer the handshake and one command."""
    time.sleep(0.5)
    server.listen()
    client, _ = server.accept()
    with client:
        client.sendall(json.dumps(GREETING).encode() + b"\n")
        for result in ({}, {"status": "running"}):
            request = json.loads(client.recv(1 << 16))  # a request ends without a newline
            id_ = {"id": request["id"]} if "id" in request else {}  # the handshake has none
            client.sendall(json.dumps({"return": result, **id_}).encode() + b"\n")
