"""Download the archive's newest content and report which rules changed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import HardpanError, InputError
from hardpan.core.events import Emit, StageProgress, run_stage
from hardpan.core.files import sha256_bytes
from hardpan.scanners.content import apt, benchmark, datastream, store
from hardpan.scanners.content.changes import ContentChanges, compare_content
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.content.store import PRODUCTS, Manifest, SourcePackage, StreamRecord
from hardpan.scanners.model.scan import ContentOrigin

PROFILE = "stig"
"""The profile whose selection and values are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductUpdate:
    """The archive's data stream of one product, and the one that scans use now."""

    product: store.Product
    baseline: ContentSource | None
    """None if the folder that is written has none yet."""

    current: StreamRecord
    is_newer: bool
    changes: ContentChanges | None
    """None without a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentUpdate:
    """The result of an update."""

    version: str
    """Version of the archive's package."""

    suite: str
    products: tuple[ProductUpdate, ...]
    """Empty if the package's content is already stored: nothing was downloaded."""

    manifest: Manifest | None
    stored: Path | None
    """None if nothing was stored."""


def update_content(
    emit: Emit, *, cache: Path, into: Path | None = None, dry_run: bool = False
) -> ContentUpdate:
    """Download the archive's newest content and store it if it is newer.

    It is stored in ``into``, by default in the user's folder; with ``dry_run`` not at all.

    Raises:
        ToolError: the archive does not answer, or this machine has no apt.
        InputError: the package has no SCAP content, or ``into`` has other files.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with run_stage(emit, "content") as note:
        note(f"reading the index of Debian's archive for {apt.PACKAGE}")
        candidate = apt.find_newest(cache)
        if candidate.version in set(_iter_stored_versions(into)):
            return ContentUpdate(
                version=candidate.version,
                suite=candidate.suite,
                products=(),
                manifest=None,
                stored=None,
            )

        def progress(percent: float) -> None:
            label = f"% of {apt.PACKAGE} {candidate.version} ({candidate.suite})"
            emit(StageProgress(stage="content", completed=int(percent), total=100, text=label))

        package = apt.download(candidate, cache, progress)
        manifest = build_manifest(package)
        note("comparing rules")
        products = tuple(_compare_products(manifest, package, into))
        stored = None
        if not dry_run and any(p.is_newer for p in products):
            stored = into or store.updated_folder()
            note(f"compressing into {stored}")
            store.write_content(stored, manifest, package.streams, package.notice)
    return ContentUpdate(
        version=package.version,
        suite=package.suite,
        products=products,
        manifest=manifest,
        stored=stored,
    )


def build_manifest(package: apt.DownloadedContent) -> Manifest:
    """Build the manifest of a package's content.

    Raises:
        InputError: a data stream is invalid, or has no version or date.
    """
    records = {}
    for product, data in package.streams.items():
        name = store.file_name(product)
        version, day = benchmark.read_version_and_date(parse_data_stream(data, name), name)
        if not version or not day:
            raise InputError(f"{name}: expected a benchmark with version and date, got none")
        records[product] = StreamRecord.model_validate(
            {"version": version, "date": day, "size": len(data), "sha256": sha256_bytes(data)}
        )
    return Manifest(
        schema_version=1,
        project="ComplianceAsCode",
        licence="BSD-3-Clause",
        package=SourcePackage(
            name=package.name,
            source=package.source,
            version=package.version,
            suite=package.suite,
            sha256=package.sha256,
        ),
        retrieved=clock.now().date(),
        streams=records,
    )


def _iter_stored_versions(into: Path | None) -> Iterator[str]:
    """Yield versions of the packages whose content is stored without damage."""
    for folder in (store.shipped_folder(), store.updated_folder()) if into is None else (into,):
        with suppress(HardpanError):  # damaged content is downloaded again
            manifest = store.read_manifest(folder)
            if manifest is not None:
                for product, record in manifest.streams.items():
                    store.read_stream(folder, product, record)
                yield manifest.package.version


def _compare_products(
    manifest: Manifest, package: apt.DownloadedContent, into: Path | None
) -> Iterator[ProductUpdate]:
    for product in PRODUCTS:
        record, baseline = manifest.streams[product], _find_baseline(product, into)
        if baseline is None:
            yield ProductUpdate(
                product=product, baseline=None, current=record, is_newer=True, changes=None
            )
            continue
        name = store.file_name(product)
        yield ProductUpdate(
            product=product,
            baseline=baseline,
            current=record,
            is_newer=record.is_newer_than(baseline.version, baseline.date),
            changes=compare_content(
                parse_data_stream(baseline.data, name),
                parse_data_stream(package.streams[product], name),
                PROFILE,
                name=name,
            ),
        )


def _find_baseline(product: store.Product, into: Path | None) -> ContentSource | None:
    """Return what a scan would use today; the shipped content if that is damaged."""
    if into is not None:
        with suppress(HardpanError):
            return datastream.load_stored(ContentOrigin.UPDATED, into, product)
        return None
    with suppress(HardpanError):
        return datastream.find(product)
    return datastream.find(product, ContentOrigin.SHIPPED)
