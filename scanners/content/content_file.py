"""Read the content file that a user names: plain, gzip, bzip2, XZ, or a member of a ZIP archive.

The format is recognized by its first bytes. Nothing is decompressed beyond the limit for data
streams, whatever the file would unpack to.
"""

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Protocol

from hardpan.core.errors import InputError
from hardpan.core.extracted_files import MissingFileError, open_named_file
from hardpan.core.files import read_open_file
from hardpan.core.limits import MAX_DATA_STREAM_BYTES

_MAX_MIB = MAX_DATA_STREAM_BYTES >> 20
_MAX_XZ_MEMORY_BYTES = 128 << 20
"""Enough for ``xz -9``, which needs 65 MiB."""

_MAX_ZIP_MEMBERS = 4096
_SNIFF_BYTES = 4096
_CHUNK_BYTES = 16 << 20
_MAX_STREAMS = 256
"""Compressed streams one after the other: parallel compressors write one for each MiB or so."""

_SUFFIXES = (".gz", ".bz2", ".xz", ".zip")
_END_OF_ZIP = b"PK\x05\x06"
_MAX_ZIP_TRAILER = 22 + 0xFFFF
"""The record at the end of an archive, with the longest comment."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def read_content_file(path: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of the data stream in a file.

    The name is without the suffix of the compression. ``ARCHIVE.zip:MEMBER`` names a member; an
    archive with one data stream needs none.

    Raises:
        InputError: the file cannot be read, is damaged or too long, or its archive has no data
            stream or several.
    """
    archive, member = _split_member(path)
    try:
        with open_named_file(archive) as file:
            data = read_open_file(file, archive, max_bytes=MAX_DATA_STREAM_BYTES)
    except MissingFileError as e:
        hint = "--content takes a file, or shipped, updated or installed"
        raise InputError(str(e), hint=hint) from e
    if data.startswith((b"PK\x03\x04", _END_OF_ZIP)):
        return _read_member(data, archive, member)
    if member:
        raise InputError(f"{archive}: expected a ZIP archive with {member}, got another file")
    name = (
        archive.name.removesuffix(archive.suffix) if archive.suffix in _SUFFIXES else archive.name
    )
    for magic, create in _DECOMPRESSORS:
        if data.startswith(magic):
            return name, _decompress(data, create, archive)
    return archive.name, data


def _split_member(path: Path) -> tuple[Path, str]:
    """Split ``ARCHIVE.zip:MEMBER``; a file of the complete name takes precedence."""
    archive, separator, member = str(path).partition(".zip:")
    if not separator or path.exists():
        return path, ""
    return Path(archive + ".zip"), member


class _Gzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


def _create_xz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY_BYTES)


_DECOMPRESSORS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _create_xz),
)


def _decompress(data: bytes, create: Callable[[], _Decompressor], path: Path) -> bytes:
    """Decompress all streams of a file, one after the other."""
    parts: list[bytes] = []
    size = 0
    for _ in range(_MAX_STREAMS):
        stream = create()
        pending = data
        while not stream.eof:
            part = _decompress_chunk(stream, pending, path)
            if not part and not stream.eof:
                raise InputError(f"{path}: damaged: the compressed data ends too early")
            parts.append(part)
            size += len(part)
            _require_size(size, path)
            pending = b""
        data = stream.unused_data.lstrip(b"\0")  # padding, as xz and tape blocks have it
        if not data:
            return b"".join(parts)
    raise InputError(f"{path}: expected at most {_MAX_STREAMS} compressed streams, got more")


def _decompress_chunk(stream: _Decompressor, data: bytes, path: Path) -> bytes:
    try:
        return stream.decompress(data, _CHUNK_BYTES)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as e:
        raise InputError(f"{path}: damaged: cannot be decompressed: {e}") from e


def _require_size(size: int, path: Path) -> None:
    if size > MAX_DATA_STREAM_BYTES:
        raise InputError(f"{path}: expected at most {_MAX_MIB} MiB after decompression, got more")


def _read_member(data: bytes, archive: Path, member: str) -> tuple[str, bytes]:
    _require_few_members(data, archive)
    try:
        with zipfile.ZipFile(BytesIO(data)) as zip_file:
            info = _choose_member(zip_file, archive, member)
            content = _read_info(zip_file, info, MAX_DATA_STREAM_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as e:
        raise InputError(f"{archive}: damaged: cannot be unpacked: {e}") from e
    except (NotImplementedError, RuntimeError, ValueError, IndexError, struct.error) as e:
        raise InputError(f"{archive}: cannot be unpacked: {e}") from e
    _require_size(len(content), archive)
    return PurePosixPath(info.filename).name, content


def _require_few_members(data: bytes, archive: Path) -> None:
    """Refuse an archive whose table would take a long time to read."""
    start = data.rfind(_END_OF_ZIP, max(0, len(data) - _MAX_ZIP_TRAILER))
    if start < 0 or len(data) < start + 22:
        raise InputError(f"{archive}: damaged: the ZIP archive has no end")
    count, table_size = struct.unpack_from("<HI", data, start + 10)
    if count > _MAX_ZIP_MEMBERS or table_size > _MAX_ZIP_MEMBERS * 512:
        raise InputError(f"{archive}: expected at most {_MAX_ZIP_MEMBERS} members, got more")


def _choose_member(zip_file: zipfile.ZipFile, archive: Path, member: str) -> zipfile.ZipInfo:
    files = [i for i in zip_file.infolist() if not i.is_dir()]
    if member:
        matching = [i for i in files if member in (i.filename, PurePosixPath(i.filename).name)]
        expected = f"the member {member!a}"
    else:
        matching = [i for i in files if i.filename.endswith("-ds.xml")]
        if not matching:
            matching = [i for i in files if _is_data_stream(zip_file, i)]
        expected = "one data stream"
    if len(matching) == 1:
        return matching[0]
    names = _list_names(i.filename for i in matching or files)
    raise InputError(
        f"{archive}: expected {expected}, got {len(matching)}",
        hint=f"name one as {archive.name}:MEMBER; the archive has {names}",
    )


def _is_data_stream(zip_file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    if not info.filename.endswith(".xml"):
        return False
    return b"data-stream-collection" in _read_info(zip_file, info, _SNIFF_BYTES)


def _read_info(zip_file: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    with zip_file.open(info) as file:
        return file.read(max_bytes)


def _list_names(names: Iterable[str]) -> str:
    ordered = sorted(names)
    text = ", ".join(n.encode("ascii", "backslashreplace").decode() for n in ordered[:10])
    return text + (f" and {len(ordered) - 10} more" if len(ordered) > 10 else "") or "no file"
