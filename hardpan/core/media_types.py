"""Media types of build outputs, for the subjects of provenance and the image of evidence.

A subject of an older provenance has none; its file name suffix is used instead.
"""

from typing import Final

QCOW2: Final = "application/x-qemu-disk"
RAW: Final = "application/x-raw-disk-image"
VMDK: Final = "application/x-vmdk-disk"
VHDX: Final = "application/x-vhdx-disk"
ISO: Final = "application/x-iso9660-image"

DISK_IMAGES: Final = frozenset({QCOW2, RAW, VMDK, VHDX})
"""Types of images that a host can boot from."""

_MEDIA_TYPES_BY_SUFFIX: Final = {
    ".qcow2": QCOW2,
    ".raw": RAW,
    ".img": RAW,
    ".vmdk": VMDK,
    ".vhdx": VHDX,
    ".iso": ISO,
}


def guess_media_type(name: str) -> str:
    """Return the media type of a file name's suffix; empty if unknown."""
    return next(
        (
            media_type
            for suffix, media_type in _MEDIA_TYPES_BY_SUFFIX.items()
            if name.endswith(suffix)
        ),
        "",
    )
