"""Download the archive's newest content and report which rules changed."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hardpan.core import clock
from hardpan.core.errors import HardpanError, InputError
from hardpan.core.events import Emit, StageProgress, run_stage
from hardpan.core.files import sha256_bytes
from hardpan.core.validation_errors import format_validation_error
from hardpan.scanners.content import apt, datastream, store
from hardpan.scanners.content.catalog import list_benchmarks
from hardpan.scanners.content.changes import ContentChanges, compare_content
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.products import debian_package
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.content.selection import choose_profile
from hardpan.scanners.content.store import Product, SourcePackage, StreamRecord
from hardpan.scanners.model.scan import ContentOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductUpdate:
    """The archive's data stream of one product, and the one that scans use now."""

    product: Product
    baseline: ContentSource | None
    """None if there is none yet."""

    current: StreamRecord
    is_newer: bool
    changes: ContentChanges | None
    """For the default profile; None without a baseline that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageUpdate:
    """The archive's newest package of that name."""

    name: str
    version: str
    suite: str
    products: tuple[ProductUpdate, ...]
    """Empty if its content is already stored: nothing was downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentUpdate:
    """The result of an update."""

    packages: tuple[PackageUpdate, ...]
    stored: Path | None
    """None if nothing was stored."""


def update_content(
    emit: Emit,
    *,
    cache: Path,
    products: Collection[Product] = (),
    into: Path | None = None,
    dry_run: bool = False,
) -> ContentUpdate:
    """Download the archive's newest content and store what is newer.

    Without ``products``, those that are already stored are updated. The content is stored in
    ``into``, by default in the user's folder; with ``dry_run`` not at all. Other content of the
    folder stays.

    Raises:
        ToolError: the archive does not answer, has no content for a product, or this machine has
            no apt.
        InputError: a package has no SCAP content, or ``into`` has other files.
    """
    cache.mkdir(parents=True, exist_ok=True)
    products_by_package: dict[str, list[Product]] = {}
    for product in dict.fromkeys(products or _list_stored_products(into)):
        products_by_package.setdefault(debian_package(product), []).append(product)
    downloads: list[apt.DownloadedContent] = []
    stored = None
    with run_stage(emit, "content") as note:
        note(f"reading the index of Debian's archive for {', '.join(products_by_package)}")
        candidates = apt.find_newest(cache, tuple(products_by_package))
        for candidate in candidates:
            package_products = tuple(products_by_package[candidate.name])
            if not all(_is_stored(p, candidate.version, into) for p in package_products):
                downloads.append(_download(emit, candidate, package_products, cache))
        note("comparing rules")
        updates = {d.name: tuple(_compare_products(d, into)) for d in downloads}
        newer = {u.product: u.current for us in updates.values() for u in us if u.is_newer}
        if newer and not dry_run:
            stored = into or store.updated_folder()
            note(f"compressing into {stored}")
            _store(stored, newer, downloads)
    packages = tuple(
        PackageUpdate(
            name=c.name, version=c.version, suite=c.suite, products=updates.get(c.name, ())
        )
        for c in candidates
    )
    return ContentUpdate(packages=packages, stored=stored)


def build_records(package: apt.DownloadedContent) -> dict[Product, StreamRecord]:
    """Build the manifest's records of a package's content.

    Raises:
        InputError: a data stream is invalid, or has no version or date.
    """
    source = SourcePackage(
        name=package.name,
        source=package.source,
        version=package.version,
        suite=package.suite,
        sha256=package.sha256,
    )
    records = {}
    for product, data in package.streams.items():
        name = store.file_name(product)
        benchmarks = list_benchmarks(parse_data_stream(data, name), name)
        if not benchmarks or not benchmarks[0].version or not benchmarks[0].date:
            raise InputError(f"{name}: expected a benchmark with version and date, got none")
        fields = {
            "version": benchmarks[0].version,
            "date": benchmarks[0].date,
            "size": len(data),
            "sha256": sha256_bytes(data),
            "package": source,
            "retrieved": clock.now().date(),
            "benchmarks": benchmarks,
        }
        try:
            records[product] = StreamRecord.model_validate(fields)
        except ValidationError as e:
            raise InputError(f"{name}: {format_validation_error(e)}") from e
    return records


def _download(
    emit: Emit, candidate: apt.PackageCandidate, products: tuple[Product, ...], cache: Path
) -> apt.DownloadedContent:
    def progress(percent: float) -> None:
        label = f"% of {candidate.name} {candidate.version} ({candidate.suite})"
        emit(StageProgress(stage="content", completed=int(percent), total=100, text=label))

    return apt.download(candidate, products, cache, progress)


def _store(
    folder: Path,
    newer: dict[Product, StreamRecord],
    downloads: Collection[apt.DownloadedContent],
) -> None:
    """Store the newer data streams in a folder, and leave its others as they are."""
    current = None
    with suppress(HardpanError):  # a damaged manifest is replaced
        current = store.read_manifest(folder)
    streams = {} if current is None else dict(current.streams)
    store.write_content(
        folder,
        store.build_manifest({**streams, **newer}),
        {p: data for d in downloads for p, data in d.streams.items() if p in newer},
        {d.name: d.notice for d in downloads},
    )


def _list_stored_products(into: Path | None) -> list[Product]:
    """Return the products of the folder that is written, else those of the shipped content."""
    products: list[Product] = []
    if into is not None:
        with suppress(HardpanError):
            manifest = store.read_manifest(into)
            products = [] if manifest is None else list(manifest.streams)
    if products:
        return products
    for origin in (ContentOrigin.SHIPPED, ContentOrigin.UPDATED):
        with suppress(HardpanError):
            products += datastream.list_products(origin)
    return products


def _is_stored(product: Product, version: str, into: Path | None) -> bool:
    """True if the package's content is stored without damage."""
    for folder in (store.shipped_folder(), store.updated_folder()) if into is None else (into,):
        with suppress(HardpanError):  # damaged content is downloaded again
            manifest = store.read_manifest(folder)
            record = None if manifest is None else manifest.streams.get(product)
            if record is not None and record.package.version == version:
                store.read_stream(folder, product, record)
                return True
    return False


def _compare_products(package: apt.DownloadedContent, into: Path | None) -> Iterator[ProductUpdate]:
    for product, record in build_records(package).items():
        baseline = _find_baseline(product, into)
        is_newer = baseline is None or record.is_newer_than(baseline.version, baseline.date)
        yield ProductUpdate(
            product=product,
            baseline=baseline,
            current=record,
            is_newer=is_newer,
            changes=None
            if baseline is None
            else _compare(baseline, package.streams[product], record),
        )


def _compare(baseline: ContentSource, data: bytes, record: StreamRecord) -> ContentChanges | None:
    """Compare for the default profile; None if there is none, or the baseline lacks it."""
    with suppress(InputError):
        profile, _ = choose_profile(record.benchmarks[0], None, baseline.name)
        return compare_content(
            parse_data_stream(baseline.data, baseline.name),
            parse_data_stream(data, baseline.name),
            profile.profile_id,
            name=baseline.name,
        )
    return None


def _find_baseline(product: Product, into: Path | None) -> ContentSource | None:
    """Return what a scan would use today; the shipped content if that is damaged."""
    if into is not None:
        with suppress(HardpanError):
            return datastream.load_stored(ContentOrigin.UPDATED, into, product)
        return None
    with suppress(HardpanError):
        return datastream.find(product)
    with suppress(HardpanError):
        return datastream.find(product, ContentOrigin.SHIPPED)
    return None
