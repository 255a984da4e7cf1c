"""Notify systemd that a service is ready and responsive.

The watchdog sends an HTTP request like a client, never just a timer signal, so that a hanging
service is restarted.
"""

import http.client
import os
import socket
import sys
import threading
import time

from .http_server import HOST

_PROBE_TIMEOUT_S = 10.0
_RETRY_S = 0.5


def log_line(text: str) -> None:
    """Write one line to the journal."""
    sys.stderr.write(text.replace("\n", " ") + "\n")
    sys.stderr.flush()


def is_healthy(port: int, path: str) -> bool:
    """Whether ``path`` returns 200 on the loopback."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start_watchdog(port: int, path: str) -> None:
    """Start a thread that notifies systemd while the service is healthy."""
    threading.Thread(target=_run_watchdog, args=(port, path), daemon=True, name="keeper").start()


def _run_watchdog(port: int, path: str) -> None:
    while not is_healthy(port, path):
        time.sleep(_RETRY_S)
    _notify_systemd("READY=1")
    period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 3
    while period_s:
        time.sleep(period_s)
        if is_healthy(port, path):
            _notify_systemd("WATCHDOG=1")


def _notify_systemd(state: str) -> None:
    socket_path = os.environ.get("NOTIFY_SOCKET", "")
    if not socket_path:
        return
    address = "\0" + socket_path[1:] if socket_path.startswith("@") else socket_path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(address)
        client.sendall(state.encode())
