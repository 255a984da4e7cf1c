"""The one archive that goes over for a layer: files of this machine and bytes made here."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from builder.layers.ansible import PLAYBOOKS

AI_HOST = PLAYBOOKS / "shared" / "ai_host.sh"
"""What every AI layer's install.sh reads: users, folders, variables, the embedding model."""


def write(to: Path, placed: Mapping[str, bytes | Path]) -> None:
    """Write a tar whose members are owned by root and readable by all."""
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in placed.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            if isinstance(data, Path):
                info.size = data.stat().st_size
                with data.open("rb") as f:
                    tar.addfile(info, f)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
