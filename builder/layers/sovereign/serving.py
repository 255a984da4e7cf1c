"""Runs llama.cpp's own server, and tells systemd whether it still answers.

Its web parts answer to /openapi.json even while the model works, so a long answer is
not taken for a hang.
"""

import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from .digests import checked
from .keeper import keep
from .web import HOST

_ASKED = "/openapi.json"


def arguments(settings: Mapping[str, object], processors: int) -> list[str]:
    """The command line of ``llama_cpp.server``."""
    threads = str(settings["threads"] or processors)
    return [
        "llama_cpp.server",
        *("--host", HOST),
        *("--port", str(settings["port"])),
        *("--model", str(settings["model"])),
        *("--model_alias", str(settings["alias"])),
        *("--n_ctx", str(settings["context"])),
        *("--n_threads", threads, "--n_threads_batch", threads),
        # One answer is finished before the next begins; the default cuts it off instead.
        *("--interrupt_requests", "false"),
        *("--use_mlock", "false"),
        *("--verbose", "false"),
    ]


def serve(settings: Mapping[str, object], processors: int) -> None:
    """Serve until stopped.

    Raises:
        ValueError: the model's file is not the one in its list of digests.
    """
    checked(Path(str(settings["model"])).parent)
    sys.argv = arguments(settings, processors)
    keep(int(str(settings["port"])), _ASKED)
    runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
