"""Archives for the AI roles, and the state that a host has once they are installed."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.core.files import sha256_bytes, sha256_file

AI_HOST = PLAYBOOKS / "shared" / "ai_host.sh"
"""What every AI layer's install.sh reads: users, folders, variables, the embedding model."""


_FOLDER_STATE = (
    "/opt/ai root:root 755",
    "/opt/ai/models root:root 755",
    "/var/lib/ai ai:ai 750",
    "/var/lib/ai/tmp ai:ai 750",
    "/var/lib/ai/jit ai:ai 750",
)


def write_archive(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write a tar whose members are owned by root and readable by all."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            if isinstance(data, Path):
                info.size = data.stat().st_size
                with data.open("rb") as f:
                    tar.addfile(info, f)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def installed_paths(files: Mapping[str, bytes | Path]) -> list[str]:
    """Return the files that remain on the host, relative to ``/``; scripts have no folder."""
    return sorted(name for name in files if "/" in name)


def expected_state(packages: Iterable[str], files: Mapping[str, bytes | Path]) -> str:
    """Return what ai_state.sh prints on a host where all packages and files are unchanged."""
    lines = list(packages)
    for name in installed_paths(files):
        data = files[name]
        digest = sha256_file(data) if isinstance(data, Path) else sha256_bytes(data)
        lines.append(f"{digest}  {name}")
    return "\n".join([*lines, *_FOLDER_STATE])
