"""Read and check the header of a qcow2 image. Nothing is started.

Source: QEMU, docs/interop/qcow2.txt. An image can name a backing file or an external data file on
the machine that opens it; QEMU would then show that file's content to the guest.
"""

import os
import struct
from pathlib import Path
from typing import IO

from hardpan.core.errors import InputError
from hardpan.core.files import open_regular

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQI")
"""magic, version, backing_file_offset, backing_file_size"""

_FEATURES = struct.Struct(">Q")
_FEATURES_OFFSET = 72
_EXTERNAL_DATA_FILE = 1 << 2
_VERSIONS = (2, 3)
_HEADER_BYTES = 104
_MAX_NAME_BYTES = 1023


def require_self_contained(image: Path) -> None:
    """Pass if the image is a qcow2 file that names no other file.

    Raises:
        InputError: it is not, or it cannot be read.
    """
    with open_regular(image) as file:
        header = _read_header(image, file)
    _, version, backing_offset, _ = _HEADER.unpack_from(header)
    # Version 2 has no feature bits.
    features = _FEATURES.unpack_from(header, _FEATURES_OFFSET)[0] if version == 3 else 0
    if backing_offset or features & _EXTERNAL_DATA_FILE:
        raise InputError(
            f"{image}: names another file: expected an image without backing file and data file",
            hint="qemu-img convert -O qcow2 IN OUT copies both into one file; an image from "
            "somebody else could name any file of this machine",
        )


def read_backing_path(image: Path) -> Path | None:
    """Return the backing file that the image names, seen from its own folder; None without one.

    Raises:
        InputError: the image is not a qcow2 file, it is damaged, or it cannot be read.
    """
    with open_regular(image) as file:
        header = _read_header(image, file)
        _, _, offset, size = _HEADER.unpack_from(header)
        if not offset:
            return None
        file.seek(offset)
        name = file.read(size) if size <= _MAX_NAME_BYTES else b""
    if not name or len(name) < size or b"\0" in name:
        raise InputError(f"{image}: damaged: the name of its backing file cannot be read")
    return Path(os.path.normpath(image.parent / os.fsdecode(name)))


def _read_header(image: Path, file: IO[bytes]) -> bytes:
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:4] != _MAGIC:
        raise InputError(
            f"{image}: not a qcow2 image", hint="convert it: qemu-img convert -O qcow2 IN OUT"
        )
    version = _HEADER.unpack_from(header)[1]
    if version not in _VERSIONS:
        raise InputError(f"{image}: expected qcow2 version 2 or 3, got {version}")
    return header
