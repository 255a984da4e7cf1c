"""One command on a target: both output streams are read, stdin is written, the end is awaited.

Nothing is sent before the first shell has printed its marker, so rc files cannot read it.

Memory and waiting time are bounded whatever the target does.
"""

import select
import time
from dataclasses import dataclass
from typing import Protocol

from hardpan.core.errors import ToolError, UnavailableError
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.bootstrap import TIMED_OUT
from hardpan.ssh.request import CommandRequest
from hardpan.ssh.streams import MarkedStream, TerminalDecoder

_LINGER_S = 2.0
_TICK_S = 0.25
_PROMPT_IDLE_S = 1.0
_RC_FILE_IDLE_S = 1.0
_MAX_EMPTY_LINES = 8
_MAX_SIGNAL = 64
SHELL_START_S = 40.0
"""Limit for the login shell and its rc files, in seconds."""
_BLOCK = 1 << 16
_TAIL_LINES = 15
_MAX_LINE = 4096
_MAX_REPORTED_LINES = 100_000
"""Lines for ``on_line``: a target may send millions of empty ones."""
_MiB = 1 << 20
RC_FILE_HINT = (
    "the user needs a login shell that runs commands, not nologin or a menu; its rc files "
    "(.bashrc, .cshrc, config.fish, ...) must not end, replace or block a shell without a "
    "terminal, and must leave sh and timeout on the PATH"
)
_NO_SECRETS = SecretFilter()


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


class ConnectionLostError(Exception):
    """The channel was closed before its command ended."""


class RemoteCommand:
    """The streams of one command, read together with bounded memory."""

    def __init__(self, request: CommandRequest) -> None:
        self.request = request
        self.out = bytearray()
        self.err = bytearray()
        self.duration_s = 0.0
        is_become = request.become is not None
        self.stdout = MarkedStream(request.markers, is_become=is_become)
        self.stderr = MarkedStream(request.markers, is_become=is_become)
        self._streams = (self.stdout,) if request.has_terminal else (self.stdout, self.stderr)
        self._decoder = TerminalDecoder()
        self._to_send = b""
        self._sent_bytes = 0
        self._empty_line_count = 0
        self._is_header_sent = False
        self._is_input_sent = False
        self._is_stdin_closed = False
        self._received_bytes = 0
        self._progress_time = 0.0
        self._reported_bytes = 0
        self._reported_line_count = 0
        self._searched_bytes = 0

    @property
    def is_shell_started(self) -> bool:
        """Whether the login shell ran the first line."""
        return all(s.is_shell_started for s in self._streams)

    @property
    def is_command_started(self) -> bool:
        """Whether the script runs, with root if that was requested."""
        return all(s.is_command_started for s in self._streams)

    @property
    def preamble(self) -> str:
        """Output of the rc files of the login shell."""
        texts = (self.stdout.preamble, self.stderr.preamble)
        return "\n".join(t.decode("utf-8", "replace").strip() for t in texts).strip()

    @property
    def dialogue(self) -> bytes:
        """Output of sudo or doas before the command."""
        return b"".join(s.dialogue for s in reversed(self._streams))

    def run(self, channel: Channel, deadline: float) -> int:
        """Return the exit status once both streams have ended; -1 if a signal ended the command.

        Raises:
            ToolError: the login shell does not start ``sh``, or a limit is exceeded.
            ConnectionLostError: the connection was closed.
        """
        start = self._progress_time = time.monotonic()
        end_time: float | None = None
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        while not self._has_ended():
            has_progress = self._receive(channel) | self._send(channel)
            now = time.monotonic()
            if has_progress:
                self._progress_time = now
            elif self._is_connection_lost(channel):
                raise ConnectionLostError
            if channel.exit_status_ready():
                end_time = end_time or now
                # A background child may keep the streams open forever.
                if (channel.eof_received and not has_progress) or now - end_time > _LINGER_S:
                    break
            self._check_limits(start, now, deadline)
            if not has_progress and channel.eof_received:
                time.sleep(0.02)
            elif not has_progress:
                poller.poll(1000 * (0.02 if self._sent_bytes < len(self._to_send) else _TICK_S))
        self.duration_s = time.monotonic() - start
        return self._exit_status(channel)

    def tail(self) -> str:
        """Return the last lines of its output."""
        output = (self.err or self.out)[-_BLOCK:].decode("utf-8", "replace")
        return "\n".join(output.strip().splitlines()[-_TAIL_LINES:])

    def _has_ended(self) -> bool:
        become = self.request.become
        has_refused = become is not None and not self.is_command_started and become.has_failed()
        return has_refused or all(s.exit_status is not None for s in self._streams)

    def _is_connection_lost(self, channel: Channel) -> bool:
        """Return whether the channel was closed before the command has ended."""
        if not channel.closed or self.stdout.exit_status is not None:
            return False
        if not channel.exit_status_ready():
            return True
        # paramiko has the status -1 then, as for a signal; sshd ends the streams before it closes.
        return not channel.eof_received and channel.recv_exit_status() < 0

    def _exit_status(self, channel: Channel) -> int:
        status = self.stdout.exit_status
        if status is None:
            return channel.recv_exit_status() if channel.exit_status_ready() else -1
        # A shell reports a signal as 128 + its number; 137 and 143 are also those of 'timeout'.
        is_signal = 128 < status <= 128 + _MAX_SIGNAL and status not in TIMED_OUT
        return -1 if is_signal else status

    def _check_limits(self, start: float, now: float, deadline: float) -> None:
        limit = deadline if self.is_shell_started else min(deadline, start + SHELL_START_S)
        if now <= limit:
            return
        if self.is_shell_started:
            raise UnavailableError(
                [self.request.display_name],
                "did not end within its time limit",
                hint="scan again when the target has less load",
            )
        raise ToolError(
            ["login shell"],
            f"did not start sh within {limit - start:.0f} s",
            output_tail=self.preamble[-_MAX_LINE:],
            hint=RC_FILE_HINT,
        )

    def _send(self, channel: Channel) -> bool:
        if self._is_stdin_closed or channel.exit_status_ready() or channel.closed:
            return False
        self._queue_input()
        has_progress = False
        while self._sent_bytes < len(self._to_send) and channel.send_ready():
            block = self._to_send[self._sent_bytes : self._sent_bytes + _BLOCK]
            self._sent_bytes += channel.send(block)
            has_progress = True
        is_complete = self._is_input_sent and self._sent_bytes >= len(self._to_send)
        if is_complete and self.request.has_end_of_input:
            channel.shutdown_write()
            self._is_stdin_closed = True
        return has_progress

    def _queue_input(self) -> None:
        """Queue what the target may read now: the header, an answer, or the script and stdin."""
        if self._sent_bytes < len(self._to_send):
            return
        if not self.is_shell_started:
            self._answer_rc_files()
        elif not self._is_header_sent:
            self._is_header_sent = True
            self._queue(self.request.header)
        elif not self.is_command_started:
            self._queue(self._answer_prompt())
        elif not self._is_input_sent:
            self._is_input_sent = True
            self._queue(self.request.input_data)

    def _queue(self, data: bytes) -> None:
        self._to_send, self._sent_bytes = data, 0

    def _answer_rc_files(self) -> None:
        """Queue an empty line when nothing happens: an rc file may wait for a person's answer."""
        idle_s = time.monotonic() - self._progress_time
        if idle_s > _RC_FILE_IDLE_S and self._empty_line_count < _MAX_EMPTY_LINES:
            self._empty_line_count += 1
            self._queue(b"\n")

    def _answer_prompt(self) -> bytes:
        if self.request.become is None:
            return b""
        is_idle = time.monotonic() - self._progress_time > _PROMPT_IDLE_S
        return self.request.become.answer(self._streams[-1].dialogue, is_idle=is_idle)

    def _receive(self, channel: Channel) -> bool:
        has_progress = False
        if channel.recv_ready():
            self._feed_stdout(channel.recv(_BLOCK))
            has_progress = True
        if channel.recv_stderr_ready():
            data = channel.recv_stderr(_BLOCK)
            self._received_bytes += len(data)
            self.err += self.stderr.feed(data)
            has_progress = True
        self._report_lines()
        if self._received_bytes > self.request.max_bytes:
            is_started = self.is_shell_started
            raise ToolError(
                [self.request.display_name if is_started else "login shell"],
                f"sent more than {self.request.max_bytes // _MiB} MiB; ended",
                hint="" if is_started else RC_FILE_HINT,
            )
        return has_progress

    def _feed_stdout(self, data: bytes) -> None:
        self._received_bytes += len(data)
        output = self.stdout.feed(data)
        if self.request.has_terminal:
            output, err = self._decoder.feed(output)
            self.err += err
        self.out += output

    def _report_lines(self) -> None:
        on_line = self.request.on_line
        if on_line is None:
            return
        # Each byte is searched once, however long a line is.
        while self._reported_line_count < _MAX_REPORTED_LINES:
            end = self.err.find(b"\n", self._searched_bytes)
            if end < 0:
                break
            self._reported_line_count += 1
            line = self.err[self._reported_bytes : min(end, self._reported_bytes + _MAX_LINE)]
            self._reported_bytes = self._searched_bytes = end + 1
            on_line(line.decode("utf-8", "replace").rstrip("\r"))
        self._searched_bytes = len(self.err)
