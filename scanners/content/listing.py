"""List the content that scans can use: data streams, benchmarks and profiles."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import HardpanError
from hardpan.core.files import Sha256
from hardpan.scanners.content import datastream
from hardpan.scanners.content.catalog import BenchmarkSummary
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.store import Product, product_order
from hardpan.scanners.model.scan import ContentOrigin

_ORIGINS = (ContentOrigin.SHIPPED, ContentOrigin.UPDATED, ContentOrigin.INSTALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDescription:
    """A data stream without its bytes."""

    name: str
    version: str
    date: str
    origin: str
    """Origin as text."""

    sha256: Sha256
    benchmarks: tuple[BenchmarkSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableContent:
    """One data stream that a scan could use."""

    product: Product
    """Empty for a folder whose manifest is damaged."""

    origin: ContentOrigin
    is_default: bool
    """True if a scan without ``--content`` uses it."""

    description: ContentDescription | HardpanError
    """The error if it is damaged."""


def list_available(products: Collection[Product] = ()) -> tuple[AvailableContent, ...]:
    """List every available data stream, or those of ``products``, damaged ones included.

    Only one data stream is in memory at a time.
    """
    rows = []
    available: dict[Product, list[ContentOrigin]] = {}
    for origin in _ORIGINS:
        try:
            for product in datastream.list_products(origin):
                available.setdefault(product, []).append(origin)
        except HardpanError as e:
            rows.append(
                AvailableContent(product="", origin=origin, is_default=False, description=e)
            )
    for product in sorted(products or available, key=product_order):
        origins = available.get(product, [])
        default = _find_default(product, origins)
        rows += [
            AvailableContent(
                product=product,
                origin=origin,
                is_default=origin is default,
                description=_try_describe(product, origin),
            )
            for origin in origins
        ]
    return tuple(rows)


def describe_file(path: Path) -> ContentDescription:
    """Describe the data stream in a file that the user named.

    Raises:
        InputError: it cannot be read, or is not a data stream.
    """
    source = datastream.load_collection(path)
    benchmarks = datastream.describe_benchmarks(source)
    version, date = source.version, source.date
    if len(benchmarks) == 1:
        version, date = benchmarks[0].version, benchmarks[0].date
    return _describe(source, benchmarks, version=version, date=date)


def _find_default(product: Product, origins: list[ContentOrigin]) -> ContentOrigin | None:
    """Return the origin that a scan uses; None if it ends with an error."""
    with suppress(HardpanError):
        default = datastream.default_origin(product)
        return default if default in origins else ContentOrigin.INSTALLED
    return None


def _try_describe(product: Product, origin: ContentOrigin) -> ContentDescription | HardpanError:
    try:
        source = datastream.find(product, origin)
        benchmarks = datastream.describe_benchmarks(source)
    except HardpanError as e:
        return e
    return _describe(source, benchmarks, version=source.version, date=source.date)


def _describe(
    source: ContentSource, benchmarks: tuple[BenchmarkSummary, ...], *, version: str, date: str
) -> ContentDescription:
    return ContentDescription(
        name=source.name,
        version=version,
        date=date,
        origin=source.origin,
        sha256=source.sha256,
        benchmarks=benchmarks,
    )
