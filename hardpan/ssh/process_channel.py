"""A command's channel over the three pipes of a local child process.

Nothing here blocks: pipes are non-blocking, and one descriptor (epoll) reports both output streams.
"""

import contextlib
import errno
import os
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from hardpan.core.process import open_with_pipes, terminate_group

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR

InterpretStatus = Callable[[int], int]
"""Turns the exit code of the process (negative: a signal) into the exit status of the command."""


def report_signals(exit_code: int) -> int:
    """Return -1 for a process that a signal ended, else its exit code."""
    return max(exit_code, -1)


class ProcessChannel:
    """One running child process as a ``Channel``; it has its own process group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        label: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        interpret_status: InterpretStatus = report_signals,
    ) -> None:
        """Start the process.

        Raises:
            ToolError: the program is missing, or ``cwd`` is not a folder.
            OSError: the system cannot start a process.
        """
        self._interpret_status = interpret_status
        self._is_terminated = False
        self._termination: threading.Thread | None = None
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as cleanup:
            self._process = cleanup.enter_context(
                open_with_pipes(argv, label=label, cwd=cwd, env=env)
            )
            self._stdin = _fileno(self._process.stdin)
            self._stdout = _fileno(self._process.stdout)
            self._stderr = _fileno(self._process.stderr)
            self._epoll = cleanup.enter_context(select.epoll())
            self._open_outputs = {self._stdout, self._stderr}
            for descriptor in self._open_outputs:
                self._epoll.register(descriptor, select.EPOLLIN)
            for descriptor in (self._stdin, self._stdout, self._stderr):
                os.set_blocking(descriptor, False)
            self._resources = cleanup.pop_all()

    @property
    def closed(self) -> bool:
        """Whether the process group was ended or the channel closed."""
        return self._is_terminated

    @property
    def eof_received(self) -> int:
        """Whether both output streams have ended."""
        return int(not self._open_outputs)

    def exit_status_ready(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def recv_exit_status(self) -> int:
        """Return the exit status of the command; -1 if a signal ended it."""
        return self._interpret_status(self._process.wait())

    def recv_ready(self) -> bool:
        """Whether stdout has data, or has ended since the last call of ``recv``."""
        return self._is_readable(self._stdout)

    def recv(self, nbytes: int, /) -> bytes:
        """Read from stdout; empty at its end."""
        return self._read(self._stdout, nbytes)

    def recv_stderr_ready(self) -> bool:
        """Whether stderr has data, or has ended since the last call of ``recv_stderr``."""
        return self._is_readable(self._stderr)

    def recv_stderr(self, nbytes: int, /) -> bytes:
        """Read from stderr; empty at its end."""
        return self._read(self._stderr, nbytes)

    def send_ready(self) -> bool:
        """Whether the process, or the buffer of its stdin, takes more data."""
        return self._stdin >= 0 and _poll(self._stdin, _WRITABLE)

    def send(self, s: bytes, /) -> int:
        """Write to stdin and return the number of bytes; data for a closed stdin is discarded."""
        try:
            return os.write(self._stdin, s)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(s)

    def shutdown_write(self) -> None:
        """Close stdin."""
        if self._stdin >= 0 and self._process.stdin is not None:
            self._stdin = -1
            self._process.stdin.close()

    def fileno(self) -> int:
        """Return a descriptor that is readable when an output stream is."""
        return self._epoll.fileno()

    def terminate(self) -> None:
        """End the process group, which may clean up first; may be called from any thread."""
        self._is_terminated = True
        self._termination = terminate_group(self._process)

    def close(self) -> None:
        """Close the pipes, end the process group and reap the process."""
        self._is_terminated = True
        if self._termination is not None:
            # A shell that writes to a closed pipe ends without its clean-up.
            self._termination.join()
        self._resources.close()

    def _is_readable(self, descriptor: int) -> bool:
        return descriptor in self._open_outputs and _poll(descriptor, _READABLE)

    def _read(self, descriptor: int, nbytes: int) -> bytes:
        try:
            data = os.read(descriptor, nbytes)
        except BlockingIOError:
            return b""
        if not data:
            self._open_outputs.discard(descriptor)
            self._epoll.unregister(descriptor)
        return data


class ChannelRegistry:
    """The channels of one transport that are open; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: tuple[ProcessChannel, ...] = ()

    def add(self, channel: ProcessChannel) -> ProcessChannel:
        """Register an open channel and return it."""
        with self._lock:
            self._channels = (*(c for c in self._channels if not c.closed), channel)
        return channel

    def terminate_all(self) -> None:
        """End the processes of all open channels."""
        with self._lock:
            channels = self._channels
        for channel in channels:
            channel.terminate()


def _fileno(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise OSError(errno.EBADF, "the process has no pipe")
    return pipe.fileno()


def _poll(descriptor: int, events: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, events)
    return bool(poller.poll(0))
