"""One command on a target: both of its streams drained, its stdin fed, its end awaited.

Memory is bounded whatever the target says, and the wait is bounded whatever it does.
"""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hardpan.errors import ToolError, UnreachableError
from hardpan.redaction import SecretFilter
from hardpan.scanners import shell

_LINGER_S = 2.0
_TICK_S = 0.25
_BLOCK = 1 << 16
_TAIL_LINES = 15
_MAX_LINE = 4096
_MiB = 1 << 20
_NO_SECRETS = SecretFilter()

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A command on the target that ended with one of the exit codes that were allowed."""

    rc: int
    """Its exit code; -1 when a signal ended it."""

    data: bytes
    """What it wrote to stdout, without the secrets that it was given; an archive as it is."""

    stderr: str
    """What it wrote to stderr, decoded as UTF-8 with replacement; without those secrets."""

    took_s: float
    """Wall-clock seconds, the way there and back included."""

    secrets: SecretFilter = _NO_SECRETS
    """Removes the same secrets from what is unpacked out of ``data``."""

    @property
    def stdout(self) -> str:
        """What it wrote to stdout, decoded as UTF-8 with replacement."""
        return self.data.decode("utf-8", "replace")


class Channel(Protocol):
    """The part of an SSH channel that a command needs."""

    @property
    def closed(self) -> bool: ...  # noqa: D102
    @property
    def eof_received(self) -> int: ...  # noqa: D102
    def exit_status_ready(self) -> bool: ...  # noqa: D102
    def recv_exit_status(self) -> int: ...  # noqa: D102
    def recv_ready(self) -> bool: ...  # noqa: D102
    def recv(self, nbytes: int, /) -> bytes: ...  # noqa: D102
    def recv_stderr_ready(self) -> bool: ...  # noqa: D102
    def recv_stderr(self, nbytes: int, /) -> bytes: ...  # noqa: D102
    def send_ready(self) -> bool: ...  # noqa: D102
    def send(self, s: bytes, /) -> int: ...  # noqa: D102
    def shutdown_write(self) -> None: ...  # noqa: D102
    def fileno(self) -> int: ...  # noqa: D102


class Call:
    """One command's two streams, drained together; memory is bounded whatever comes."""

    def __init__(
        self,
        body: str,
        sudo: shell.Sudo | None,
        stdin: bytes,
        leash: bool,
        max_bytes: int,
        on_line: OnLine | None,
    ) -> None:
        self.shown = (body.split(maxsplit=1) or ["?"])[0] if len(body) < 200 else "script"
        self.sudo = sudo
        self.out = bytearray()
        self.err = bytearray()
        self.took_s = 0.0
        self._answer = b""
        self._stdin = stdin
        self._sent = 0
        self._leash = leash
        self._shut = False
        self._limit = max_bytes
        self._on_line = on_line
        self._told = 0
        self._searched = 0

    def converse(self, channel: Channel, deadline: float) -> int:
        """The exit code, once both streams have ended; -1 when a signal ended it."""
        began = time.monotonic()
        ended_at: float | None = None
        waiting = select.poll()
        waiting.register(channel.fileno(), select.POLLIN)
        while True:
            moved = self._send(channel) | self._receive(channel)
            now = time.monotonic()
            if channel.exit_status_ready():
                ended_at = ended_at or now
                # A child left behind may hold the streams open for ever.
                if (channel.eof_received and not moved) or now - ended_at > _LINGER_S:
                    break
            if now > deadline:
                raise ToolError([self.shown], "did not answer past its time limit")
            if self.sudo is not None and self.sudo.asked > 1:
                break
            if not moved and channel.eof_received:
                if channel.closed and not channel.exit_status_ready():
                    raise UnreachableError("the connection was closed in the middle of a command")
                time.sleep(0.02)
            elif not moved:
                waiting.poll(1000 * (0.02 if self._wants_to_send() else _TICK_S))
        self.took_s = time.monotonic() - began
        return channel.recv_exit_status() if channel.exit_status_ready() else -1

    def tail(self) -> str:
        """The last lines of what it said."""
        said = (self.err or self.out)[-_BLOCK:].decode("utf-8", "replace")
        return "\n".join(said.strip().splitlines()[-_TAIL_LINES:])

    def _wants_to_send(self) -> bool:
        return bool(self._answer) or (self._sent < len(self._stdin) and self._may_feed())

    def _may_feed(self) -> bool:
        return self.sudo is None or self.sudo.begun

    def _send(self, channel: Channel) -> bool:
        if self._shut or channel.exit_status_ready() or channel.closed:
            return False
        moved = False
        if self._answer and channel.send_ready():
            self._answer = self._answer[channel.send(self._answer) :]
            moved = True
        if not self._answer and self._may_feed():
            while self._sent < len(self._stdin) and channel.send_ready():
                self._sent += channel.send(self._stdin[self._sent : self._sent + _BLOCK])
                moved = True
            if self._sent >= len(self._stdin) and not self._leash:
                channel.shutdown_write()
                self._shut = True
        return moved

    def _receive(self, channel: Channel) -> bool:
        moved = False
        if channel.recv_ready():
            self.out += channel.recv(_BLOCK)
            moved = True
        if channel.recv_stderr_ready():
            heard = channel.recv_stderr(_BLOCK)
            if self.sudo is not None:
                answer, heard = self.sudo.hear(heard)
                self._answer += answer
            self.err += heard
            self._tell()
            moved = True
        if len(self.out) + len(self.err) > self._limit:
            raise ToolError([self.shown], f"said more than {self._limit // _MiB} MiB; ended")
        return moved

    def _tell(self) -> None:
        if self._on_line is None:
            return
        # Each byte is looked at once, however long a line is.
        while (end := self.err.find(b"\n", self._searched)) >= 0:
            said = self.err[self._told : min(end, self._told + _MAX_LINE)]
            self._told = self._searched = end + 1
            self._on_line(said.decode("utf-8", "replace").rstrip("\r"))
        self._searched = len(self.err)
