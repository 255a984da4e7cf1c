# SPDX-License-Identifier: GPL-2.0-or-later
"""A newc archive, as the kernel's initramfs wants it; the same input, the same bytes.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CpioEntry:
    """One member of the archive."""

    name: str
    mode: int
    """Type and permission bits, as in ``st_mode``."""

    data: bytes = b""
    """Content, or the target of a link."""

    device: tuple[int, int] = (0, 0)
    """Major and minor of a device node."""


def directory_entry(name: str) -> CpioEntry:
    """A folder."""
    return CpioEntry(name=name, mode=stat.S_IFDIR | 0o755)


def file_entry(name: str, data: bytes, mode: int = 0o644) -> CpioEntry:
    """A regular file."""
    return CpioEntry(name=name, mode=stat.S_IFREG | mode, data=data)


def link_entry(name: str, target: str) -> CpioEntry:
    """A symbolic link."""
    return CpioEntry(name=name, mode=stat.S_IFLNK | 0o777, data=target.encode())


def build_archive(entries: Iterable[CpioEntry]) -> bytes:
    """The archive's bytes, trailer included, padded to 512."""
    parts = [_encode_entry(entry, number) for number, entry in enumerate(entries, 1)]
    parts.append(_encode_entry(CpioEntry(name="TRAILER!!!", mode=0), 0))
    content = b"".join(parts)
    return content + b"\0" * (-len(content) % 512)


def _encode_entry(entry: CpioEntry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (
        inode,
        entry.mode,
        0,  # uid
        0,  # gid
        2 if stat.S_ISDIR(entry.mode) else 1,
        0,  # mtime
        len(entry.data),
        0,  # device that holds the file: major, minor
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in newc
    )
    header = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return header + b"\0" * (-len(header) % 4) + entry.data + b"\0" * (-len(entry.data) % 4)
