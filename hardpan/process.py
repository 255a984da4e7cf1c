"""The one door through which every local process starts and ends.

Every program gets an argv list, an empty stdin unless bytes are given, a short
rebuilt environment and a process group of its own. The group is killed as a
whole when the time is up or when anything else goes wrong, so that no
grandchild outlives the call.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.errors import ToolError
from hardpan.events import ProcessEnded, ProcessStarted, publish
from hardpan.redaction import REDACTED

_TAIL_LINES = 15
_MAX_TAIL = 64 << 10
_BLOCK = 1 << 16
_GRACE_S = 5.0
_KEPT = ("HOME", "PATH", "TMPDIR", "SOURCE_DATE_EPOCH")
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

Argv = Sequence[str | os.PathLike[str]]
Process = subprocess.Popen[bytes]
"""A program that ``spawn`` keeps running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ended with one of the exit codes that were allowed."""

    argv: tuple[str, ...]
    """What ran, with secrets redacted."""

    returncode: int
    """Its exit code."""

    stdout: str
    """What it wrote to stdout, decoded as UTF-8 with replacement."""

    stderr: str
    """What it wrote to stderr, likewise."""

    took_s: float
    """Wall-clock seconds."""


def which(program: str) -> Path | None:
    """Where ``program`` lies on this machine, the sbin folders included."""
    found = shutil.which(program, path=_path())
    return Path(found) if found else None


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
) -> Completed:
    """Run a program to its end.

    ``env`` is laid over the short environment; ``on_line`` is called with each
    line of stderr as it comes (from another thread), for progress.

    Raises:
        ToolError: the program is missing, its exit code is not in ``ok``, it
            was ended by a signal, or it ran past ``timeout_s`` seconds.
    """
    shown = tuple(_redact(str(a), secrets) for a in argv)
    began = time.monotonic()
    with _started(argv, shown, cwd=cwd, env=env, piped=stdin is not None, hint=hint) as p:
        try:
            out, err = _communicate(p, stdin, timeout_s, on_line)
        except subprocess.TimeoutExpired as e:
            raise ToolError(shown, f"did not end within {timeout_s:g} s", hint=hint) from e
    text, talk = (_redact(b.decode("utf-8", "replace"), secrets) for b in (out, err))
    if p.returncode not in ok:
        tail = "\n".join((talk.strip() or text.strip()).splitlines()[-_TAIL_LINES:])
        raise ToolError(shown, _ending(p.returncode), tail=tail, hint=hint)
    return Completed(
        argv=shown,
        returncode=p.returncode,
        stdout=text,
        stderr=talk,
        took_s=time.monotonic() - began,
    )


def feed(
    argv: Argv,
    chunks: Iterable[bytes],
    *,
    timeout_s: float,
    max_output_bytes: int,
    hint: str = "",
) -> bytes:
    """Run a program to its end, and return what it writes to stdout.

    ``chunks`` are written to its stdin as they come, so that neither side ever needs all of
    them; what the program writes is bounded. The time limit includes the time that ``chunks``
    take.

    Raises:
        ToolError: the program is missing, it does not exit with 0, it ran past ``timeout_s``
            seconds, or it wrote more than ``max_output_bytes``.
    """
    shown = tuple(str(a) for a in argv)
    with _started(argv, shown, cwd=None, env=None, piped=True, hint=hint) as p:
        output, talk = _Reader(p, p.stdout, max_output_bytes), _Reader(p, p.stderr, None)
        stop = threading.Timer(timeout_s, _kill, (p,))
        began = time.monotonic()
        stop.start()
        try:
            _write(p, chunks)
            p.wait()
        finally:
            stop.cancel()
            _kill(p)
        took_s = time.monotonic() - began
        output.join(_GRACE_S)
        talk.join(_GRACE_S)
    if output.is_over:
        raise ToolError(shown, f"wrote more than {max_output_bytes} bytes", hint=hint)
    if p.returncode < 0 and took_s >= timeout_s:
        raise ToolError(shown, f"did not end within {timeout_s:g} s", hint=hint)
    if p.returncode != 0:
        tail = "\n".join(talk.data.decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:])
        raise ToolError(shown, _ending(p.returncode), tail=tail, hint=hint)
    return bytes(output.data)


class _Reader(threading.Thread):
    """Takes what a program writes: up to a limit, or its end where there is no limit."""

    def __init__(self, p: subprocess.Popen[bytes], pipe: IO[bytes] | None, limit: int | None):
        super().__init__(daemon=True)
        self._process = p
        self._pipe = pipe
        self._limit = limit
        self.data = bytearray()
        self.is_over = False
        self.start()

    def run(self) -> None:
        """Read until the program closes the pipe."""
        if self._pipe is None:
            return
        with contextlib.suppress(ValueError, OSError):  # closed: the run was ended
            while block := os.read(self._pipe.fileno(), _BLOCK):
                self.data += block
                if self._limit is None:
                    del self.data[:-_MAX_TAIL]
                elif len(self.data) > self._limit:
                    self.is_over = True
                    self.data.clear()
                    _kill(self._process)
                    return


def _write(p: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
    """Give a program its stdin; one that reads no more is given none."""
    if p.stdin is None:
        return
    try:
        with contextlib.suppress(BrokenPipeError):
            for chunk in chunks:
                p.stdin.write(chunk)
    finally:
        with contextlib.suppress(BrokenPipeError):  # it flushes
            p.stdin.close()


def _kill(p: subprocess.Popen[bytes]) -> None:
    if p.returncode is None:
        _signal_group(p, signal.SIGKILL)


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

    What it says goes to the file ``log``. Its whole group gets SIGTERM when the
    block ends in whatever way, and SIGKILL five seconds later. The child also
    gets SIGKILL from the kernel should this process itself be killed.

    Raises:
        ToolError: the program is missing.
    """
    shown = tuple(_redact(str(a), secrets) for a in argv)
    with log.open("ab") as sink:
        try:
            p = subprocess.Popen(
                _with_parent_death([str(a) for a in argv]),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=_environment(env),
                pass_fds=tuple(pass_fds),
                process_group=0,
            )
        except FileNotFoundError as e:
            raise _missing(shown, e) from e
    began = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=shown))
        yield p
    finally:
        _end(p)
        _publish_end(p, shown, began)


@contextlib.contextmanager
def _started(
    argv: Argv,
    shown: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    piped: bool,
    hint: str,
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        p = subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=_environment(env),
            process_group=0,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as e:
        if cwd is not None and not cwd.is_dir():
            raise ToolError(shown, f"was to run in {cwd}, which is no folder") from e
        raise _missing(shown, e, hint) from e
    began = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=shown))
        yield p
    except BaseException:
        _end(p, grace_s=0.0)
        raise
    finally:
        for pipe in (p.stdin, p.stdout, p.stderr):
            if pipe is not None:
                pipe.close()
        _publish_end(p, shown, began)


def _communicate(
    p: subprocess.Popen[bytes],
    stdin: bytes | None,
    timeout_s: float,
    on_line: Callable[[str], None] | None,
) -> tuple[bytes, bytes]:
    if on_line is None:
        return p.communicate(stdin, timeout=timeout_s)
    if stdin is not None:
        raise ValueError("on_line and stdin do not go together")
    talk: list[bytes] = []
    text: list[bytes] = []
    readers = (
        threading.Thread(target=_drain, args=(p.stderr, talk, on_line), daemon=True),
        threading.Thread(target=_drain, args=(p.stdout, text, None), daemon=True),
    )
    for reader in readers:
        reader.start()
    p.wait(timeout=timeout_s)
    for reader in readers:
        reader.join(timeout=_GRACE_S)
    return b"".join(text), b"".join(talk)


def _drain(
    pipe: IO[bytes] | None,
    into: list[bytes],
    on_line: Callable[[str], None] | None,
) -> None:
    with contextlib.suppress(ValueError):  # the pipe was closed under us: the run was ended
        for line in pipe or ():
            into.append(line)
            if on_line is not None:
                on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


def _end(p: subprocess.Popen[bytes], *, grace_s: float = _GRACE_S) -> None:
    if p.poll() is None and grace_s:
        _signal_group(p, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(timeout=grace_s)
    _signal_group(p, signal.SIGKILL)
    p.wait()


def _publish_end(p: subprocess.Popen[bytes], shown: tuple[str, ...], began: float) -> None:
    duration_s = time.monotonic() - began
    publish(
        ProcessEnded(process_id=p.pid, argv=shown, exit_status=p.returncode, duration_s=duration_s)
    )


def _signal_group(p: subprocess.Popen[bytes], what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(p.pid, what)


def _with_parent_death(argv: list[str]) -> list[str]:
    setpriv = which("setpriv")
    return [str(setpriv), "--pdeathsig", "KILL", "--", *argv] if setpriv else argv


def _missing(shown: tuple[str, ...], why: OSError, hint: str = "") -> ToolError:
    said = "may not be run" if isinstance(why, PermissionError) else "is not installed"
    return ToolError(shown, said, hint=hint or "hardpan doctor tells how to get it")


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"exited with {code}"


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PATH": _path(), "LC_ALL": "C.UTF-8", **(extra or {})}


def _path() -> str:
    have = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*have, *(p for p in _SBIN if p not in have)])


def _redact(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    return text
