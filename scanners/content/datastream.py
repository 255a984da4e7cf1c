"""Choose the source data stream of a scan, and record its origin.

Nothing is downloaded here: the same hardpan uses the same content on every machine,
unless the user ran ``hardpan content update`` or chose another one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.core.errors import HardpanError, InputError
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.content import benchmark, store
from hardpan.scanners.content.catalog import (
    BenchmarkSummary,
    list_benchmarks,
    select_benchmark,
)
from hardpan.scanners.content.content_file import read_content_file
from hardpan.scanners.content.scap_xml import Element, parse_data_stream
from hardpan.scanners.content.store import Product, StreamRecord, product_order
from hardpan.scanners.model.scan import ContentOrigin

INSTALLED = Path("/usr/share/xml/scap/ssg/content")
"""Folder of the data streams of scap-security-guide (RPM) and of Debian's packages."""

_INSTALLED_NAME = re.compile(r"ssg-([a-z0-9-]{1,40})-ds\.xml")

ContentSelection = Path | ContentOrigin
"""A data stream's file, or one of the known origins."""

_HINTS = {
    ContentOrigin.SHIPPED: "install hardpan again, or give a data stream with --content FILE",
    ContentOrigin.UPDATED: "'hardpan content update' writes it again; --content shipped needs none",
    ContentOrigin.INSTALLED: "install scap-security-guide, or leave --content out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSource:
    """A source data stream of upstream."""

    name: str
    """File name, e.g. ``ssg-rhel9-ds.xml``."""

    version: str
    """Benchmark version, e.g. ``0.1.82``."""

    date: str
    """Day of the benchmark, ``YYYY-MM-DD``; empty when it names none."""

    origin: str
    """Origin as text."""

    origin_kind: ContentOrigin

    sha256: Sha256
    data: bytes
    """The file's bytes: the digest is over the bytes that are used."""

    benchmark_id: str = ""
    """The benchmark to use of a collection that has several; empty for the only one."""

    def __str__(self) -> str:
        date_suffix = f" of {self.date}" if self.date else ""
        return f"{self.name} {self.version}{date_suffix}, {self.origin}"


def find(
    product: Product, choice: ContentSelection | None = None, *, benchmark_id: str = ""
) -> ContentSource:
    """Find the data stream to scan a product with.

    Without a choice this is the updated content if it is newer than the shipped content, else
    the shipped content. ``benchmark_id`` chooses among several benchmarks of a file.

    Raises:
        InputError: the choice has nothing for the product, is no data stream, or has another
            benchmark or several.
        TrustError: the shipped or updated content is damaged.
    """
    if isinstance(choice, Path):
        return from_file(choice, benchmark_id)
    origin = choice or default_origin(product)
    with _add_hint(origin):
        if origin is ContentOrigin.INSTALLED:
            source = _find_installed(product)
        else:
            source = load_stored(origin, content_folder(origin), product)
    if benchmark_id:
        select_benchmark(parse_data_stream(source.data, source.name), benchmark_id, source.name)
    return replace(source, benchmark_id=benchmark_id)


def from_file(path: Path, benchmark_id: str = "") -> ContentSource:
    """Load the data stream in a file that the user named.

    Raises:
        InputError: it cannot be read, is not a data stream, or has another benchmark or several.
    """
    return _load_file(path, ContentOrigin.FILE, f"--content {path.name}", benchmark_id)


def load_collection(path: Path) -> ContentSource:
    """Load a file that the user named, with any number of benchmarks; version and date are empty.

    Raises:
        InputError: it cannot be read, or is not a data stream.
    """
    name, data = read_content_file(path)
    parse_data_stream(data, name)
    return ContentSource(
        name=name,
        version="",
        date="",
        origin=f"--content {path.name}",
        origin_kind=ContentOrigin.FILE,
        sha256=sha256_bytes(data),
        data=data,
    )


def parse_source(source: ContentSource) -> Element:
    """Parse a data stream, and reduce it to the benchmark of the source.

    Raises:
        InputError: it is invalid, or has no such benchmark.
    """
    root = parse_data_stream(source.data, source.name)
    select_benchmark(root, source.benchmark_id, source.name)
    return root


def load_stored(origin: ContentOrigin, folder: Path, product: Product) -> ContentSource:
    """Load the data stream of a product from a content folder.

    Raises:
        InputError: the folder has none, or cannot be read.
        TrustError: it is damaged.
    """
    manifest = store.read_manifest(folder)
    record = None if manifest is None else manifest.streams.get(product)
    if record is None:
        raise InputError(f"{folder}: expected SCAP content for {product}, got none")
    return ContentSource(
        name=store.file_name(product),
        version=record.version,
        date=record.date.isoformat(),
        origin=describe_origin(origin, record),
        origin_kind=origin,
        sha256=Sha256(record.sha256),
        data=store.read_stream(folder, product, record),
    )


def describe_benchmarks(source: ContentSource) -> tuple[BenchmarkSummary, ...]:
    """Return the benchmarks of a data stream: from a manifest that has its digest, else read.

    Raises:
        InputError: the data stream is invalid.
    """
    for origin in (ContentOrigin.SHIPPED, ContentOrigin.UPDATED):
        with suppress(HardpanError):  # a damaged manifest describes nothing
            manifest = store.read_manifest(content_folder(origin))
            records = () if manifest is None else manifest.streams.values()
            for record in records:
                if record.sha256 == source.sha256:
                    return record.benchmarks
    return list_benchmarks(parse_data_stream(source.data, source.name), source.name)


def default_origin(product: Product) -> ContentOrigin:
    """Return the origin that a scan without ``--content`` uses for a product.

    Raises:
        InputError: a manifest is damaged.
    """
    updated, shipped = (
        find_record(o, product) for o in (ContentOrigin.UPDATED, ContentOrigin.SHIPPED)
    )
    if updated is not None and (shipped is None or _is_newer(updated, shipped)):
        return ContentOrigin.UPDATED
    return ContentOrigin.SHIPPED


def has_content(product: Product, origin: ContentOrigin) -> bool:
    """Return True if an origin has a data stream for a product.

    Raises:
        InputError: a manifest is damaged.
    """
    if origin is ContentOrigin.INSTALLED:
        return (INSTALLED / store.file_name(product)).is_file()
    return find_record(origin, product) is not None


def list_products(origin: ContentOrigin) -> tuple[Product, ...]:
    """Return the products that an origin has a data stream for, in the order of their names.

    Raises:
        InputError: a manifest is damaged.
    """
    if origin is ContentOrigin.INSTALLED:
        names = [_INSTALLED_NAME.fullmatch(p.name) for p in INSTALLED.glob("ssg-*-ds.xml")]
        return tuple(sorted((m[1] for m in names if m is not None), key=product_order))
    with _add_hint(origin):
        manifest = store.read_manifest(content_folder(origin))
    return () if manifest is None else tuple(manifest.streams)


def find_record(origin: ContentOrigin, product: Product) -> StreamRecord | None:
    """Return the manifest's record of a shipped or updated data stream; None if it has none.

    Raises:
        InputError: the manifest is damaged.
    """
    with _add_hint(origin):
        manifest = store.read_manifest(content_folder(origin))
    return None if manifest is None else manifest.streams.get(product)


def content_folder(origin: ContentOrigin) -> Path:
    """Return the folder of the shipped or the updated content."""
    return store.shipped_folder() if origin is ContentOrigin.SHIPPED else store.updated_folder()


def _is_newer(candidate: StreamRecord, reference: StreamRecord) -> bool:
    return candidate.is_newer_than(reference.version, reference.date.isoformat())


def _find_installed(product: Product) -> ContentSource:
    path = INSTALLED / store.file_name(product)
    return _load_file(path, ContentOrigin.INSTALLED, f"installed on the scanning machine, {path}")


def _load_file(
    path: Path, origin: ContentOrigin, text: str, benchmark_id: str = ""
) -> ContentSource:
    name, data = read_content_file(path)
    root = parse_data_stream(data, name)
    select_benchmark(root, benchmark_id, name)
    version, date = benchmark.read_version_and_date(root, name)
    return ContentSource(
        name=name,
        version=version,
        date=date,
        origin=text,
        origin_kind=origin,
        sha256=sha256_bytes(data),
        data=data,
        benchmark_id=benchmark_id,
    )


def describe_origin(origin: ContentOrigin, record: StreamRecord) -> str:
    """Describe where a stored data stream came from."""
    package = f"Debian {record.package.name} {record.package.version}"
    if origin is ContentOrigin.UPDATED:
        return f"updated on {record.retrieved}, {package}"
    return f"shipped with hardpan, {package}"


@contextmanager
def _add_hint(origin: ContentOrigin) -> Iterator[None]:
    try:
        yield
    except HardpanError as e:
        e.hint = _HINTS[origin] or e.hint
        raise
