"""Media types of what a build makes: provenance names a subject's, evidence an image's.

A subject of an older provenance has none; then the end of its name says it.
"""

from typing import Final

QCOW2: Final = "application/x-qemu-disk"
RAW: Final = "application/x-raw-disk-image"
ISO: Final = "application/x-iso9660-image"

DISK_IMAGES: Final = frozenset({QCOW2, RAW})
"""What a host can have been booted from."""

_MEDIA_TYPES_BY_SUFFIX: Final = {".qcow2": QCOW2, ".raw": RAW, ".img": RAW, ".iso": ISO}


def guess_media_type(name: str) -> str:
    """The media type that a file's name says; empty where it says none."""
    return next(
        (
            media_type
            for suffix, media_type in _MEDIA_TYPES_BY_SUFFIX.items()
            if name.endswith(suffix)
        ),
        "",
    )
