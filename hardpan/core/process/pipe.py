"""Pipe data through a program, with a limit for its output."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterable
from typing import IO

from hardpan.core.errors import ToolError
from hardpan.core.process.group import GRACE_S, Process, kill_group
from hardpan.core.process.start import MAX_TAIL_LINES, Argv, describe_exit, start

_MAX_TAIL_BYTES = 64 << 10
_BLOCK_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20
"""The largest pipe of a user without privileges: /proc/sys/fs/pipe-max-size."""


def pipe_through(
    argv: Argv,
    chunks: Iterable[bytes],
    *,
    timeout_s: float,
    max_output_bytes: int,
    hint: str = "",
) -> bytes:
    """Run a program to its end with ``chunks`` as its stdin, and return its stdout.

    Chunks are written as they arrive, so that neither side holds all of them; the output is
    limited. The time limit includes the time to produce ``chunks``.

    Raises:
        ToolError: the program is missing, it does not exit with 0, it ran longer than
            ``timeout_s`` seconds, or it wrote more than ``max_output_bytes``.
    """
    argv_text = tuple(str(a) for a in argv)
    with start(argv, argv_text, cwd=None, env=None, has_stdin=True, hint=hint) as p:
        stdout_reader, stderr_reader = (
            _PipeReader(p, p.stdout, max_output_bytes),
            _PipeReader(p, p.stderr, None),
        )
        watchdog = threading.Timer(timeout_s, kill_group, (p,))
        start_s = time.monotonic()
        watchdog.start()
        try:
            _write_stdin(p, chunks)
            p.wait()
        finally:
            watchdog.cancel()
            kill_group(p)
        duration_s = time.monotonic() - start_s
        stdout_reader.join(GRACE_S)
        stderr_reader.join(GRACE_S)
    if stdout_reader.has_exceeded_limit:
        raise ToolError(argv_text, f"wrote more than {max_output_bytes} bytes", hint=hint)
    if p.returncode < 0 and duration_s >= timeout_s:
        raise ToolError(argv_text, f"did not end within {timeout_s:g} s", hint=hint)
    if p.returncode != 0:
        output_tail = "\n".join(
            stderr_reader.data.decode("utf-8", "replace").strip().splitlines()[-MAX_TAIL_LINES:]
        )
        raise ToolError(argv_text, describe_exit(p.returncode), output_tail=output_tail, hint=hint)
    return bytes(stdout_reader.data)


class _PipeReader(threading.Thread):
    """Reads a program's output: up to a limit, or without one its last part."""

    def __init__(self, p: Process, pipe: IO[bytes] | None, max_bytes: int | None):
        super().__init__(daemon=True)
        self._process = p
        self._pipe = pipe
        self._max_bytes = max_bytes
        self.data = bytearray()
        self.has_exceeded_limit = False
        self.start()

    def run(self) -> None:
        """Read until the program closes the pipe."""
        if self._pipe is None:
            return
        with contextlib.suppress(ValueError, OSError):  # closed: the run was ended
            while block := os.read(self._pipe.fileno(), _BLOCK_BYTES):
                self.data += block
                if self._max_bytes is None:
                    del self.data[:-_MAX_TAIL_BYTES]
                elif len(self.data) > self._max_bytes:
                    self.has_exceeded_limit = True
                    self.data.clear()
                    kill_group(self._process)
                    return


def _write_stdin(p: Process, chunks: Iterable[bytes]) -> None:
    """Write a program's stdin; a program that stops reading is no error."""
    if p.stdin is None:
        return
    try:
        _enlarge_pipe(p.stdin)
        with contextlib.suppress(BrokenPipeError):
            for chunk in chunks:
                p.stdin.write(chunk)
    finally:
        with contextlib.suppress(BrokenPipeError):  # it flushes
            p.stdin.close()


def _enlarge_pipe(pipe: IO[bytes]) -> None:
    """Let a pipe hold some chunks: with Linux' 64 KiB, both processes wait for each other.

    A user may have few large pipes, and some kernels none; a smaller one works, too.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
