# SPDX-License-Identifier: GPL-2.0-or-later
"""A newc archive, as the kernel's initramfs wants it; the same input, the same bytes.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One member of the archive."""

    name: str
    mode: int
    """Type and permission bits, as in ``st_mode``."""

    data: bytes = b""
    """Content, or the target of a link."""

    device: tuple[int, int] = (0, 0)
    """Major and minor of a device node."""


def folder(name: str) -> Item:
    """A folder."""
    return Item(name=name, mode=stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, mode: int = 0o644) -> Item:
    """A regular file."""
    return Item(name=name, mode=stat.S_IFREG | mode, data=data)


def link(name: str, target: str) -> Item:
    """A symbolic link."""
    return Item(name=name, mode=stat.S_IFLNK | 0o777, data=target.encode())


def archive(items: Iterable[Item]) -> bytes:
    """The archive's bytes, trailer included, padded to 512."""
    parts = [_member(i, number) for number, i in enumerate(items, 1)]
    parts.append(_member(Item(name="TRAILER!!!", mode=0), 0))
    whole = b"".join(parts)
    return whole + b"\0" * (-len(whole) % 512)


def _member(i: Item, inode: int) -> bytes:
    name = i.name.encode() + b"\0"
    fields = (
        inode,
        i.mode,
        0,  # uid
        0,  # gid
        2 if stat.S_ISDIR(i.mode) else 1,
        0,  # mtime
        len(i.data),
        0,  # device that holds the file: major, minor
        0,
        *i.device,
        len(name),
        0,  # checksum, unused in newc
    )
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return head + b"\0" * (-len(head) % 4) + i.data + b"\0" * (-len(i.data) % 4)
