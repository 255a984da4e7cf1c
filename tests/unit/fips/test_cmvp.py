from datetime import date, timedelta

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.fips.cmvp import CMVP_FILE, load_table, parse_table
from tests.unit.fips import samples

VALID_TABLE = CMVP_FILE.read_text("utf-8")


def test_shipped_table_lists_builds_and_keys() -> None:
    shipped = load_table()
    builds = [b for c in shipped.certificates for b in c.builds]

    assert samples.BUILD in builds
    assert len(builds) >= 15
    assert {c.release for c in shipped.certificates} >= {
        "RLC 9.2 LTS",
        "RLC 9.6 LTS",
        "RLC 8.10 LTS",
    }
    assert all(b.rpartition("-")[2].find(c.tag) > 0 for c in shipped.certificates for b in c.builds)
    assert {k.vendor for k in shipped.keys} >= {"Red Hat", "Oracle", "Amazon"}
    assert shipped.read is not None
    assert shipped.read >= shipped.as_of
    assert {c.module for c in shipped.certificates} == {
        *("kernel", "openssl", "libgcrypt", "gnutls", "nss")
    }


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("as_of: 2026-02-01", "as_of: soon", "as_of: "),
        ("module: openssl\n", "module: wolfssl\n", "certificates[0].module: expected kernel,"),
        ("    level: 140-3", "    level: 140-4", "certificates[0].level: expected 140-2 or 140-3"),
        ("    status: active", "    status: ok", "certificates[0].status: expected active, in_"),
        ("    sunset: 2031-01-05", "    sunset: null", "expected a certificate and a sunset"),
        ("certificate: 5116\n", "certificate: 0\n", "certificates[0].certificate: expected 1 or"),
        ("certificate: null,", "certificate: 7,", "expected none for a module in process"),
        ("    tag: ciqfips", "    tag: 'a b'", "certificates[0].tag: "),
        ("    tag: ciqfips", "    tga: ciqfips", "certificates[0].tga: unknown setting"),
        ("tag: ciqfips\n", "tag: ciqfips\n    signer: KEY\n", "certificates[0].signer: "),
        (
            "tag: ciqfips\n",
            "tag: ciqfips\n    environments: [{arch: x86_64}]\n",
            "certificates[0].environments[0].cpu: is missing",
        ),
        ("    vendor: CIQ\n", "", "certificates[0].vendor: is missing"),
        ("id: 5054e4a45a6340b3", "id: 199e2f91fd431d51", "199e2f91fd431d51 is duplicated"),
        ("id: 5054e4a45a6340b3", "id: 5A6340B3", "keys[1].id: "),
        (samples.BUILD, "openssl*", "certificates[0].builds[0]: "),
        (samples.BUILD, f"{samples.BUILD}, {samples.BUILD}", "is duplicated"),
    ],
)
def test_invalid_value_reports_location(was: str, now: str, problem: str) -> None:
    assert was in VALID_TABLE

    with pytest.raises(InputError) as caught:
        parse_table(VALID_TABLE.replace(was, now, 1).encode(), "cmvp.yaml")

    assert problem in str(caught.value)
    assert str(caught.value).startswith("cmvp.yaml:")


def test_all_problems_are_reported_together() -> None:
    invalid = VALID_TABLE.replace("as_of: 2026-02-01", "as_of: soon").replace(
        "level: 140-3", "level: x", 1
    )

    with pytest.raises(InputError) as caught:
        parse_table(invalid.encode(), "cmvp.yaml")

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("today", "level", "historical"),
    [
        (date(2026, 9, 20), "140-2", False),
        (date(2026, 9, 21), "140-2", False),
        (date(2026, 9, 22), "140-2", True),
        (date(2026, 9, 22), "140-3", False),
        (date(2031, 1, 5), "140-3", False),
        (date(2031, 1, 6), "140-3", True),
    ],
)
def test_certificate_becomes_historical_after_sunset(
    today: date, level: str, historical: bool
) -> None:
    assert samples.make_certificate(level=level).is_historical(today) is historical


def test_stale_table_is_described_with_its_date() -> None:
    cmvp_table = samples.make_table()

    assert cmvp_table.describe_age(cmvp_table.as_of + timedelta(days=180)) == ""
    assert cmvp_table.describe_age(cmvp_table.as_of + timedelta(days=181)) == (
        "the list of CMVP certificates is of 2026-05-01, expected one of at most 180 days: "
        "no certificate is called active"
    )


def test_table_of_the_future_is_unusable() -> None:
    cmvp_table = samples.make_table()

    text = cmvp_table.describe_age(cmvp_table.as_of - timedelta(days=1))

    assert "expected one of the past (check the clock of this machine)" in text


@pytest.mark.parametrize(("days", "stale"), [(-1, True), (0, False), (180, False), (181, True)])
def test_table_is_stale_after_180_days_or_in_the_future(days: int, stale: bool) -> None:
    cmvp_table = samples.make_table()

    assert cmvp_table.is_stale(cmvp_table.as_of + timedelta(days=days)) is stale
