"""Run a local program to its end."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.core.errors import ToolError
from hardpan.core.process.group import GRACE_S, Process
from hardpan.core.process.start import MAX_TAIL_LINES, Argv, describe_exit, redact, start


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
    redacted_argv = tuple(redact(str(a), secrets) for a in argv)
    start_s = time.monotonic()
    with start(argv, redacted_argv, cwd=cwd, env=env, has_stdin=stdin is not None, hint=hint) as p:
        try:
            stdout_bytes, stderr_bytes = _communicate(p, stdin, timeout_s, on_line)
        except subprocess.TimeoutExpired as e:
            raise ToolError(redacted_argv, f"did not end within {timeout_s:g} s", hint=hint) from e
    stdout, stderr = (
        redact(b.decode("utf-8", "replace"), secrets) for b in (stdout_bytes, stderr_bytes)
    )
    if p.returncode not in ok:
        output_tail = "\n".join((stderr.strip() or stdout.strip()).splitlines()[-MAX_TAIL_LINES:])
        raise ToolError(
            redacted_argv, describe_exit(p.returncode), output_tail=output_tail, hint=hint
        )
    return CompletedProcess(
        argv=redacted_argv,
        returncode=p.returncode,
        stdout=stdout,
        stderr=stderr,
        duration_s=time.monotonic() - start_s,
    )


def _communicate(
    p: Process,
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
        reader.join(timeout=GRACE_S)
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
