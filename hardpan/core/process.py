"""Start and stop every local process.

Every program gets an argv list, an empty stdin unless bytes are passed, a short rebuilt environment
and its own process group. The group is killed as a whole on a timeout or any error, so that no
grandchild outlives the call.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.core.errors import ToolError
from hardpan.core.events import ProcessEnded, ProcessStarted, publish
from hardpan.core.redaction import REDACTED

_MAX_TAIL_LINES = 15
_MAX_TAIL_BYTES = 64 << 10
_BLOCK_BYTES = 1 << 16
_GRACE_S = 5.0
_INHERITED_ENV = ("HOME", "PATH", "TMPDIR", "SOURCE_DATE_EPOCH")
_SBIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

Argv = Sequence[str | os.PathLike[str]]
Process = subprocess.Popen[bytes]
"""A program that ``spawn`` keeps running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedProcess:
    """A program that ended with an accepted exit code."""

    argv: tuple[str, ...]
    """The command, secrets redacted."""

    returncode: int
    """Its exit code."""

    stdout: str
    """Its stdout, decoded as UTF-8 with replacement."""

    stderr: str
    """Its stderr, decoded likewise."""

    duration_s: float
    """Wall-clock seconds."""


def find_program(program: str) -> Path | None:
    """Return the path of ``program`` on this machine, sbin folders included; None without one."""
    path = shutil.which(program, path=_search_path())
    return Path(path) if path else None


def run(
    argv: Argv,
    *,
    timeout_s: float,
    ok: Sequence[int] = (0,),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    secrets: Sequence[str] = (),
    on_line: Callable[[str], None] | None = None,
    hint: str = "",
) -> CompletedProcess:
    """Run a program to its end.

    ``env`` extends the short environment; ``on_line`` is called with each line of stderr as it
    arrives (from another thread), for progress.

    Raises:
        ToolError: the program is missing, its exit code is not in ``ok``, it
            was ended by a signal, or it ran longer than ``timeout_s`` seconds.
    """
    redacted_argv = tuple(_redact(str(a), secrets) for a in argv)
    start_s = time.monotonic()
    with _start(argv, redacted_argv, cwd=cwd, env=env, has_stdin=stdin is not None, hint=hint) as p:
        try:
            stdout_bytes, stderr_bytes = _communicate(p, stdin, timeout_s, on_line)
        except subprocess.TimeoutExpired as e:
            raise ToolError(redacted_argv, f"did not end within {timeout_s:g} s", hint=hint) from e
    stdout, stderr = (
        _redact(b.decode("utf-8", "replace"), secrets) for b in (stdout_bytes, stderr_bytes)
    )
    if p.returncode not in ok:
        output_tail = "\n".join((stderr.strip() or stdout.strip()).splitlines()[-_MAX_TAIL_LINES:])
        raise ToolError(
            redacted_argv, _describe_exit(p.returncode), output_tail=output_tail, hint=hint
        )
    return CompletedProcess(
        argv=redacted_argv,
        returncode=p.returncode,
        stdout=stdout,
        stderr=stderr,
        duration_s=time.monotonic() - start_s,
    )


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
    with _start(argv, argv_text, cwd=None, env=None, has_stdin=True, hint=hint) as p:
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
        stdout_reader.join(_GRACE_S)
        stderr_reader.join(_GRACE_S)
    if stdout_reader.has_exceeded_limit:
        raise ToolError(argv_text, f"wrote more than {max_output_bytes} bytes", hint=hint)
    if p.returncode < 0 and duration_s >= timeout_s:
        raise ToolError(argv_text, f"did not end within {timeout_s:g} s", hint=hint)
    if p.returncode != 0:
        output_tail = "\n".join(
            stderr_reader.data.decode("utf-8", "replace").strip().splitlines()[-_MAX_TAIL_LINES:]
        )
        raise ToolError(argv_text, _describe_exit(p.returncode), output_tail=output_tail, hint=hint)
    return bytes(stdout_reader.data)


class _PipeReader(threading.Thread):
    """Reads a program's output: up to a limit, or without one its last part."""

    def __init__(self, p: subprocess.Popen[bytes], pipe: IO[bytes] | None, max_bytes: int | None):
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


def _write_stdin(p: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
    """Write a program's stdin; a program that stops reading is no error."""
    if p.stdin is None:
        return
    try:
        with contextlib.suppress(BrokenPipeError):
            for chunk in chunks:
                p.stdin.write(chunk)
    finally:
        with contextlib.suppress(BrokenPipeError):  # it flushes
            p.stdin.close()


@contextlib.contextmanager
def spawn(
    argv: Argv,
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a program running for the length of a ``with`` block.

    Its output goes to the file ``log``. Its process group gets SIGTERM when the block ends, and
    SIGKILL five seconds later. The kernel sends SIGKILL to the child if this process is killed.

    Raises:
        ToolError: the program is missing.
    """
    redacted_argv = tuple(_redact(str(a), secrets) for a in argv)
    with log.open("ab") as log_file:
        try:
            p = subprocess.Popen(
                _with_parent_death([str(a) for a in argv]),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=_build_environment(env),
                pass_fds=tuple(pass_fds),
                process_group=0,
            )
        except FileNotFoundError as e:
            raise _start_error(redacted_argv, e) from e
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=redacted_argv))
        yield p
    finally:
        _stop(p)
        _publish_end(p, redacted_argv, start_s)


@contextlib.contextmanager
def open_with_pipes(
    argv: Argv, *, label: Sequence[str], cwd: Path | None, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a program running for the length of a block, which reads and writes its three pipes.

    ``label`` replaces the argv in events and errors: the argv may contain a long script. When the
    block ends, stdin is closed and the process group gets SIGTERM, and SIGKILL five seconds later:
    a shell can remove what it created. A program that runs as another user cannot be killed; it is
    not awaited for longer.

    Raises:
        ToolError: the program is missing, or ``cwd`` is not a folder.
        OSError: the system cannot start a process.
    """
    p = _start_with_pipes(argv, tuple(label), cwd=cwd, env=env, has_stdin=True)
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=tuple(label)))
        yield p
    finally:
        _close_pipe(p.stdin)
        if p.poll() is None:
            _terminate_group(p)
        # Only now: a shell that writes to a closed pipe ends without its clean-up.
        _close_pipe(p.stdout)
        _close_pipe(p.stderr)
        _signal_group(p, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(timeout=_GRACE_S)
        _publish_end(p, tuple(label), start_s)


def _terminate_group(p: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the group and wait for its end; the first process may end before others."""
    _signal_group(p, signal.SIGTERM)
    deadline_s = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline_s:
        p.poll()
        try:
            os.killpg(p.pid, 0)
        except OSError:
            return
        time.sleep(0.02)


def _close_pipe(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


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
                    env=_build_environment(env),
                    process_group=0,
                )
            except (FileNotFoundError, PermissionError) as e:
                raise _start_error(tuple(label), e) from e
        start_s = time.monotonic()
        try:
            publish(ProcessStarted(process_id=p.pid, argv=tuple(label)))
            yield near
        finally:
            near.close()
            _stop(p)
            _publish_end(p, tuple(label), start_s)


def kill_group(p: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to the process group of a running program; may be called from any thread."""
    if p.returncode is None:
        _signal_group(p, signal.SIGKILL)


@contextlib.contextmanager
def _start(
    argv: Argv,
    redacted_argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    has_stdin: bool,
    hint: str,
) -> Iterator[subprocess.Popen[bytes]]:
    p = _start_with_pipes(argv, redacted_argv, cwd=cwd, env=env, has_stdin=has_stdin, hint=hint)
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=redacted_argv))
        yield p
    except BaseException:
        _stop(p, grace_s=0.0)
        raise
    finally:
        for pipe in (p.stdin, p.stdout, p.stderr):
            if pipe is not None:
                pipe.close()
        _publish_end(p, redacted_argv, start_s)


def _start_with_pipes(
    argv: Argv,
    redacted_argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    has_stdin: bool,
    hint: str = "",
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.PIPE if has_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=_build_environment(env),
            process_group=0,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as e:
        if cwd is not None and not cwd.is_dir():
            raise ToolError(redacted_argv, f"cannot run in {cwd}, which is not a folder") from e
        raise _start_error(redacted_argv, e, hint) from e


def _communicate(
    p: subprocess.Popen[bytes],
    stdin: bytes | None,
    timeout_s: float,
    on_line: Callable[[str], None] | None,
) -> tuple[bytes, bytes]:
    if on_line is None:
        return p.communicate(stdin, timeout=timeout_s)
    if stdin is not None:
        raise ValueError("expected on_line or stdin, got both")
    stderr_lines: list[bytes] = []
    stdout_lines: list[bytes] = []
    readers = (
        threading.Thread(
            target=_collect_lines, args=(p.stderr, stderr_lines, on_line), daemon=True
        ),
        threading.Thread(target=_collect_lines, args=(p.stdout, stdout_lines, None), daemon=True),
    )
    for reader in readers:
        reader.start()
    p.wait(timeout=timeout_s)
    for reader in readers:
        reader.join(timeout=_GRACE_S)
    return b"".join(stdout_lines), b"".join(stderr_lines)


def _collect_lines(
    pipe: IO[bytes] | None,
    lines: list[bytes],
    on_line: Callable[[str], None] | None,
) -> None:
    with contextlib.suppress(ValueError):  # the pipe is closed: the run has ended
        for line in pipe or ():
            lines.append(line)
            if on_line is not None:
                on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


def _stop(p: subprocess.Popen[bytes], *, grace_s: float = _GRACE_S) -> None:
    if p.poll() is None and grace_s:
        _signal_group(p, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(timeout=grace_s)
    _signal_group(p, signal.SIGKILL)
    p.wait()


def _publish_end(
    p: subprocess.Popen[bytes], redacted_argv: tuple[str, ...], start_s: float
) -> None:
    duration_s = time.monotonic() - start_s
    publish(
        ProcessEnded(
            process_id=p.pid, argv=redacted_argv, exit_status=p.returncode, duration_s=duration_s
        )
    )


def _signal_group(p: subprocess.Popen[bytes], signal_number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(p.pid, signal_number)


def _with_parent_death(argv: list[str]) -> list[str]:
    setpriv = find_program("setpriv")
    return [str(setpriv), "--pdeathsig", "KILL", "--", *argv] if setpriv else argv


def _start_error(redacted_argv: tuple[str, ...], error: OSError, hint: str = "") -> ToolError:
    problem = "cannot be executed" if isinstance(error, PermissionError) else "is not installed"
    return ToolError(
        redacted_argv, problem, hint=hint or "'hardpan doctor' shows how to install it"
    )


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"exited with {code}"


def _build_environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED_ENV if name in os.environ}
    return {**inherited, "PATH": _search_path(), "LC_ALL": "C.UTF-8", **(extra or {})}


def _search_path() -> str:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*folders, *(p for p in _SBIN_FOLDERS if p not in folders)])


def _redact(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    return text
