"""Run a program that reads untrusted data, with limits of memory, time and written files.

A time limit is not enough: an image of a few megabytes can make its reader allocate all memory, or
write until the disk is full.
"""

import resource
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.process import Argv, CompletedProcess, find_program, run

_PRLIMIT = "prlimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Resource limits of a program (setrlimit(2))."""

    max_file_bytes: int
    """Size of the largest file that it may write."""

    max_memory_bytes: int
    """Address space."""

    max_cpu_s: int | None = None
    """Processor seconds; None for no limit."""


def run_limited(
    argv: Argv,
    *,
    limits: ProcessLimits,
    timeout_s: float,
    stdout_file: Path | None = None,
    env: Mapping[str, str] | None = None,
    hint: str = "",
) -> CompletedProcess:
    """Run a program to its end within ``limits``.

    ``stdout_file`` receives its stdout, so that ``limits.max_file_bytes`` applies to it too.

    Raises:
        ToolError: the program is missing, its exit status is not 0, it reached a limit, or it ran
            longer than ``timeout_s`` seconds.
    """
    if find_program(_PRLIMIT) is None:
        raise ToolError([_PRLIMIT], "is not installed", hint="it is part of util-linux")
    if find_program(str(argv[0])) is None:
        missing_hint = hint or "'hardpan doctor' shows how to install it"
        raise ToolError([str(argv[0])], "is not installed", hint=missing_hint)
    prefix: list[str | Path] = [_PRLIMIT, *_prlimit_options(limits), "--"]
    if stdout_file is not None:
        prefix += ["sh", "-c", 'exec "$@" >"$0"', stdout_file]
    try:
        return run([*prefix, *argv], timeout_s=timeout_s, env=env, hint=hint)
    except ToolError as e:
        raise _without_prlimit(e, e.argv[len(prefix) :]) from e


def _prlimit_options(limits: ProcessLimits) -> Iterator[str]:
    """Yield the options of prlimit; an existing lower limit stays, since it cannot be raised."""
    limits_by_option = (
        ("--fsize", resource.RLIMIT_FSIZE, limits.max_file_bytes),
        ("--as", resource.RLIMIT_AS, limits.max_memory_bytes),
        ("--cpu", resource.RLIMIT_CPU, limits.max_cpu_s),
        ("--core", resource.RLIMIT_CORE, 0),
    )
    for option, resource_id, limit in limits_by_option:
        if limit is None:
            continue
        _, hard_limit = resource.getrlimit(resource_id)
        is_limited = hard_limit != resource.RLIM_INFINITY
        yield f"{option}={min(limit, hard_limit) if is_limited else limit}"


def _without_prlimit(error: ToolError, argv: Sequence[str]) -> ToolError:
    """Return the error as an error of the program itself, not of prlimit."""
    problem = str(error).removeprefix(f"{_PRLIMIT} ")
    return ToolError(argv, problem, output_tail=error.output_tail, hint=error.hint)
