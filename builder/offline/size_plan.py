"""Plan the size of an ISO with the layers' files, before it is written."""

from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.artifacts import InstallMedia, IsoPayload
from hardpan.builder.media.inspect import MAX_ISO_BYTES
from hardpan.builder.media.iso9660 import BLOCK_SIZE
from hardpan.core.errors import InputError
from hardpan.core.files import MiB

_OVERHEAD_BYTES = 1 << 20
"""Kickstart, menus, EFI image and the folders of the trees; the existing ones are written twice."""

_FILE_OVERHEAD_BYTES = 512
"""Records of a file in the trees of ISO 9660, Rock Ridge and Joliet."""


def planned_bytes(media_bytes: int, payload: IsoPayload) -> int:
    """Return the largest size that the ISO can have: each file takes whole blocks."""
    padding = payload.file_count * (BLOCK_SIZE + _FILE_OVERHEAD_BYTES)
    return media_bytes + payload.size_bytes + padding + _OVERHEAD_BYTES


def require_size(
    out: Path, media: InstallMedia, payload: IsoPayload, *, max_size_mib: MiB | None
) -> None:
    """Check that the ISO will not be larger than the operator's or hardpan's own limit.

    Raises:
        InputError: it would be; with the size of the media and of each layer.
    """
    size = planned_bytes(media.size_bytes, payload)
    limit, origin = MAX_ISO_BYTES, "the limit of install media"
    if max_size_mib is not None and max_size_mib << 20 < limit:
        limit, origin = max_size_mib << 20, "--max-size"
    if size > limit:
        parts = ", ".join(
            [f"media {_to_mib(media.size_bytes)} MiB", *_describe_layers(payload.folder)]
        )
        raise InputError(
            f"{out}: expected at most {limit >> 20} MiB ({origin}), got {_to_mib(size)} MiB:"
            f" {parts}",
            hint="name a larger --max-size, or remove layers or Python stacks from the profile",
        )


def _describe_layers(folder: Path) -> Iterator[str]:
    for layer in sorted((folder / "layers").iterdir()):
        size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        yield f"layer {layer.name.partition('-')[2]} {_to_mib(size)} MiB"


def _to_mib(size_bytes: int) -> int:
    return -(-size_bytes >> 20)
