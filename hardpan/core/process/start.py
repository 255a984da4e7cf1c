"""Start a local program, and describe its failure."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.events import ProcessEnded, ProcessStarted, publish
from hardpan.core.process.environment import build_environment
from hardpan.core.process.group import Process, stop
from hardpan.core.redaction import REDACTED

Argv = Sequence[str | os.PathLike[str]]

MAX_TAIL_LINES = 15
"""Lines of output in an error."""


@contextlib.contextmanager
def start(
    argv: Argv,
    redacted_argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    has_stdin: bool,
    hint: str,
) -> Iterator[Process]:
    """Start a program with pipes for the length of a block; an error in the block kills its group.

    Raises:
        ToolError: the program is missing, or ``cwd`` is not a folder.
    """
    p = start_with_pipes(argv, redacted_argv, cwd=cwd, env=env, has_stdin=has_stdin, hint=hint)
    start_s = time.monotonic()
    try:
        publish(ProcessStarted(process_id=p.pid, argv=redacted_argv))
        yield p
    except BaseException:
        stop(p, grace_s=0.0)
        raise
    finally:
        for pipe in (p.stdin, p.stdout, p.stderr):
            if pipe is not None:
                pipe.close()
        publish_end(p, redacted_argv, start_s)


def start_with_pipes(
    argv: Argv,
    redacted_argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    has_stdin: bool,
    hint: str = "",
) -> Process:
    """Start a program with pipes for its outputs, and for stdin with ``has_stdin``.

    Raises:
        ToolError: the program is missing, or ``cwd`` is not a folder.
    """
    try:
        return subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.PIPE if has_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=build_environment(env),
            process_group=0,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as e:
        if cwd is not None and not cwd.is_dir():
            raise ToolError(redacted_argv, f"cannot run in {cwd}, which is not a folder") from e
        raise start_error(redacted_argv, e, hint) from e


def start_error(redacted_argv: tuple[str, ...], error: OSError, hint: str = "") -> ToolError:
    """Return the error of a program that the system does not start."""
    problem = "cannot be executed" if isinstance(error, PermissionError) else "is not installed"
    return ToolError(
        redacted_argv, problem, hint=hint or "'hardpan doctor' shows how to install it"
    )


def describe_exit(code: int) -> str:
    """Describe a return code of Popen; a negative one is a signal."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"exited with {code}"


def publish_end(p: Process, redacted_argv: tuple[str, ...], start_s: float) -> None:
    """Publish the end of a program that was started at ``start_s`` (monotonic)."""
    duration_s = time.monotonic() - start_s
    publish(
        ProcessEnded(
            process_id=p.pid, argv=redacted_argv, exit_status=p.returncode, duration_s=duration_s
        )
    )


def redact(text: str, secrets: Sequence[str]) -> str:
    """Replace each secret in ``text``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    return text
