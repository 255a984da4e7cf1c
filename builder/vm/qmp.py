"""QMP, QEMU's control protocol, by ``qemu.qmp`` without threads.

Events are received while ``process_events`` runs the loop; every call has a time limit.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from qemu.qmp import ConnectError, EventListener, QMPClient, QMPError

from hardpan.core.errors import ToolError

_CONNECT_TIMEOUT_S = 20.0
_CALL_TIMEOUT_S = 30.0
_PAUSE_S = 0.1


class QmpConnection:
    """An open QMP connection. Created by ``open_qmp``."""

    def __init__(self, client: QMPClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._listener = EventListener()
        self.event_names: deque[str] = deque(maxlen=200)
        """Names of received events, e.g. ``SHUTDOWN``, ``GUEST_PANICKED``."""

        client.register_listener(self._listener)

    def process_events(self, duration_s: float) -> None:
        """Receive events for ``duration_s`` seconds."""
        self._loop.run_until_complete(asyncio.sleep(duration_s))
        while not self._listener.empty():
            message = self._loop.run_until_complete(self._listener.get())
            self.event_names.append(str(message.get("event", "")))

    def call(self, command: str, **arguments: object) -> object:
        """Execute a QMP command and return its result.

        Raises:
            ToolError: QEMU rejected the command or did not respond in time.
        """
        request = self._client.execute(
            command, {k.replace("_", "-"): v for k, v in arguments.items()}
        )
        try:
            return self._loop.run_until_complete(asyncio.wait_for(request, _CALL_TIMEOUT_S))
        except (QMPError, TimeoutError) as e:
            raise ToolError(["qemu"], f"refused {command}: {e}") from e

    def count_disk_bytes(self) -> int:
        """Return how many bytes the guest has read from and written to its disks and CDs.

        Raises:
            ToolError: QEMU rejected the command or did not respond in time.
        """
        devices = self.call("query-blockstats")
        if not isinstance(devices, list):
            raise ToolError(["qemu"], "reported no statistics of block devices")
        return sum(
            int(device["stats"]["rd_bytes"]) + int(device["stats"]["wr_bytes"])
            for device in devices
        )


@contextlib.contextmanager
def open_qmp(socket: Path, poll: Callable[[], int | None]) -> Iterator[QmpConnection]:
    """Connect to the QEMU that listens on ``socket``; the connection is closed after the block.

    ``poll`` returns None while QEMU runs, its exit status afterwards.

    Raises:
        ToolError: QEMU exited, or did not listen in time.
    """
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    client = QMPClient("hardpan")
    try:
        loop.run_until_complete(_connect(client, socket, poll))
        yield QmpConnection(client, loop)
    finally:
        with contextlib.suppress(QMPError, TimeoutError, EOFError, ConnectionError):
            loop.run_until_complete(asyncio.wait_for(client.disconnect(), _CALL_TIMEOUT_S))
        _close_loop(loop)


def _close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel tasks that an interrupt left pending, and close the loop."""
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.wait(pending, timeout=_CALL_TIMEOUT_S))
    loop.close()


async def _connect(client: QMPClient, socket: Path, poll: Callable[[], int | None]) -> None:
    """Connect as soon as QEMU listens: on a busy machine the socket's file exists before that."""
    deadline_s = time.monotonic() + _CONNECT_TIMEOUT_S
    while True:
        if poll() is not None:
            raise ToolError(["qemu"], f"ended with {poll()} before it could be controlled")
        problem = "opened no control socket"
        if socket.exists():
            try:
                await asyncio.wait_for(client.connect(str(socket)), _CONNECT_TIMEOUT_S)
            except (QMPError, TimeoutError) as e:
                if not (isinstance(e, ConnectError) and isinstance(e.exc, ConnectionRefusedError)):
                    raise ToolError(["qemu"], f"did not greet on its control socket: {e}") from e
                problem = "accepted no connection on its control socket"
            else:
                return
        if time.monotonic() > deadline_s:
            raise ToolError(["qemu"], f"{problem} within {_CONNECT_TIMEOUT_S:g} s")
        await asyncio.sleep(_PAUSE_S)
