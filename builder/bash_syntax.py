"""Check the syntax of shell scripts with bash."""

from functools import lru_cache

from hardpan.core.process import run

_TIMEOUT_S = 20.0


@lru_cache(maxsize=64)
def syntax_error(script: str) -> str:
    """Return the error that ``bash -n`` reports for ``script``, on one line; empty if none.

    Preflight and build check the same scripts: each is checked once a process.

    Raises:
        ToolError: bash is missing or exceeds its time limit.
    """
    result = run(["bash", "-n"], timeout_s=_TIMEOUT_S, ok=(0, 1, 2), stdin=script.encode("utf-8"))
    return " ".join(result.stderr.split()) if result.returncode else ""
