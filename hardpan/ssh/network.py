"""Open the byte stream to a host: TCP, or the program of ``ProxyCommand``."""

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hardpan.core.process import open_on_socket
from hardpan.ssh.target import Target

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_RETRY_S = 1.0
_MAX_ATTEMPTS = 20
_MAX_TAIL_BYTES = 4096


@contextlib.contextmanager
def open_tcp(target: Target, timeout_s: float) -> Iterator[socket.socket]:
    """Connect to the target: each of its addresses in turn, ``ConnectionAttempts`` times.

    Raises:
        OSError: the error of the last address, or of the name's resolution.
    """
    attempts = min(target.settings.connection_attempts, _MAX_ATTEMPTS)
    for attempt in range(1, attempts + 1):
        try:
            connection = _connect_once(target, timeout_s)
        except OSError:
            if attempt == attempts:
                raise
            time.sleep(_RETRY_S)
            continue
        with connection:
            yield connection
        return


def _connect_once(target: Target, timeout_s: float) -> socket.socket:
    family = _FAMILIES.get(target.settings.address_family, socket.AF_UNSPEC)
    error: OSError = OSError("the name has no address")
    for address_family, kind, protocol, _, address in socket.getaddrinfo(
        target.host, target.port, family, socket.SOCK_STREAM
    ):
        connection = socket.socket(address_family, kind, protocol)
        try:
            connection.settimeout(timeout_s)
            if target.settings.bind_address:
                connection.bind(_find_bind_address(target.settings.bind_address, address_family))
            connection.connect(address)
        except OSError as e:
            connection.close()
            error = e
            continue
        return connection
    raise error


def _find_bind_address(
    name: str, family: socket.AddressFamily
) -> tuple[str | int, int] | tuple[str | int, int, int, int] | tuple[int, bytes]:
    return socket.getaddrinfo(name, 0, family, socket.SOCK_STREAM)[0][4]


class ProxyLog:
    """What the program of ``ProxyCommand`` writes to stderr."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tail(self) -> str:
        """Return its last lines."""
        try:
            data = self.path.read_bytes()[-_MAX_TAIL_BYTES:]
        except OSError:
            return ""
        return "\n".join(data.decode("utf-8", "replace").strip().splitlines()[-5:])


@contextlib.contextmanager
def open_proxy(target: Target) -> Iterator[tuple[socket.socket, ProxyLog]]:
    """Start ``ProxyCommand`` with the user's shell and environment, as ssh does.

    Raises:
        ToolError: the shell is missing.
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    argv = [shell, "-c", f"exec {target.settings.proxy_command}"]
    with tempfile.TemporaryDirectory(prefix="hardpan-proxy-") as folder:
        log = Path(folder, "stderr")
        with open_on_socket(
            argv, label=("ProxyCommand",), log=log, env=dict(os.environ)
        ) as connection:
            yield connection, ProxyLog(log)
