"""Wheels and ELF files, written byte by byte; none of them is ever loaded."""

import base64
import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

WHEEL = "demo-1.0-py3-none-any.whl"


def make_record(files: Mapping[str, bytes], folder: str = "demo-1.0.dist-info") -> bytes:
    """RECORD for the files."""
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{folder}/RECORD,,\n"]).encode()


def make_zip(files: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip archive, in order; names may be there twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(_zip_entry(name) if isinstance(name, str) else name, data)
    return buffer.getvalue()


def _zip_entry(name: str) -> zipfile.ZipInfo:
    """Without the time of day: the same files give the same bytes, in every process."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def make_wheel(files: Mapping[str, bytes], folder: str = "demo-1.0.dist-info") -> bytes:
    """A sound wheel with the files and what has to be in every wheel."""
    members = {**files, f"{folder}/METADATA": b"Name: demo\nVersion: 1.0\n"}
    return make_zip([*members.items(), (f"{folder}/RECORD", make_record(members, folder))])


def write_wheel(folder: Path, data: bytes, name: str = WHEEL) -> Path:
    """The folder, with the wheel in it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder


def make_elf(
    *,
    text: bytes = b"",
    defined: Sequence[str] = (),
    undefined: Sequence[str] = (),
    needed: Sequence[str] = (),
    soname: str = "",
    is_64_bit: bool = True,
    byte_order: str = "<",
) -> bytes:
    """A shared library with rodata, a symbol table and a dynamic section."""
    names = b"\0"
    name_offset: dict[str, int] = {}
    for name in (*defined, *undefined, *needed, soname):
        name_offset[name] = len(names)
        names += name.encode() + b"\0"
    symbols = [(name_offset[n], 1) for n in defined] + [(name_offset[n], 0) for n in undefined]
    tags = (
        [(1, name_offset[n]) for n in needed]
        + ([(14, name_offset[soname])] if soname else [])
        + [(0, 0)]
    )
    if is_64_bit:
        table = b"".join(struct.pack(byte_order + "IBBHQQ", n, 18, 0, s, 0, 0) for n, s in symbols)
        dynamic = b"".join(struct.pack(byte_order + "qQ", t, v) for t, v in tags)
        head, section_size, entry = 64, 64, byte_order + "IIQQQQIIQQ"
    else:
        table = b"".join(struct.pack(byte_order + "IIIBBH", n, 0, 0, 18, 0, s) for n, s in symbols)
        dynamic = b"".join(struct.pack(byte_order + "iI", t, v) for t, v in tags)
        head, section_size, entry = 52, 40, byte_order + "IIIIIIIIII"
    parts, offset = [], head
    for data in (text, table, names, dynamic):
        parts.append((offset, len(data)))
        offset += len(data)
    kinds = [(1, 0), (11, 3), (3, 0), (6, 3)]
    rows = struct.pack(entry, *(0,) * 10) + b"".join(
        struct.pack(entry, 0, kind, 0, 0, start, size, link, 0, 1, 0)
        for (kind, link), (start, size) in zip(kinds, parts, strict=True)
    )
    ident = b"\x7fELF" + bytes((2 if is_64_bit else 1, 1 if byte_order == "<" else 2, 1)) + bytes(9)
    shape = byte_order + ("HHIQQQIHHHHHH" if is_64_bit else "HHIIIIIHHHHHH")
    first = ident + struct.pack(shape, 3, 62, 1, 0, 0, offset, 0, head, 0, 0, section_size, 5, 0)
    return first + text + table + names + dynamic + rows


def patch_number(data: bytes, offset: int, shape: str, value: int) -> bytes:
    """The bytes with one number written over."""
    buffer = bytearray(data)
    struct.pack_into(shape, buffer, offset, value)
    return bytes(buffer)
