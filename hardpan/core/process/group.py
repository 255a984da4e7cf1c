"""Signals to the process group of a local program."""

import contextlib
import os
import signal
import subprocess
import threading
import time

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL."""

Process = subprocess.Popen[bytes]
"""A running program."""


def kill_group(p: Process) -> None:
    """Send SIGKILL to the process group of a running program; may be called from any thread."""
    if p.returncode is None:
        signal_group(p, signal.SIGKILL)


def terminate_group(p: Process) -> threading.Thread:
    """Send SIGTERM to the process group of a running program; may be called from any thread.

    The thread that it returns sends SIGKILL when the group has not ended after ``GRACE_S``. So a
    shell can remove what it created.
    """
    if p.returncode is None:
        signal_group(p, signal.SIGTERM)
    # Not a daemon: the interpreter must not exit before the group has ended.
    thread = threading.Thread(target=_kill_after_grace, args=(p,))
    thread.start()
    return thread


def _kill_after_grace(p: Process) -> None:
    if not await_group_end(p):
        signal_group(p, signal.SIGKILL)


def await_group_end(p: Process) -> bool:
    """Return whether the group ends within ``GRACE_S``; its first process may end before others.

    Processes of another user cannot be signalled and are not awaited.
    """
    deadline_s = time.monotonic() + GRACE_S
    while time.monotonic() < deadline_s:
        p.poll()
        try:
            os.killpg(p.pid, 0)
        except OSError:
            return True
        time.sleep(0.02)
    return False


def stop(p: Process, *, grace_s: float = GRACE_S) -> None:
    """Send SIGTERM to a running program, SIGKILL to its group after ``grace_s``, and reap it."""
    if p.poll() is None and grace_s:
        signal_group(p, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(timeout=grace_s)
    signal_group(p, signal.SIGKILL)
    p.wait()


def signal_group(p: Process, signal_number: signal.Signals) -> None:
    """Send a signal to the process group; one that has ended, or of another user, is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(p.pid, signal_number)
