# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes in the guest: one way to start them, all their output in program.log."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .config_files import make_printable
from .plan import InstallError

SYSROOT = Path("/mnt/sysroot")
"""Where the new system is mounted."""

LOGS = Path("/tmp")  # noqa: S108  (EL's installer keeps its logs there; scripts read them)
_TAIL_LINES = 8
_START = time.monotonic()
_ENV = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
    # mkfs and lvm complain of descriptors that they inherit from the console.
    "LVM_SUPPRESS_FD_WARNINGS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """A process that ended."""

    exit_status: int
    output: str
    """Standard output and standard error, as they came."""


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: str = "",
    ok: Sequence[int] | None = (0,),
    chroot: bool = False,
    on_line: Callable[[str], None] | None = None,
    log: str = "program",
) -> ProcessResult:
    """Run a program to its end; lines go to ``on_line`` and to the log as they come.

    Raises:
        InstallError: it is missing, ran too long, or ended with a code not in ``ok``.
    """
    command = ["chroot", str(SYSROOT), *argv] if chroot else list(argv)
    append_log(log, f"Running... {' '.join(command)}")
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_ENV,
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as e:
        raise InstallError(f"{command[0]} cannot be started: {e.strerror}") from e
    # A timer, because reading lines blocks: the group goes, the pipe closes.
    expired = threading.Event()
    timer = threading.Timer(timeout_s, _kill_group, (process.pid, expired))
    timer.start()
    lines: list[str] = []
    try:
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        assert process.stdout is not None  # noqa: S101  (for the type checker)
        for line in process.stdout:
            lines.append(line)
            append_log(log, make_printable(line))
            if on_line is not None:
                on_line(line)
        exit_status = process.wait()
    finally:
        timer.cancel()
    result = ProcessResult(exit_status=exit_status, output="".join(lines))
    if expired.is_set():
        raise InstallError(f"{argv[0]} did not end within {timeout_s:.0f} s{_format_tail(lines)}")
    if ok is not None and exit_status not in ok:
        raise InstallError(f"{argv[0]} exited with {exit_status}{_format_tail(lines)}")
    return result


def append_log(log: str, line: str) -> None:
    """Add a line to one of the logs, with the seconds since the start."""
    with (LOGS / f"{log}.log").open("a", encoding="utf-8") as f:
        f.write(f"{time.monotonic() - _START:7.1f} {line}\n")


def _kill_group(group: int, expired: threading.Event) -> None:
    expired.set()
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _format_tail(lines: Sequence[str]) -> str:
    tail = [make_printable(x) for x in lines if x.strip()][-_TAIL_LINES:]
    return f": {' | '.join(tail)}" if tail else ""
