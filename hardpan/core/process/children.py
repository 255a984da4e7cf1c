"""Programs that run for the length of a ``with`` block."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from hardpan.core.events import ProcessStarted, publish
from hardpan.core.process.environment import build_environment, find_program
from hardpan.core.process.group import GRACE_S, Process, await_group_end, signal_group, stop
from hardpan.core.process.start import Argv, publish_end, redact, start_error, start_with_pipes

# The kernel sends the signal only if the parent ends after the request for it (prctl(2)). A parent
# that ended before is not this program's parent any more.
_EXEC_IF_PARENT_IS_ALIVE = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'


@contextlib.contextmanager
def spawn(
    argv: Argv,
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> Iterator[Process]:
    """Keep a program running for the length of a ``with`` block.

    Its output goes to the file ``log``. Its process group gets SIGTERM when the block ends, and
    SIGKILL five seconds later. The program does not outlive this process, however that ends.

    Raises:
        ToolError: the program is missing.
    """
    redacted_argv = tuple(redact(str(a), secrets) for a in argv)
    with log.open("ab") as log_file:
        try:
            p = subprocess.Popen(
                _with_parent_death([str(a) for a in argv]),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=build_environment(env),
                pass_fds=tuple(pass_fds),
                process_group=0,
            )
        except FileNotFoundError as e:
            raise start_error(redacted_argv, e) from e
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=redacted_argv))
        yield p
    finally:
        stop(p)
        publish_end(p, redacted_argv, start_s)


@contextlib.contextmanager
def open_with_pipes(
    argv: Argv, *, label: Sequence[str], cwd: Path | None, env: Mapping[str, str]
) -> Iterator[Process]:
    """Keep a program running for the length of a block, which reads and writes its three pipes.

    ``label`` replaces the argv in events and errors: the argv may contain a long script. When the
    block ends, stdin is closed and the process group gets SIGTERM, and SIGKILL five seconds later:
    a shell can remove what it created. A program that runs as another user cannot be killed; it is
    not awaited for longer.

    Raises:
        ToolError: the program is missing, or ``cwd`` is not a folder.
        OSError: the system cannot start a process.
    """
    p = start_with_pipes(argv, tuple(label), cwd=cwd, env=env, has_stdin=True)
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=tuple(label)))
        yield p
    finally:
        _close_pipe(p.stdin)
        if p.poll() is None:
            signal_group(p, signal.SIGTERM)
            await_group_end(p)
        # Only now: a shell that writes to a closed pipe ends without its clean-up.
        _close_pipe(p.stdout)
        _close_pipe(p.stderr)
        signal_group(p, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(timeout=GRACE_S)
        publish_end(p, tuple(label), start_s)


@contextlib.contextmanager
def open_on_socket(
    argv: Argv, *, label: Sequence[str], log: Path, env: Mapping[str, str]
) -> Iterator[socket.socket]:
    """Keep a program running for the length of a block; yield a socket to its stdin and stdout.

    Its stderr goes to the file ``log``. ``label`` replaces the argv in events and errors. Its
    process group gets SIGTERM when the block ends, and SIGKILL five seconds later.

    Raises:
        ToolError: the program is missing.
    """
    near, far = socket.socketpair()
    with near, log.open("ab") as log_file:
        with far:
            try:
                p = subprocess.Popen(
                    [str(a) for a in argv],
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=log_file,
                    env=build_environment(env),
                    process_group=0,
                )
            except (FileNotFoundError, PermissionError) as e:
                raise start_error(tuple(label), e) from e
        start_s = time.monotonic()
        try:
            publish(ProcessStarted(process_id=p.pid, argv=tuple(label)))
            yield near
        finally:
            near.close()
            stop(p)
            publish_end(p, tuple(label), start_s)


def _close_pipe(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def _with_parent_death(argv: list[str]) -> list[str]:
    """Return ``argv`` with what makes the kernel end the program when this process ends."""
    setpriv = find_program("setpriv")
    if setpriv is None:
        return argv
    check = ["sh", "-c", _EXEC_IF_PARENT_IS_ALIVE, "sh", str(os.getpid())]
    return [str(setpriv), "--pdeathsig", "KILL", "--", *check, *argv]
