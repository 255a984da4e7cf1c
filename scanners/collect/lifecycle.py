"""The dated table of end-of-support dates, and what it says about a release."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hardpan.core.resources import resource_path
from hardpan.profiles.constraint_set import Violation
from hardpan.profiles.table_file import parse_table_file
from hardpan.scanners.content.products import OsRelease

LIFECYCLE_FILE = resource_path("hardpan.scanners.collect", "lifecycle.yaml")
STALE_AFTER = timedelta(days=365)
"""Vendors move these dates rarely, and announce it months before."""

WARN_BEFORE = timedelta(days=180)

_ShortText = Annotated[str, Field(min_length=1, max_length=200)]


class LifecycleModel(BaseModel):
    """Base of the table's models: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReleaseSupport(LifecycleModel):
    """The end of support of one release. Each date is the last day of its phase."""

    version: Annotated[str, Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,2})?$")]
    """``VERSION_ID`` of os-release, or its first number."""

    full: date | None = None
    maintenance: date | None = None
    """None: the source does not say."""

    extended: date | None = None


class ProductSupport(LifecycleModel):
    """The releases of one distribution."""

    os_id: Annotated[str, Field(pattern=r"^[a-z]{2,20}$")]
    """``ID`` of os-release."""

    vendor_page: _ShortText
    extended_name: _ShortText | None = None
    releases: Annotated[tuple[ReleaseSupport, ...], Field(min_length=1)]


class LifecycleTable(LifecycleModel):
    """The table in lifecycle.yaml."""

    as_of: date
    read: date
    """Day on which hardpan took the dates from the source."""

    source: _ShortText
    checked: _ShortText
    products: tuple[ProductSupport, ...]

    def is_stale(self, today: date) -> bool:
        """Return whether the table is too old to call a release supported, or from the future."""
        return bool(self.describe_age(today))

    def describe_age(self, today: date) -> str:
        """Return why the table cannot call a release supported on ``today``; empty if it can."""
        if self.as_of > today:
            return f"is of {self.as_of}, which is in the future"
        if today - self.as_of > STALE_AFTER:
            return f"is of {self.as_of}, too old to call a release supported"
        return ""

    def find(self, release: OsRelease) -> tuple[ProductSupport, ReleaseSupport] | None:
        """Return the row of a release: by its whole version, else by the first number of it."""
        for product in self.products:
            if product.os_id != release.os_id:
                continue
            for version in (release.version_id, release.major):
                for row in product.releases:
                    if row.version == version:
                        return product, row
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportStatus:
    """What the table says about a release on one day."""

    end: date
    """Last day of security updates without a subscription on top."""

    text: str
    """Release, phase and dates on one line."""

    has_ended: bool

    def days_left(self, today: date) -> int:
        """Return the number of days until ``end``; negative after it."""
        return (self.end - today).days


def assess_support(table: LifecycleTable, release: OsRelease, today: date) -> SupportStatus | None:
    """Return the status of the release on ``today``; None if the table has no date for it."""
    match = table.find(release)
    if match is None or match[1].maintenance is None:
        return None
    product, row = match
    end, full, extended = row.maintenance, row.full, row.extended
    assert end is not None  # noqa: S101 - checked above
    name = f"{release.os_id} {release.version_id}"
    if today > end:
        text = f"{name}: support ended on {end}"
        if extended is not None and today <= extended:
            text += (
                f"; {product.extended_name} until {extended} needs a subscription, "
                "which a scan does not see"
            )
    elif full is not None and today > full:
        text = f"{name}: maintenance until {end}; full support ended on {full}"
    else:
        text = f"{name}: supported until {end}"
    return SupportStatus(end=end, text=f"{text} (table of {table.as_of})", has_ended=today > end)


@lru_cache(maxsize=1)
def load_lifecycle_table() -> LifecycleTable:
    """Load the shipped table.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse_lifecycle_table(LIFECYCLE_FILE.read_bytes(), LIFECYCLE_FILE.name)


def parse_lifecycle_table(data: bytes, file: str) -> LifecycleTable:
    """Parse the table in ``data``; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is reported on a separate line.
    """
    return parse_table_file(data, file, LifecycleTable, _find_violations)


def _find_violations(table: LifecycleTable) -> Iterator[Violation]:
    names: set[str] = set()
    for i, product in enumerate(table.products):
        for j, row in enumerate(product.releases):
            location = ("products", i, "releases", j)
            name = f"{product.os_id} {row.version}"
            if name in names:
                yield Violation((*location, "version"), f"{name} is duplicated")
            names.add(name)
            dates = [d for d in (row.full, row.maintenance, row.extended) if d is not None]
            if dates != sorted(dates):
                yield Violation(location, "expected full, maintenance, extended in this order")
            if row.extended is not None and product.extended_name is None:
                yield Violation(location, "expected extended_name for a release with extended")
