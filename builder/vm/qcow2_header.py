"""Check the header of a qcow2 image from an unknown source. Nothing is started.

Source: QEMU, docs/interop/qcow2.txt. An image can name a backing file or an external data file on
the machine that opens it; QEMU would then show that file's content to the guest.
"""

import struct
from pathlib import Path

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


def require_self_contained(image: Path) -> None:
    """Pass if the image is a qcow2 file that names no other file.

    Raises:
        InputError: it is not, or it cannot be read.
    """
    with open_regular(image) as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:4] != _MAGIC:
        raise InputError(
            f"{image}: not a qcow2 image", hint="convert it: qemu-img convert -O qcow2 IN OUT"
        )
    _, version, backing_offset, _ = _HEADER.unpack_from(header)
    if version not in _VERSIONS:
        raise InputError(f"{image}: expected qcow2 version 2 or 3, got {version}")
    # Version 2 has no feature bits.
    features = _FEATURES.unpack_from(header, _FEATURES_OFFSET)[0] if version == 3 else 0
    if backing_offset or features & _EXTERNAL_DATA_FILE:
        raise InputError(
            f"{image}: names another file: expected an image without backing file and data file",
            hint="qemu-img convert -O qcow2 IN OUT copies both into one file; an image from "
            "somebody else could name any file of this machine",
        )
