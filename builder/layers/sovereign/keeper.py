"""Tells systemd that a service is ready, and that it still answers.

The watchdog is fed by a question that goes the way a client's goes, never by a timer
alone: a service that hangs is restarted.
"""

import http.client
import os
import socket
import sys
import threading
import time

from .web import HOST

_ASK_S = 10.0
_TRY_S = 0.5


def log(text: str) -> None:
    """One line for the journal."""
    sys.stderr.write(text.replace("\n", " ") + "\n")
    sys.stderr.flush()


def answers(port: int, path: str) -> bool:
    """Whether the service answers 200 to ``path`` on the loopback."""
    link = http.client.HTTPConnection(HOST, port, timeout=_ASK_S)
    try:
        link.request("GET", path)
        return link.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def keep(port: int, path: str) -> None:
    """From now on tell systemd when the service answers; in a thread of its own."""
    threading.Thread(target=_keep, args=(port, path), daemon=True, name="keeper").start()


def _keep(port: int, path: str) -> None:
    while not answers(port, path):
        time.sleep(_TRY_S)
    _tell("READY=1")
    period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 3
    while period_s:
        time.sleep(period_s)
        if answers(port, path):
            _tell("WATCHDOG=1")


def _tell(what: str) -> None:
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    address = "\0" + where[1:] if where.startswith("@") else where
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.connect(address)
        to.sendall(what.encode())
