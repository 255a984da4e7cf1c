"""A shared object made at run time: the smallest that the loader takes, one function inside.

It stands for what a JIT writes: native code that no package brought. Its function
returns 42, so loading it and running it are both seen.
"""

import ctypes
import os
import platform
import struct
import tempfile
from typing import Optional

from .tools import Half, broken, holds, trouble, unasked

ANSWER = 42
_GNU_STACK = 0x6474E551
_PAGE = 0x10000  # the largest page of any EL kernel
_CODE = {
    "x86_64": (62, b"\xb8\x2a\x00\x00\x00\xc3"),  # mov eax, 42; ret
    "aarch64": (183, b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"),  # mov w0, #42; ret
}
_NAMES = b"\0hardpan_answer\0libhardpan-answer.so\0"


def shared_object(machine: str) -> Optional[bytes]:
    """An ELF shared object for ``machine``; None where its instructions are not known."""
    if machine not in _CODE:
        return None
    kind, code = _CODE[machine]
    head, segment = 64, 56
    at_code = head + 4 * segment
    at_names = at_code + len(code)
    at_symbols = _up(at_names + len(_NAMES))
    at_hash = at_symbols + 2 * 24
    at_dynamic = _PAGE
    # One symbol, whose section number need only differ from 'undefined'.
    symbols = b"\0" * 24 + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, at_code, len(code))
    table = struct.pack("<IIIII", 1, 2, 1, 0, 0)  # a bucket, two entries, all in the bucket
    entries = (
        (14, _NAMES.index(b"lib")),  # SONAME
        (4, at_hash),
        (5, at_names),
        (6, at_symbols),
        (10, len(_NAMES)),
        (11, 24),
        (0, 0),
    )
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    size = at_hash + len(table)
    phdrs = (
        _segment(1, 5, 0, size),  # load, read and execute
        _segment(1, 6, at_dynamic, len(dynamic)),  # load, read and write: the loader relocates it
        _segment(2, 6, at_dynamic, len(dynamic)),
        _segment(_GNU_STACK, 6, 0, 0),  # without it the loader wants an executable stack
    )
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    elf = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, kind, 1, 0, head, 0, 0, head, segment, 4, 0, 0, 0
    )
    body = elf + b"".join(phdrs) + code + _NAMES
    body = body.ljust(at_symbols, b"\0") + symbols + table
    return body.ljust(at_dynamic, b"\0") + dynamic


def loads_from(folder: str) -> Half:
    """Whether a shared object made just now loads from ``folder`` and its function answers."""
    made = shared_object(platform.machine())
    if made is None:
        return unasked(f"no instructions known for {platform.machine()}")
    try:
        handle, path = tempfile.mkstemp(prefix="hardpan-paired-", suffix=".so", dir=folder)
    except OSError as e:
        return unasked(f"{folder}: {e.strerror}")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(made)
        answer = ctypes.CDLL(path).hardpan_answer()
    except OSError as e:
        return broken(f"{folder}: {str(e).replace(path, 'the shared object')}")
    finally:
        os.unlink(path)
    if answer != ANSWER:
        return trouble(f"{folder}: its function answered {answer}")
    return holds(f"{folder}: it loads and answers {answer}")


def _up(offset: int) -> int:
    return (offset + 7) & ~7


def _segment(kind: int, flags: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, _PAGE)
