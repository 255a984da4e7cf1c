"""Wheels and ELF files made by hand, byte by byte; nothing here is ever loaded."""

import base64
import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

WHEEL = "demo-1.0-py3-none-any.whl"


def record(files: Mapping[str, bytes], folder: str = "demo-1.0.dist-info") -> bytes:
    """RECORD for the files."""
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{folder}/RECORD,,\n"]).encode()


def zipped(files: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip archive, in order; names may be there twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(_entry(name) if isinstance(name, str) else name, data)
    return made.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the time of day: the same files give the same bytes, in every process."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def wheel(files: Mapping[str, bytes], folder: str = "demo-1.0.dist-info") -> bytes:
    """A sound wheel with the files and what has to be in every wheel."""
    inside = {**files, f"{folder}/METADATA": b"Name: demo\nVersion: 1.0\n"}
    return zipped([*inside.items(), (f"{folder}/RECORD", record(inside, folder))])


def put(folder: Path, data: bytes, name: str = WHEEL) -> Path:
    """The folder, with the wheel in it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder


def elf(
    *,
    text: bytes = b"",
    defined: Sequence[str] = (),
    undefined: Sequence[str] = (),
    needed: Sequence[str] = (),
    soname: str = "",
    wide: bool = True,
    order: str = "<",
) -> bytes:
    """A shared library with rodata, a symbol table and a dynamic section."""
    names = b"\0"
    places: dict[str, int] = {}
    for name in (*defined, *undefined, *needed, soname):
        places[name] = len(names)
        names += name.encode() + b"\0"
    symbols = [(places[n], 1) for n in defined] + [(places[n], 0) for n in undefined]
    tags = [(1, places[n]) for n in needed] + ([(14, places[soname])] if soname else []) + [(0, 0)]
    if wide:
        table = b"".join(struct.pack(order + "IBBHQQ", n, 18, 0, s, 0, 0) for n, s in symbols)
        dynamic = b"".join(struct.pack(order + "qQ", t, v) for t, v in tags)
        head, each, entry = 64, 64, order + "IIQQQQIIQQ"
    else:
        table = b"".join(struct.pack(order + "IIIBBH", n, 0, 0, 18, 0, s) for n, s in symbols)
        dynamic = b"".join(struct.pack(order + "iI", t, v) for t, v in tags)
        head, each, entry = 52, 40, order + "IIIIIIIIII"
    parts, at = [], head
    for data in (text, table, names, dynamic):
        parts.append((at, len(data)))
        at += len(data)
    kinds = [(1, 0), (11, 3), (3, 0), (6, 3)]
    rows = struct.pack(entry, *(0,) * 10) + b"".join(
        struct.pack(entry, 0, kind, 0, 0, place, size, link, 0, 1, 0)
        for (kind, link), (place, size) in zip(kinds, parts, strict=True)
    )
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    shape = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    first = ident + struct.pack(shape, 3, 62, 1, 0, 0, at, 0, head, 0, 0, each, 5, 0)
    return first + text + table + names + dynamic + rows


def patched(data: bytes, at: int, shape: str, value: int) -> bytes:
    """The bytes with one number written over."""
    made = bytearray(data)
    struct.pack_into(shape, made, at, value)
    return bytes(made)
