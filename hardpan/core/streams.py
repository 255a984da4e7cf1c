"""The three standard streams of this process, whatever the caller made of them."""

import contextlib
import os
import select
import sys
from typing import IO


def open_missing_streams() -> None:
    """Open ``/dev/null`` in place of a standard stream that the caller closed.

    Otherwise the next file that is opened gets its number, and what a library writes to stderr
    goes into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def has_no_reader(stream: IO[str] | None) -> bool:
    """True when the other end of the pipe or socket behind ``stream`` is closed."""
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
    """Send what ``stream`` still holds, and all that follows, to ``/dev/null``.

    Otherwise the interpreter tries to write the rest at its end, and reports that it could not.
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
    """Write what stdout and stderr hold; discard it where that fails.

    The interpreter would try again at its end, and replace the exit code by 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            redirect_to_null(stream)
