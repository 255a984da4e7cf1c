"""The evidence archive: a ZIP file with one canonical encoding.

Same files, same bytes: names sorted, no times, no owners, no extra fields.
The reader accepts nothing else: it derives the headers that the writer would
have written and compares them. So there can be no second entry of a name, no
link, hidden prefix, overlapping entries or contradicting headers.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import hashlib
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.core.compression import CompressedBlob, compress
from hardpan.core.errors import InputError, ResourceError, TrustError
from hardpan.core.files import Sha256, atomic_path, open_regular

MAX_ARCHIVE_BYTES = 512 << 20
MAX_FILES = 256
MAX_FILE_BYTES = 512 << 20
MAX_TOTAL_BYTES = 2 << 30
MAX_RATIO = 200
"""Unpacked to packed size; ARF reaches about 30. Deflate itself could reach 1032."""

_UNLIMITED_RATIO_BYTES = 1 << 20  # below this a file may compress as well as it likes
_CHUNK = 1 << 18
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,3}")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _CREATOR_VERSION, _DEFLATE = 20, (3 << 8) | 20, 8
_MAX_DIRECTORY_BYTES = MAX_FILES * (_CENTRAL.size + 403)  # the longest name has 403 characters
_TIME, _DATE = 0, 33  # 1980-01-01 00:00:00, the first moment ZIP knows
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One file in the archive."""

    name: str
    size: int
    """Bytes, unpacked."""

    compressed_size: int
    """Bytes, deflated."""

    crc: int
    offset: int
    """Offset of its header."""

    def build_local_header(self) -> bytes:
        """The header in front of the data."""
        name = self.name.encode("ascii")
        return _LOCAL.pack(b"PK\3\4", *self._common_fields(), len(name), 0) + name

    def build_central_header(self) -> bytes:
        """The header in the directory at the end."""
        name = self.name.encode("ascii")
        tail = (len(name), 0, 0, 0, 0, _MODE, self.offset)
        return _CENTRAL.pack(b"PK\1\2", _CREATOR_VERSION, *self._common_fields(), *tail) + name

    def _common_fields(self) -> tuple[int, ...]:
        return (_VERSION, 0, _DEFLATE, _TIME, _DATE, self.crc, self.compressed_size, self.size)


def is_safe_name(name: str) -> bool:
    """True for a relative ASCII path whose parts begin with a letter or digit."""
    return _SAFE_NAME.fullmatch(name) is not None


def check_names(names: list[str], error: type[InputError | TrustError]) -> None:
    """Pass if ``names`` can be the files of one archive, in their order.

    Raises:
        InputError, TrustError: they cannot; ``error`` says which.
    """
    if len(names) > MAX_FILES:
        raise error(f"expected at most {MAX_FILES} files, got {len(names)}")
    for name in names:
        if not is_safe_name(name):
            raise error(f"not a safe file name: {name[:120]!a}")
    folded = {n.casefold() for n in names}
    if len(folded) != len(names):
        raise error("two files have the same name, or differ only in case")
    if names != sorted(names):
        raise error("the files are not in order of their names")
    if folded & {n[:i] for n in folded for i, c in enumerate(n) if c == "/"}:
        raise error("a name is both a file and a folder")


def write_archive(path: Path, files: Iterable[tuple[str, bytes | CompressedBlob]]) -> None:
    """Write ``files`` to ``path``, whole or not at all; the same files give the same bytes.

    Raises:
        InputError: a name that the reader would refuse, or too much of something.
    """
    ordered = sorted(files, key=lambda item: item[0])
    check_names([name for name, _ in ordered], InputError)
    with atomic_path(path) as temp, temp.open("wb") as f:
        entries = [_write_entry(f, name, compress(data)) for name, data in ordered]
        directory = b"".join(e.build_central_header() for e in entries)
        directory_offset = f.tell()
        f.write(directory)
        f.write(_pack_end_record(len(entries), len(directory), directory_offset))
        temp.chmod(0o644)


class EvidenceArchive:
    """An evidence archive whose structure was checked; contents are read on demand.

    They are read from a private copy without a name, and ``file_sha256`` is the digest of that
    copy. So a file that is replaced or changed while it is verified changes nothing, and what is
    signed about it afterwards is about the bytes that were verified.

    Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        """Copy ``path`` and read its structure.

        Raises:
            InputError: it cannot be read, or is no regular file.
            ResourceError: there is no space for the copy.
            TrustError: its structure is not exactly the writer's.
        """
        self.path = path
        self._file, self.file_sha256 = _make_private_copy(path)
        try:
            self.entries = {e.name: e for e in _read_directory(self._file, path)}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "EvidenceArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the private copy."""
        self._file.close()

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The bytes of one file.

        Raises:
            TrustError: it is not there, is larger than ``max_bytes``, or is damaged.
        """
        entry = self._find_entry(name)
        if entry.size > max_bytes:
            raise TrustError(f"{name}: expected at most {max_bytes} bytes, got {entry.size}")
        return b"".join(self._read_chunks(entry))

    def compute_sha256(self, name: str) -> Sha256:
        """The digest of one file, in bounded memory.

        Raises:
            TrustError: it is not there or is damaged.
        """
        digest = hashlib.sha256()
        for chunk in self._read_chunks(self._find_entry(name)):
            digest.update(chunk)
        return Sha256(digest.hexdigest())

    def _find_entry(self, name: str) -> ArchiveEntry:
        if name not in self.entries:
            raise TrustError(f"{name}: is missing from the evidence")
        return self.entries[name]

    def _read_chunks(self, entry: ArchiveEntry) -> Iterator[bytes]:
        self._file.seek(entry.offset + len(entry.build_local_header()))
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        remaining, size, crc = entry.compressed_size, 0, 0
        try:
            while not inflate.eof:
                data = inflate.unconsumed_tail
                if not data:
                    data = self._file.read(min(_CHUNK, remaining))
                    remaining -= len(data)
                chunk = inflate.decompress(data, _CHUNK)
                if not chunk and not data:
                    break
                size, crc = size + len(chunk), zlib.crc32(chunk, crc)
                if size > entry.size:
                    break
                yield chunk
        except zlib.error as e:
            raise TrustError(f"{entry.name}: damaged: cannot be unpacked") from e
        is_complete = inflate.eof and not inflate.unused_data and remaining == 0
        if not is_complete or size != entry.size or crc != entry.crc:
            raise TrustError(f"{entry.name}: damaged: data does not match its header")


def _write_entry(f: IO[bytes], name: str, data: CompressedBlob) -> ArchiveEntry:
    size, compressed_size = data.size_bytes, len(data.deflated)
    entry = ArchiveEntry(
        name=name, size=size, compressed_size=compressed_size, crc=data.crc32, offset=f.tell()
    )
    _check_size(entry, InputError)
    f.write(entry.build_local_header())
    f.write(data.deflated)
    return entry


def _make_private_copy(path: Path) -> tuple[IO[bytes], Sha256]:
    """A private copy of the file, open to be read, and its digest."""
    with open_regular(path) as source:
        size = os.fstat(source.fileno()).st_size
        if size > MAX_ARCHIVE_BYTES:
            raise TrustError(f"{path}: expected at most {MAX_ARCHIVE_BYTES} bytes, got {size}")
        try:
            copy = tempfile.TemporaryFile(prefix="hardpan-evidence-")  # noqa: SIM115
        except OSError as e:
            raise _build_copy_error(path, e) from e
        try:
            return copy, _copy_contents(copy, source, path)
        except BaseException:
            copy.close()
            raise


def _copy_contents(copy: IO[bytes], source: IO[bytes], path: Path) -> Sha256:
    digest, size = hashlib.sha256(), 0
    while chunk := _read_chunk(source, path):
        size += len(chunk)
        if size > MAX_ARCHIVE_BYTES:
            raise TrustError(f"{path}: grew beyond {MAX_ARCHIVE_BYTES} bytes while it was read")
        digest.update(chunk)
        try:
            copy.write(chunk)
            copy.flush()
        except OSError as e:
            raise _build_copy_error(path, e) from e
    return Sha256(digest.hexdigest())


def _read_chunk(source: IO[bytes], path: Path) -> bytes:
    try:
        return source.read(_CHUNK)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def _build_copy_error(path: Path, e: OSError) -> ResourceError:
    return ResourceError(
        f"{path}: cannot be copied to a temporary file to be read: {e.strerror}",
        hint="free some space, or set TMPDIR to another folder",
    )


def _read_directory(f: IO[bytes], path: Path) -> list[ArchiveEntry]:
    size = f.seek(0, 2)
    f.seek(max(0, size - _END.size))
    tail = f.read(_END.size)
    if len(tail) != _END.size or tail[:4] != b"PK\5\6":
        raise TrustError(f"{path}: not an evidence archive, or cut short")
    count, length, offset = (_END.unpack(tail)[i] for i in (4, 5, 6))
    if (
        tail != _pack_end_record(count, length, offset)
        or offset + length + _END.size != size
        or count > MAX_FILES
        or length > _MAX_DIRECTORY_BYTES
    ):
        raise TrustError(f"{path}: the archive's end record is not as hardpan writes it")
    f.seek(offset)
    entries = _parse_directory(f.read(length), count, path)
    check_names([e.name for e in entries], TrustError)
    if sum(e.size for e in entries) > MAX_TOTAL_BYTES:
        raise TrustError(f"{path}: unpacks to more than {MAX_TOTAL_BYTES} bytes")
    _check_layout(f, entries, offset, path)
    return entries


def _parse_directory(directory: bytes, count: int, path: Path) -> list[ArchiveEntry]:
    entries = []
    offset = 0
    for _ in range(count):
        fields = directory[offset : offset + _CENTRAL.size]
        if len(fields) != _CENTRAL.size:
            raise TrustError(f"{path}: the archive's directory is cut short")
        values = _CENTRAL.unpack(fields)
        name = directory[offset + _CENTRAL.size : offset + _CENTRAL.size + values[10]].decode(
            "ascii", "replace"
        )
        if not is_safe_name(name):
            raise TrustError(f"{path}: not a safe file name: {name[:120]!a}")
        entry = ArchiveEntry(
            name=name, crc=values[7], compressed_size=values[8], size=values[9], offset=values[16]
        )
        expected = entry.build_central_header()
        if directory[offset : offset + len(expected)] != expected:
            raise TrustError(f"{path}: {name}: a link, folder, or not as hardpan writes it")
        _check_size(entry, TrustError)
        entries.append(entry)
        offset += len(expected)
    if offset != len(directory):
        raise TrustError(f"{path}: the archive's directory contains more than it declares")
    return entries


def _check_layout(
    f: IO[bytes], entries: list[ArchiveEntry], directory_offset: int, path: Path
) -> None:
    offset = 0
    for entry in entries:
        header = entry.build_local_header()
        f.seek(offset)
        if entry.offset != offset or f.read(len(header)) != header:
            raise TrustError(f"{path}: {entry.name}: the two headers of the archive disagree")
        offset += len(header) + entry.compressed_size
    if offset != directory_offset:
        raise TrustError(f"{path}: contains bytes that belong to no file")


def _check_size(entry: ArchiveEntry, error: type[InputError | TrustError]) -> None:
    if entry.size > MAX_FILE_BYTES:
        raise error(f"{entry.name}: expected at most {MAX_FILE_BYTES} bytes, got {entry.size}")
    if entry.size > _UNLIMITED_RATIO_BYTES and entry.size > entry.compressed_size * MAX_RATIO:
        raise error(f"{entry.name}: unpacks to more than {MAX_RATIO} times its size")


def _pack_end_record(count: int, length: int, directory_offset: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count, count, length, directory_offset, 0)
