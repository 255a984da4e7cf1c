"""The standard streams of this process: missing, closed or full ones included."""

import contextlib
import os
import select
import sys
from typing import IO


def open_missing_streams() -> None:
    """Open ``/dev/null`` in place of a standard stream that the caller closed.

    Otherwise the next opened file gets its number, and a library's output to stderr goes into that
    file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def has_no_reader(stream: IO[str] | None) -> bool:
    """True if the other end of the pipe or socket behind ``stream`` is closed."""
    try:
        descriptor = -1 if stream is None else stream.fileno()
    except (OSError, ValueError):  # not a real file, as in tests; or closed
        return False
    if descriptor < 0:
        return False
    poller = select.poll()
    poller.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(0))


def redirect_to_null(stream: IO[str] | None) -> None:
    """Redirect ``stream``, its buffer included, to ``/dev/null``.

    Otherwise the interpreter tries to write the buffer at exit, and reports the failure.
    """
    with contextlib.suppress(OSError, ValueError):
        descriptor = -1 if stream is None else stream.fileno()
        if descriptor < 0:
            return
        null_descriptor = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null_descriptor, descriptor)
        finally:
            os.close(null_descriptor)


def flush_standard_streams() -> None:
    """Flush stdout and stderr; discard their buffers if that fails.

    The interpreter would try again at exit, and replace the exit code by 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            redirect_to_null(stream)
