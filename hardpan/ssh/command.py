"""One command on a target: both output streams are read, stdin is written, the end is awaited.

Memory and waiting time are bounded whatever the target does.
"""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hardpan.core.errors import ToolError, UnreachableError
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.sudo import SudoSession

_LINGER_S = 2.0
_TICK_S = 0.25
_BLOCK = 1 << 16
_TAIL_LINES = 15
_MAX_LINE = 4096
_MiB = 1 << 20
_NO_SECRETS = SecretFilter()

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutput:
    """Output of a command that ended with one of the allowed exit statuses."""

    exit_status: int
    """-1 if a signal ended the command."""

    data: bytes
    """Its stdout without the secrets that it received; an archive is unchanged."""

    stderr: str
    """Its stderr without those secrets, decoded as UTF-8 with replacement."""

    duration_s: float
    """Wall-clock seconds, network round trips included."""

    secrets: SecretFilter = _NO_SECRETS
    """Redacts the same secrets in content that is unpacked from ``data``."""

    @property
    def stdout(self) -> str:
        """Its stdout, decoded as UTF-8 with replacement."""
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
    def close(self) -> None: ...  # noqa: D102


class RemoteCommand:
    """The two output streams of one command, read together with bounded memory."""

    def __init__(
        self,
        body: str,
        sudo: SudoSession | None,
        stdin: bytes,
        kill_on_disconnect: bool,
        max_bytes: int,
        on_line: OnLine | None,
    ) -> None:
        self.display_name = (body.split(maxsplit=1) or ["?"])[0] if len(body) < 200 else "script"
        self.sudo = sudo
        self.out = bytearray()
        self.err = bytearray()
        self.duration_s = 0.0
        self._sudo_reply = b""
        self._stdin = stdin
        self._sent_bytes = 0
        self._kill_on_disconnect = kill_on_disconnect
        self._is_stdin_closed = False
        self._max_bytes = max_bytes
        self._on_line = on_line
        self._reported_bytes = 0
        self._searched_bytes = 0

    def run(self, channel: Channel, deadline: float) -> int:
        """Return the exit status once both streams have ended; -1 if a signal ended the command."""
        start = time.monotonic()
        end_time: float | None = None
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        while True:
            has_progress = self._send(channel) | self._receive(channel)
            now = time.monotonic()
            if channel.exit_status_ready():
                end_time = end_time or now
                # A background child may keep the streams open forever.
                if (channel.eof_received and not has_progress) or now - end_time > _LINGER_S:
                    break
            if now > deadline:
                raise ToolError([self.display_name], "did not end within its time limit")
            if self.sudo is not None and self.sudo.prompt_count > 1:
                break
            if not has_progress and channel.eof_received:
                if channel.closed and not channel.exit_status_ready():
                    raise UnreachableError("the connection was closed in the middle of a command")
                time.sleep(0.02)
            elif not has_progress:
                poller.poll(1000 * (0.02 if self._has_pending_input() else _TICK_S))
        self.duration_s = time.monotonic() - start
        return channel.recv_exit_status() if channel.exit_status_ready() else -1

    def tail(self) -> str:
        """Return the last lines of its output."""
        output = (self.err or self.out)[-_BLOCK:].decode("utf-8", "replace")
        return "\n".join(output.strip().splitlines()[-_TAIL_LINES:])

    def _has_pending_input(self) -> bool:
        return bool(self._sudo_reply) or (
            self._sent_bytes < len(self._stdin) and self._is_stdin_allowed()
        )

    def _is_stdin_allowed(self) -> bool:
        return self.sudo is None or self.sudo.has_started

    def _send(self, channel: Channel) -> bool:
        if self._is_stdin_closed or channel.exit_status_ready() or channel.closed:
            return False
        has_progress = False
        if self._sudo_reply and channel.send_ready():
            self._sudo_reply = self._sudo_reply[channel.send(self._sudo_reply) :]
            has_progress = True
        if not self._sudo_reply and self._is_stdin_allowed():
            while self._sent_bytes < len(self._stdin) and channel.send_ready():
                self._sent_bytes += channel.send(
                    self._stdin[self._sent_bytes : self._sent_bytes + _BLOCK]
                )
                has_progress = True
            if self._sent_bytes >= len(self._stdin) and not self._kill_on_disconnect:
                channel.shutdown_write()
                self._is_stdin_closed = True
        return has_progress

    def _receive(self, channel: Channel) -> bool:
        has_progress = False
        if channel.recv_ready():
            self.out += channel.recv(_BLOCK)
            has_progress = True
        if channel.recv_stderr_ready():
            data = channel.recv_stderr(_BLOCK)
            if self.sudo is not None:
                reply, data = self.sudo.feed(data)
                self._sudo_reply += reply
            self.err += data
            self._report_lines()
            has_progress = True
        if len(self.out) + len(self.err) > self._max_bytes:
            raise ToolError(
                [self.display_name], f"sent more than {self._max_bytes // _MiB} MiB; ended"
            )
        return has_progress

    def _report_lines(self) -> None:
        if self._on_line is None:
            return
        # Each byte is searched once, however long a line is.
        while (end := self.err.find(b"\n", self._searched_bytes)) >= 0:
            line = self.err[self._reported_bytes : min(end, self._reported_bytes + _MAX_LINE)]
            self._reported_bytes = self._searched_bytes = end + 1
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))
        self._searched_bytes = len(self.err)
