"""This machine's pip, with the settings that its owner gave it and no others."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hardpan.core.process import CompletedProcess, run

_ENV_PREFIXES = ("PIP_", "SSL_CERT_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy")


def run_pip(
    arguments: Sequence[str | Path], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> CompletedProcess:
    """Run pip; ``env`` is laid over where this machine's pip looks for packages.

    Raises:
        ToolError: it failed, or did not end in time.
    """
    argv: list[str | Path] = [sys.executable, "-m", "pip", *arguments]
    argv.append("--disable-pip-version-check")
    return run(argv, timeout_s=timeout_s, env={**_pip_environment(), **(env or {})})


def _pip_environment() -> dict[str, str]:
    """Where this machine's pip looks: its own settings, which the door to processes drops."""
    return {k: v for k, v in os.environ.items() if k.startswith(_ENV_PREFIXES)}
