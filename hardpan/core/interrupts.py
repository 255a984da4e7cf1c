"""SIGINT and SIGTERM as exceptions, so that stages and processes clean up as after an error."""

import contextlib
import os
import signal
import sys

from hardpan.core.errors import TerminationInterrupt

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLEANUP_MESSAGE = b"hardpan: still cleaning up; one more signal ends it at once\n"


def install() -> None:
    """Raise exceptions for both signals, except one that the caller ignores (``nohup``, ``&``)."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle_signal)


def uninstall() -> None:
    """Let a signal end this process at once; nothing is left to clean up."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _handle_signal:
            signal.signal(number, signal.SIG_DFL)


def find_interrupt(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt that ``error`` is, or that was being handled when it was raised."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        if isinstance(error, KeyboardInterrupt):
            return error
        visited.add(id(error))
        error = error.__cause__ or error.__context__
    return None


class _InterruptHandler:
    """Raises at the first signal. During the cleanup a second signal warns, and a third kills."""

    def __init__(self) -> None:
        self._has_warned = False

    def __call__(self, number: int, _frame: object) -> None:
        # An exception now would stop the cleanup after the first signal.
        if find_interrupt(sys.exception()) is None:
            raise TerminationInterrupt if number == signal.SIGTERM else KeyboardInterrupt
        if self._has_warned:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._has_warned = True
        with contextlib.suppress(OSError):
            os.write(2, _CLEANUP_MESSAGE)  # not a stream: the interrupted code may hold its lock


_handle_signal = _InterruptHandler()
