"""The table of end-of-support dates."""

from datetime import date, timedelta

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.collect.lifecycle import (
    LIFECYCLE_FILE,
    STALE_AFTER,
    assess_support,
    load_lifecycle_table,
    parse_lifecycle_table,
)
from hardpan.scanners.content.products import OsRelease

TEXT = LIFECYCLE_FILE.read_text("utf-8")


def test_shipped_table_has_the_scanned_releases() -> None:
    table = load_lifecycle_table()
    names = {f"{p.os_id} {r.version}" for p in table.products for r in p.releases}

    for distro in ("rhel", "rocky", "almalinux", "ol", "centos"):
        assert {f"{distro} 8", f"{distro} 9", f"{distro} 10"} <= names
    assert {"debian 11", "debian 12", "debian 13", "ubuntu 22.04", "ubuntu 24.04"} <= names
    assert {"sles 15.7", "fedora 43", "amzn 2023"} <= names
    assert table.as_of <= table.read


@pytest.mark.parametrize(
    ("version", "end"),
    [("15.7", date(2031, 7, 31)), ("15.6", date(2025, 12, 31)), ("15.1", None), ("15", None)],
)
def test_service_packs_have_separate_dates(version: str, end: date | None) -> None:
    release = OsRelease(os_id="sles", version_id=version)
    status = assess_support(load_lifecycle_table(), release, date(2026, 1, 1))

    assert (None if status is None else status.end) == end


def test_minor_release_has_the_dates_of_its_major_release() -> None:
    release = OsRelease(os_id="almalinux", version_id="9.6")
    last_day = date(2032, 5, 31)

    on_last_day, day_after = (
        assess_support(load_lifecycle_table(), release, day)
        for day in (last_day, last_day + timedelta(days=1))
    )

    assert on_last_day is not None
    assert day_after is not None
    assert (on_last_day.has_ended, day_after.has_ended) == (False, True)
    assert on_last_day.days_left(last_day) == 0


@pytest.mark.parametrize(("days", "is_stale"), [(-1, True), (0, False), (365, False), (366, True)])
def test_table_is_stale_after_365_days_or_in_the_future(days: int, is_stale: bool) -> None:
    table = load_lifecycle_table()

    assert table.is_stale(table.as_of + timedelta(days=days)) is is_stale
    assert STALE_AFTER.days == 365


def test_table_of_the_future_reports_it() -> None:
    table = load_lifecycle_table()

    text = table.describe_age(table.as_of - timedelta(days=1))

    assert text == f"is of {table.as_of}, which is in the future"


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("os_id: rhel", "os_id: 'RHEL 9'", "products[0].os_id: "),
        ("full: 2030-05-31, m", "full: 2036-05-31, m", "expected full, maintenance, extended"),
        ('version: "9"', 'version: "10"', "rhel 10 is duplicated"),
        ("    extended_name: Extended Life Cycle Support\n", "", "expected extended_name"),
        ("as_of: 2026-08-22", "as_of: soon", "as_of: "),
    ],
)
def test_invalid_row_reports_its_location(was: str, now: str, problem: str) -> None:
    assert was in TEXT

    with pytest.raises(InputError) as caught:
        parse_lifecycle_table(TEXT.replace(was, now, 1).encode(), "lifecycle.yaml")

    assert problem in str(caught.value)
    assert str(caught.value).startswith("lifecycle.yaml:")
