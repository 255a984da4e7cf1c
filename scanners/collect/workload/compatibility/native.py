"""A shared object built at run time: the smallest that the loader accepts, with one function.

It represents what a JIT compiler writes: native code that belongs to no package. Its function
returns 42, so both loading and running it are tested.
"""

import ctypes
import os
import platform
import struct
import tempfile
from typing import Optional

from .tools import ProbeResult, error, not_tested, satisfied, violated

ANSWER = 42
_GNU_STACK = 0x6474E551
_PAGE = 0x10000  # the largest page of any EL kernel
_CODE = {
    "x86_64": (62, b"\xb8\x2a\x00\x00\x00\xc3"),  # mov eax, 42; ret
    "aarch64": (183, b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"),  # mov w0, #42; ret
}
_NAMES = b"\0hardpan_answer\0libhardpan-answer.so\0"


def build_shared_object(machine: str) -> Optional[bytes]:
    """Build an ELF shared object for ``machine``; None if its instructions are unknown."""
    if machine not in _CODE:
        return None
    kind, code = _CODE[machine]
    header_size, segment_size = 64, 56
    code_offset = header_size + 4 * segment_size
    names_offset = code_offset + len(code)
    symbols_offset = _align(names_offset + len(_NAMES))
    hash_offset = symbols_offset + 2 * 24
    dynamic_offset = _PAGE
    # One symbol, whose section number need only differ from 'undefined'.
    symbols = b"\0" * 24 + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, code_offset, len(code))
    table = struct.pack("<IIIII", 1, 2, 1, 0, 0)  # a bucket, two entries, all in the bucket
    entries = (
        (14, _NAMES.index(b"lib")),  # SONAME
        (4, hash_offset),
        (5, names_offset),
        (6, symbols_offset),
        (10, len(_NAMES)),
        (11, 24),
        (0, 0),
    )
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    size = hash_offset + len(table)
    phdrs = (
        _pack_segment(1, 5, 0, size),  # load, read and execute
        _pack_segment(
            1, 6, dynamic_offset, len(dynamic)
        ),  # load, read and write: the loader relocates it
        _pack_segment(2, 6, dynamic_offset, len(dynamic)),
        _pack_segment(_GNU_STACK, 6, 0, 0),  # without it the loader needs an executable stack
    )
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    elf = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, kind, 1, 0, header_size, 0, 0, header_size, segment_size, 4, 0, 0, 0
    )
    body = elf + b"".join(phdrs) + code + _NAMES
    body = body.ljust(symbols_offset, b"\0") + symbols + table
    return body.ljust(dynamic_offset, b"\0") + dynamic


def check_loads_from(folder: str) -> ProbeResult:
    """Whether a new shared object loads from ``folder`` and its function returns."""
    object_bytes = build_shared_object(platform.machine())
    if object_bytes is None:
        return not_tested(f"no instructions known for {platform.machine()}")
    try:
        handle, path = tempfile.mkstemp(prefix="hardpan-compatibility-", suffix=".so", dir=folder)
    except OSError as e:
        return not_tested(f"{folder}: {e.strerror}")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(object_bytes)
        answer = ctypes.CDLL(path).hardpan_answer()
    except OSError as e:
        return violated(f"{folder}: {str(e).replace(path, 'the shared object')}")
    finally:
        os.unlink(path)
    if answer != ANSWER:
        return error(f"{folder}: its function answered {answer}")
    return satisfied(f"{folder}: it loads and answers {answer}")


def _align(offset: int) -> int:
    return (offset + 7) & ~7


def _pack_segment(kind: int, flags: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, _PAGE)
