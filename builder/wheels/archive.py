"""A wheel as an archive, taken for hostile: refused whole, or read file by file, never unpacked.

Python's zipfile reads the list of entries before anyone can look at it and forgives much that
pip, unzip and others read differently. So the end of the archive is read here first.
"""

import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from hardpan.builder.wheels.model import BrokenError, Limits

_CHUNK = 1 << 20
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_LOCAL_HEADER = 30
_NAME_MOST = 1024
_ENCRYPTED = 0x1 | 0x40
_TOLD = 20
_DRIVE = re.compile(r"[A-Za-z]:")
_FOREIGN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on hostile input."""


class Box:
    """An archive that may be read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.members = tuple(m for m in archive.infolist() if not m.is_dir())

    def chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """A file's bytes, piece by piece; its CRC is checked at the end.

        Raises:
            BrokenError: it does not unpack to what the archive says.
        """
        try:
            with self._archive.open(member) as f:
                left = member.file_size
                while chunk := f.read(_CHUNK):
                    left -= len(chunk)
                    yield chunk
        except _FOREIGN as e:
            raise BrokenError(f"does not unpack: {_why(e)}") from e
        if left:
            raise BrokenError(f"does not unpack: {left} of {member.file_size} bytes are missing")

    def whole(self, member: zipfile.ZipInfo) -> bytes:
        """All bytes of a file whose size the caller has looked at."""
        return b"".join(self.chunks(member))


def opened(f: IO[bytes], limits: Limits) -> tuple[Box | None, tuple[str, ...]]:
    """The archive, or None and every reason why it is refused."""
    size = f.seek(0, os.SEEK_END)
    try:
        directory, entries = _directory(f, size, limits)
        f.seek(0)
        archive = zipfile.ZipFile(f)
        found = archive.infolist()
    except BrokenError as e:
        return None, (str(e),)
    except _FOREIGN as e:
        return None, (f"not a zip archive: {_why(e)}",)
    if len(found) != entries:
        return None, (f"expected {entries} entries by the end record, found {len(found)}",)
    problems = [*_amounts(found, size, limits)] or [
        *_names(found),
        *_kinds(found),
        *_overlaps(found, directory),
    ]
    if problems:
        more = len(problems) - _TOLD
        told = problems[:_TOLD] + ([f"and {more} more problems"] if more > 0 else [])
        return None, tuple(told)
    return Box(archive), ()


def _directory(f: IO[bytes], size: int, limits: Limits) -> tuple[int, int]:
    """Where the archive's list of entries begins, and how many it has."""
    f.seek(max(size - 98, 0))
    tail = f.read(98)
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(_END) or end[20:] != b"\0\0":
        raise BrokenError("not a zip archive: expected its end record as the last bytes")
    entries, length, at = struct.unpack("<HII", end[10:20])
    last = size - 22
    if tail[-42:-38] == _LOCATOR:
        last -= 76
        record = tail[:56]
        if not record.startswith(_END64):
            raise BrokenError("not a zip archive: expected the zip64 record before its locator")
        entries, length, at = struct.unpack("<QQQ", record[32:56])
    if at + length != last:
        raise BrokenError(
            f"expected the list of entries to end at byte {last}, found {at + length}"
        )
    if entries > limits.members or length > limits.directory_bytes:
        raise BrokenError(
            f"expected at most {limits.members} entries in {limits.directory_bytes} bytes, "
            f"found {entries} in {length}"
        )
    return int(at), int(entries)


def _amounts(found: list[zipfile.ZipInfo], size: int, limits: Limits) -> Iterator[str]:
    claimed = sum(m.file_size for m in found)
    if claimed > limits.open_bytes:
        yield f"expected at most {limits.open_bytes} bytes unpacked, found {claimed}"
    elif claimed > limits.calm_bytes and claimed > limits.ratio * size:
        yield (
            f"a bomb: {size} bytes claim to hold {claimed}, more than {limits.ratio} times as many"
        )


def _names(found: list[zipfile.ZipInfo]) -> Iterator[str]:
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for member in found:
        name = member.orig_filename
        why = _odd_name(name)
        if why:
            yield f"{name[:_NAME_MOST]!a}: {why}"
            continue
        key = _same(name.rstrip("/"))
        if key in seen and not (name.endswith("/") and seen[key].endswith("/")):
            yield f"{name!a}: there twice, also as {seen[key]!a}"
        seen[key] = name
        parts = key.split("/")
        folders.update("/".join(parts[:n]) for n in range(1, len(parts)))
    for key in folders & seen.keys():
        if not seen[key].endswith("/"):
            yield f"{seen[key]!a}: there as a file and as a folder"


def _odd_name(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    if len(name) > _NAME_MOST:
        return f"a name of {len(name)} characters"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "an absolute name"
    if ".." in parts:
        return "leads out of the folder"
    if "\\" in name or not name.isprintable():
        return "a backslash or a character that cannot be printed in the name"
    if "" in parts or "." in parts:
        return "an empty part in the name"
    return ""


def _kinds(found: Iterable[zipfile.ZipInfo]) -> Iterator[str]:
    for member in found:
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            yield f"{member.filename!a}: a link"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield f"{member.filename!a}: neither a file nor a folder"
        if member.flag_bits & _ENCRYPTED:
            yield f"{member.filename!a}: is encrypted"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{member.filename!a}: expected stored or deflated, found {member.compress_type}"
        if member.is_dir() and member.file_size:
            yield f"{member.filename!a}: a folder with {member.file_size} bytes in it"


def _overlaps(found: list[zipfile.ZipInfo], directory: int) -> Iterator[str]:
    """Entries that share bytes: how a small archive unpacks to any size."""
    ends, last = 0, ""
    for member in sorted(found, key=lambda m: m.header_offset):
        if member.header_offset < ends:
            yield f"{member.filename!a}: shares its bytes with {last!a}"
        name = len(member.orig_filename.encode("utf-8", "surrogatepass"))
        if not member.flag_bits & 0x800:
            name = len(member.orig_filename)
        end = member.header_offset + _LOCAL_HEADER + name + member.compress_size
        if end >= ends:
            ends, last = end, member.filename
    if ends > directory:
        yield f"{last!a}: reaches into the list of entries"


def _same(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _why(e: Exception) -> str:
    return str(e)[:200].encode("ascii", "backslashreplace").decode() or type(e).__name__
