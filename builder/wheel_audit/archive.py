"""Read a wheel as an untrusted zip archive: refused, or read member by member, never unpacked.

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

from hardpan.builder.wheel_audit.model import AuditLimits, MalformedWheelError

_CHUNK = 1 << 20
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_LOCAL_HEADER = 30
_MAX_NAME_LENGTH = 1024
_ENCRYPTED = 0x1 | 0x40
_MAX_LISTED_PROBLEMS = 20
_DRIVE = re.compile(r"[A-Za-z]:")
_ZIPFILE_ERRORS = (
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
"""Exceptions of zipfile for malformed archives."""


class WheelArchive:
    """An archive that passed all checks."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.members = tuple(m for m in archive.infolist() if not m.is_dir())

    def read_chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield a member's bytes in chunks; the CRC is checked at the end.

        Raises:
            BrokenError: it does not unpack to what the archive says.
        """
        try:
            with self._archive.open(member) as f:
                remaining = member.file_size
                while chunk := f.read(_CHUNK):
                    remaining -= len(chunk)
                    yield chunk
        except _ZIPFILE_ERRORS as e:
            raise MalformedWheelError(f"does not unpack: {_describe_error(e)}") from e
        if remaining:
            raise MalformedWheelError(
                f"does not unpack: {remaining} of {member.file_size} bytes are missing"
            )

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """Return all bytes of a member whose size the caller has checked."""
        return b"".join(self.read_chunks(member))


def open_archive(f: IO[bytes], limits: AuditLimits) -> tuple[WheelArchive | None, tuple[str, ...]]:
    """Open an archive; return None and all reasons if it is refused."""
    size = f.seek(0, os.SEEK_END)
    try:
        directory, entries = _read_directory(f, size, limits)
        f.seek(0)
        archive = zipfile.ZipFile(f)
        members = archive.infolist()
    except MalformedWheelError as e:
        return None, (str(e),)
    except _ZIPFILE_ERRORS as e:
        return None, (f"not a zip archive: {_describe_error(e)}",)
    if len(members) != entries:
        return None, (f"expected {entries} entries by the end record, got {len(members)}",)
    problems = [*_check_sizes(members, size, limits)] or [
        *_check_names(members),
        *_check_types(members),
        *_check_overlaps(members, directory),
    ]
    if problems:
        more = len(problems) - _MAX_LISTED_PROBLEMS
        listed = problems[:_MAX_LISTED_PROBLEMS] + (
            [f"and {more} more problems"] if more > 0 else []
        )
        return None, tuple(listed)
    return WheelArchive(archive), ()


def _read_directory(f: IO[bytes], size: int, limits: AuditLimits) -> tuple[int, int]:
    """Return the offset of the central directory and its number of entries."""
    f.seek(max(size - 98, 0))
    tail = f.read(98)
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(_END) or end[20:] != b"\0\0":
        raise MalformedWheelError("not a zip archive: expected its end record as the last bytes")
    entries, length, offset = struct.unpack("<HII", end[10:20])
    directory_end = size - 22
    if tail[-42:-38] == _LOCATOR:
        directory_end -= 76
        record = tail[:56]
        if not record.startswith(_END64):
            raise MalformedWheelError(
                "not a zip archive: expected the zip64 record before its locator"
            )
        entries, length, offset = struct.unpack("<QQQ", record[32:56])
    if offset + length != directory_end:
        raise MalformedWheelError(
            f"expected the list of entries to end at byte {directory_end}, got {offset + length}"
        )
    if entries > limits.max_members or length > limits.max_directory_bytes:
        raise MalformedWheelError(
            f"expected at most {limits.max_members} entries in {limits.max_directory_bytes} bytes, "
            f"got {entries} in {length}"
        )
    return int(offset), int(entries)


def _check_sizes(members: list[zipfile.ZipInfo], size: int, limits: AuditLimits) -> Iterator[str]:
    unpacked_bytes = sum(m.file_size for m in members)
    if unpacked_bytes > limits.max_unpacked_bytes:
        yield f"expected at most {limits.max_unpacked_bytes} bytes unpacked, got {unpacked_bytes}"
    elif unpacked_bytes > limits.min_ratio_bytes and unpacked_bytes > limits.max_ratio * size:
        yield (
            f"a zip bomb: {size} bytes declare {unpacked_bytes} bytes unpacked,"
            f" more than {limits.max_ratio} times as many"
        )


def _check_names(members: list[zipfile.ZipInfo]) -> Iterator[str]:
    name_by_key: dict[str, str] = {}
    folders: set[str] = set()
    for member in members:
        name = member.orig_filename
        reason = _find_name_problem(name)
        if reason:
            yield f"{name[:_MAX_NAME_LENGTH]!a}: {reason}"
            continue
        key = _normalize_name(name.rstrip("/"))
        if key in name_by_key and not (name.endswith("/") and name_by_key[key].endswith("/")):
            yield f"{name!a}: duplicate of {name_by_key[key]!a}"
        name_by_key[key] = name
        parts = key.split("/")
        folders.update("/".join(parts[:n]) for n in range(1, len(parts)))
    for key in folders & name_by_key.keys():
        if not name_by_key[key].endswith("/"):
            yield f"{name_by_key[key]!a}: both a file and a folder"


def _find_name_problem(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    if len(name) > _MAX_NAME_LENGTH:
        return f"a name of {len(name)} characters"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "an absolute name"
    if ".." in parts:
        return "outside of the folder"
    if "\\" in name or not name.isprintable():
        return "a backslash or a character that cannot be printed in the name"
    if "" in parts or "." in parts:
        return "an empty part in the name"
    return ""


def _check_types(members: Iterable[zipfile.ZipInfo]) -> Iterator[str]:
    for member in members:
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            yield f"{member.filename!a}: a link"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield f"{member.filename!a}: neither a file nor a folder"
        if member.flag_bits & _ENCRYPTED:
            yield f"{member.filename!a}: is encrypted"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{member.filename!a}: expected stored or deflated, got {member.compress_type}"
        if member.is_dir() and member.file_size:
            yield f"{member.filename!a}: a folder with {member.file_size} bytes in it"


def _check_overlaps(members: list[zipfile.ZipInfo], directory: int) -> Iterator[str]:
    """Report overlapping entries, by which a small archive unpacks to any size."""
    max_end, last_name = 0, ""
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < max_end:
            yield f"{member.filename!a}: shares its bytes with {last_name!a}"
        name_length = len(member.orig_filename.encode("utf-8", "surrogatepass"))
        if not member.flag_bits & 0x800:
            name_length = len(member.orig_filename)
        end = member.header_offset + _LOCAL_HEADER + name_length + member.compress_size
        if end >= max_end:
            max_end, last_name = end, member.filename
    if max_end > directory:
        yield f"{last_name!a}: reaches into the list of entries"


def _normalize_name(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _describe_error(e: Exception) -> str:
    return str(e)[:200].encode("ascii", "backslashreplace").decode() or type(e).__name__
