"""A folder of SCAP content: compressed data streams and the manifest with their digests.

hardpan ships one such folder, and ``hardpan content update`` writes another. A data
stream of 29 MB is 1 MB of XZ, which Python's standard library reads.
"""

import datetime
import lzma
import re
from collections.abc import Mapping
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardpan.core.errors import InputError, TrustError
from hardpan.core.extracted_files import (
    MissingFileError,
    open_named_file,
    open_regular_file,
)
from hardpan.core.files import Sha256, atomic_path, read_open_file, sha256_bytes
from hardpan.core.limits import MAX_DATA_STREAM_BYTES
from hardpan.core.resources import resource_path
from hardpan.core.validation_errors import format_validation_error
from hardpan.core.xdg import data_home
from hardpan.profiles.schema.versions import parse_version
from hardpan.scanners.content.catalog import BenchmarkSummary

Product = str
"""Name of a product as in upstream's file names, e.g. ``rhel9``."""

MANIFEST = "manifest.json"

_PRESET = 6
"""As ``xz -6``: 1 MB in 8 s for RHEL 9; 9 with 'extreme' takes 40 s for 0.85 MB."""

_MAX_MEMORY_BYTES = 64 << 20
"""More than preset 6 needs to decompress (9 MiB): hardpan writes no file that needs more."""

_MAX_MANIFEST_BYTES = 512 << 10
_NOTICE_PREFIX = "copyright-"
_FILE_NAME = re.compile(r"manifest\.json|copyright-[a-z0-9-]+|ssg-[a-z0-9-]+-ds\.xml\.xz")

_HexDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_ProductName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class _ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourcePackage(_ManifestModel):
    """The package that the data streams came from."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
    """Binary package, e.g. ``ssg-nondebian``."""

    source: str
    """Source package, e.g. ``scap-security-guide``."""

    version: str
    """E.g. ``0.1.82-1``."""

    suite: str
    """Suite of Debian's archive that had it, e.g. ``sid``."""

    sha256: _HexDigest
    """Digest of the package file; apt checked it against the archive's signed index."""


class StreamRecord(_ManifestModel):
    """One data stream, before compression."""

    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){1,3}$", max_length=40)]
    """Benchmark version, e.g. ``0.1.82``."""

    date: datetime.date
    """Day that the benchmark's status has: the day it was built."""

    size: Annotated[int, Field(gt=0, le=MAX_DATA_STREAM_BYTES)]
    sha256: _HexDigest
    package: SourcePackage
    retrieved: datetime.date
    """Day on which it was taken from the archive."""

    benchmarks: Annotated[tuple[BenchmarkSummary, ...], Field(min_length=1)]
    """Its benchmarks with their profiles: a list of all content reads no data stream."""

    def is_newer_than(self, version: str, date: str) -> bool:
        """True for a higher version, or a later build of the same version."""
        return (parse_version(self.version), self.date.isoformat()) > (parse_version(version), date)


class Manifest(_ManifestModel):
    """Manifest of a content folder."""

    schema_version: Literal[1]
    project: Literal["ComplianceAsCode"]
    licence: Literal["BSD-3-Clause"]
    streams: Annotated[dict[_ProductName, StreamRecord], Field(min_length=1)]


def build_manifest(streams: Mapping[Product, StreamRecord]) -> Manifest:
    """Build the manifest of these data streams, ordered by product."""
    return Manifest(
        schema_version=1,
        project="ComplianceAsCode",
        licence="BSD-3-Clause",
        streams={p: streams[p] for p in sorted(streams, key=product_order)},
    )


def product_order(product: Product) -> tuple[str, int]:
    """Return a key that sorts ``rhel9`` before ``rhel10``."""
    name = product.rstrip("0123456789")
    return name, int(product[len(name) :] or 0)


def shipped_folder() -> Path:
    """Return the folder of the content that is part of hardpan."""
    return resource_path("hardpan.scanners.content", "shipped")


def updated_folder() -> Path:
    """Return the folder that ``hardpan content update`` writes: a user's choice, not a cache."""
    return data_home() / "content"


def file_name(product: str) -> str:
    """Return the name of a product's data stream, as upstream names it."""
    return f"ssg-{product}-ds.xml"


def notice_name(package: str) -> str:
    """Return the name of a package's file of copyrights, as BSD-3-Clause asks of copies."""
    return _NOTICE_PREFIX + package


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None if the folder has none.

    Raises:
        InputError: it cannot be read, or is not a manifest.
    """
    path = folder / MANIFEST
    try:
        with _open(folder, MANIFEST) as file:
            data = file.read(_MAX_MANIFEST_BYTES + 1)
    except MissingFileError:
        return None
    if len(data) > _MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: longer than {_MAX_MANIFEST_BYTES >> 10} KiB")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as e:
        raise InputError(
            f"{path}: not a manifest of SCAP content: {format_validation_error(e)}"
        ) from e


def read_stream(folder: Path, product: str, record: StreamRecord) -> bytes:
    """Read and decompress a data stream with the size and digest of the manifest.

    Raises:
        InputError: the file cannot be read.
        TrustError: it is damaged or another one.
    """
    return _load_stream(folder / f"{file_name(product)}.xz", record.size, Sha256(record.sha256))


def write_content(
    folder: Path,
    manifest: Manifest,
    streams: Mapping[Product, bytes],
    notices: Mapping[str, bytes],
) -> None:
    """Replace ``folder`` by this content.

    ``streams`` are the new data streams, ``notices`` the copyright files of their packages. Those
    of the manifest that are not among them are taken from ``folder`` as they are.

    Raises:
        InputError: the folder has other files, or lacks a data stream of the manifest.
    """
    folder = folder.absolute()
    _refuse_other_files(folder)
    with atomic_path(folder) as temp:
        temp.mkdir()
        for product, record in manifest.streams.items():
            stream_name = f"{file_name(product)}.xz"
            data = streams.get(product)
            compressed = _read_file(folder, stream_name) if data is None else compress(data)
            (temp / stream_name).write_bytes(compressed)
            package = record.package.name
            notice = notices.get(package) or _read_file(folder, notice_name(package))
            (temp / notice_name(package)).write_bytes(notice)
        (temp / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")


def compress(data: bytes) -> bytes:
    """Compress as XZ without names and times: the same data gives the same bytes."""
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=_PRESET)


# A build checks the content before it starts and reads it again; unit tests do so 200 times.
@lru_cache(maxsize=2)
def _load_stream(path: Path, size: int, sha256: Sha256) -> bytes:
    compressed = _read_file(path.parent, path.name)
    data = _decompress(compressed, size, path)
    digest = sha256_bytes(data)
    if digest != sha256:
        raise TrustError(f"{path}: expected sha256 {sha256} after decompression, got {digest}")
    return data


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        with _open(folder, name) as file:
            return read_open_file(file, path, max_bytes=MAX_DATA_STREAM_BYTES)
    except MissingFileError as e:
        raise InputError(f"{path}: cannot be read: no such file") from e


def _open(folder: Path, name: str) -> BufferedReader:
    """Open a file of a content folder, which may have been copied from elsewhere."""
    if folder == shipped_folder():  # an installer of packages may have linked its files
        return open_named_file(folder / name)
    return open_regular_file(folder, name, allow_hard_links=True)


def _decompress(compressed: bytes, size: int, path: Path) -> bytes:
    """Decompress at most ``size`` bytes, whatever the file would unpack to."""
    xz = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_MEMORY_BYTES)
    try:
        data = xz.decompress(compressed, max_length=size + 1)
    except lzma.LZMAError as e:
        raise TrustError(f"{path}: damaged: expected XZ data, got: {e}") from e
    if len(data) != size or not xz.eof or xz.unused_data:
        raise TrustError(f"{path}: damaged: expected {size} bytes after decompression")
    return data


def _refuse_other_files(folder: Path) -> None:
    if folder.is_dir():
        names = sorted(p.name for p in folder.iterdir())
        unexpected = [n for n in names if not _FILE_NAME.fullmatch(n)]
    else:
        unexpected = [folder.name] if folder.exists() else []
    if unexpected:
        raise InputError(
            f"{folder}: expected a folder of SCAP content or none, got {unexpected[0]}",
            hint="choose another folder; everything in it would be replaced",
        )
