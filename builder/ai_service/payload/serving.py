"""Run the model server of llama.cpp or vLLM under a systemd watchdog.

The proxy and the egress rules control access; the servers have no API key.
"""

import os
import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .checksums import verify_checksums
from .http_server import HOST
from .watchdog import start_watchdog

Settings = Mapping[str, object]
_CACHE_DIR = "/var/lib/ai/llm/cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEngine:
    """A model server that is a Python module."""

    module: str
    arguments: Callable[[Settings, int], list[str]]
    """Returns the command line from the settings and the number of processors."""

    health_path: str
    """Path that returns 200 while the server is healthy, also during generation."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Set last, so that no environment file overrides them."""


def llama_cpp_arguments(settings: Settings, processors: int) -> list[str]:
    """Return the command line of ``llama_cpp.server``."""
    threads = str(settings["threads"] or processors)
    return [
        "llama_cpp.server",
        *("--host", HOST),
        *("--port", str(settings["port"])),
        *("--model", str(settings["model"])),
        *("--model_alias", str(settings["alias"])),
        *("--n_ctx", str(settings["context"])),
        *("--n_threads", threads, "--n_threads_batch", threads),
        # Finish a response before the next begins; the default interrupts it.
        *("--interrupt_requests", "false"),
        *("--use_mlock", "false"),
        *("--verbose", "false"),
    ]


def vllm_arguments(settings: Settings, _processors: int) -> list[str]:
    """Return the command line of ``vllm serve``."""
    return [
        "vllm",
        "serve",
        str(settings["model"]),
        *("--host", HOST),
        *("--port", str(settings["port"])),
        *("--served-model-name", str(settings["alias"])),
        *("--max-model-len", str(settings["context"])),
        *("--tensor-parallel-size", str(settings["gpus"])),
        # Never load pickles or run code shipped with a model.
        *("--load-format", "safetensors"),
        "--no-trust-remote-code",
        # Images are passed as URLs: a client could make the server fetch from the host itself.
        "--language-model-only",
        # Prompts stay out of the journal; the proxy writes the access log.
        "--no-enable-log-requests",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
    ]


ENGINES: Mapping[str, ServingEngine] = {
    "llama_cpp": ServingEngine(
        module="llama_cpp.server", arguments=llama_cpp_arguments, health_path="/openapi.json"
    ),
    "vllm": ServingEngine(
        module="vllm.entrypoints.cli.main",
        arguments=vllm_arguments,
        health_path="/health",
        environment={
            "DO_NOT_TRACK": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            # No plugins: vLLM's own would load adapters from folders.
            "VLLM_PLUGINS": "",
            # Its processes connect on the loopback and never look up an external address; the
            # same for the libraries below.
            "VLLM_HOST_IP": HOST,
            "NCCL_SOCKET_IFNAME": "lo",
            "GLOO_SOCKET_IFNAME": "lo",
            # Compiled code is reused: only in the server's own folder, where nothing else writes.
            "VLLM_CACHE_ROOT": f"{_CACHE_DIR}/vllm",
            "TORCHINDUCTOR_CACHE_DIR": f"{_CACHE_DIR}/inductor",
            "TORCH_EXTENSIONS_DIR": f"{_CACHE_DIR}/ext",
            "TRITON_CACHE_DIR": f"{_CACHE_DIR}/triton",
            "NUMBA_CACHE_DIR": f"{_CACHE_DIR}/numba",
        },
    ),
}


def serve(settings: Settings, processors: int) -> None:
    """Serve until stopped.

    Raises:
        ValueError: a file of the model does not match SHA256SUMS.
    """
    engine = ENGINES[str(settings["engine"])]
    verify_checksums(Path(str(settings["folder"])))
    os.environ.update(engine.environment)
    sys.argv = engine.arguments(settings, processors)
    start_watchdog(int(str(settings["port"])), engine.health_path)
    runpy.run_module(engine.module, run_name="__main__", alter_sys=True)
