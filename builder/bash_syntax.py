"""Whether a script is valid shell: the part of the kickstart's check that needs a program."""

from hardpan.core.process import run

_TIMEOUT_S = 20.0


def syntax_error(script: str) -> str:
    """What ``bash -n`` has against ``script``, on one line; empty when nothing.

    Raises:
        ToolError: bash is missing or hangs.
    """
    result = run(["bash", "-n"], timeout_s=_TIMEOUT_S, ok=(0, 1, 2), stdin=script.encode("utf-8"))
    return " ".join(result.stderr.split()) if result.returncode else ""
