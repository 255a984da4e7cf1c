"""The three standard streams of this process, whatever the caller made of them."""

import contextlib
import os
import select
import sys
from typing import IO


def open_missing() -> None:
    """Open ``/dev/null`` in place of a standard stream that the caller closed.

    Otherwise the next file that is opened gets its number, and what a library writes to stderr
    goes into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def has_no_reader(stream: IO[str] | None) -> bool:
    """True when the other end of the pipe or socket behind ``stream`` is closed."""
    try:
        number = -1 if stream is None else stream.fileno()
    except (OSError, ValueError):  # not a real file, as in tests; or closed
        return False
    if number < 0:
        return False
    waiting = select.poll()
    waiting.register(number, 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in waiting.poll(0))


def discard(stream: IO[str] | None) -> None:
    """Send what ``stream`` still holds, and all that follows, to ``/dev/null``.

    Otherwise the interpreter tries to write the rest at its end, and reports that it could not.
    """
    with contextlib.suppress(OSError, ValueError):
        number = -1 if stream is None else stream.fileno()
        if number < 0:
            return
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, number)
        finally:
            os.close(null)


def flush_all() -> None:
    """Write what stdout and stderr hold; discard it where that fails.

    The interpreter would try again at its end, and replace the exit code by 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            discard(stream)
