"""Tiny ISO 9660 images with volume descriptors and folders but no data, written byte by byte."""

import struct

BLOCK = 2048
PRIMARY, SUPPLEMENTARY, END = 1, 2, 255


def both_endian(value: int) -> bytes:
    """A number as ISO 9660 writes it: little-endian, then big-endian."""
    return struct.pack("<I", value) + struct.pack(">I", value)


def record(
    name: bytes, block: int, size: int = BLOCK, *, folder: bool = True, system_use: bytes = b""
) -> bytes:
    """A directory record (ECMA-119 9.1)."""
    numbers = both_endian(block) + both_endian(size)
    head = bytes(7) + bytes([2 if folder else 0, 0, 0]) + struct.pack("<H", 1) + b"\0\1"
    body = b"\0" + numbers + head + bytes([len(name)]) + name
    body += b"\0" * ((len(body) + 1) % 2) + system_use
    return bytes([len(body) + 1]) + body


def descriptor(kind: int, root: bytes = b"") -> bytes:
    """A volume descriptor (ECMA-119 8.4) with the record of its root folder."""
    data = bytes([kind]) + b"CD001\1"
    return (data.ljust(156, b"\0") + root).ljust(BLOCK, b"\0")


def image(folders: dict[int, list[bytes]], roots: dict[int, int], blocks: int = 64) -> bytes:
    """Folders by block, and the roots by kind of descriptor, whose block is their folder's."""
    data = bytearray(blocks * BLOCK)
    descriptors = [descriptor(kind, record(b"\0", block)) for kind, block in roots.items()]
    for number, descriptor_bytes in enumerate([*descriptors, descriptor(END)], 16):
        data[number * BLOCK : (number + 1) * BLOCK] = descriptor_bytes
    for block, records in folders.items():
        records_with_self = [record(b"\0", block), record(b"\1", block), *records]
        data[block * BLOCK : (block + 1) * BLOCK] = b"".join(records_with_self).ljust(BLOCK, b"\0")
    return bytes(data)


VALID_IMAGE = image(
    {
        30: [record(b"EFI", 31), record(b"MEDIA.REPO;1", 40, 100, folder=False)],
        31: [record(b"BOOT", 32)],
        32: [record(b"GRUB.CFG;1", 41, 3000, folder=False)],
        35: [record(b"\0E\0F\0I", 36)],
        36: [record(b"\0g", 41, 3000, folder=False)],
    },
    {PRIMARY: 30, SUPPLEMENTARY: 35},
)
"""Two trees, as media with Joliet names have them."""
