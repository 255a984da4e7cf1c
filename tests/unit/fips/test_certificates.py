from datetime import date

import pytest

from hardpan.scanners.fips.certificates import forms, modules
from hardpan.scanners.fips.model import Facts, Module
from hardpan.scanners.fips.table import Table
from tests.unit.fips import told


def openssl(facts: Facts, table: Table, today: date = told.TODAY) -> Module:
    return next(m for m in modules(facts, table, today) if m.name == "openssl")


def installed(nevra: str) -> tuple[str, ...]:
    return tuple(nevra if p == told.OPENSSL else p for p in told.INSTALLED)


def test_the_exact_build_is_validated() -> None:
    found = openssl(told.facts(), told.table())

    assert (found.state, found.certificate, found.sunset) == ("validated", 5116, "2031-01-05")
    assert found.reason == "listed for RLC 9.6 LTS"
    assert found.operational_env == "listed"


@pytest.mark.parametrize(
    ("nevra", "state"),
    [
        ("openssl-fips-provider-0:3.0.7-27.el9.x86_64", "not_validated"),
        ("openssl-fips-provider-0:3.0.7-27.el9_6.x86_64", "not_validated"),
        # A longer and a shorter release, and another epoch: the vendor's, but not this build.
        ("openssl-fips-provider-0:3.0.7-27.el9_6ciqfips.0.2.71.x86_64", "unknown"),
        ("openssl-fips-provider-0:3.0.7-27.el9_6ciqfips.0.2.x86_64", "unknown"),
        ("openssl-fips-provider-1:3.0.7-27.el9_6ciqfips.0.2.7.x86_64", "unknown"),
    ],
)
def test_a_build_that_only_looks_alike_is_not_validated(nevra: str, state: str) -> None:
    assert openssl(told.facts(packages=installed(nevra)), told.table()).state == state


def test_a_list_may_write_epoch_and_architecture() -> None:
    full = told.facts(verify=told.verified(told.OPENSSL))
    assert openssl(full, told.table(told.row(builds=(told.OPENSSL,)))).state == "validated"
    other = told.OPENSSL.replace("x86_64", "aarch64")
    assert openssl(told.facts(), told.table(told.row(builds=(other,)))).state == "unknown"
    assert forms("no nevra") == frozenset()


@pytest.mark.parametrize(
    ("today", "state"),
    [(date(2026, 9, 20), "validated"), (date(2026, 9, 22), "historical")],
)
def test_a_140_2_certificate_is_historical_from_the_day_on(today: date, state: str) -> None:
    table = told.table(told.row(level="140-2"), as_of=date(2026, 9, 1))

    assert openssl(told.facts(), table, today).state == state


def test_an_old_list_calls_nothing_active_and_a_past_date_needs_no_fresh_list() -> None:
    today = date(2026, 11, 21)

    assert openssl(told.facts(), told.table(), today).state == "stale_data"
    assert openssl(told.facts(), told.table(told.row(level="140-2")), today).state == "historical"


def test_a_module_in_process_has_no_certificate() -> None:
    row = told.row(status="in_process", certificate=None, sunset=None)
    found = openssl(told.facts(), told.table(row))

    assert (found.state, found.certificate) == ("in_process", None)


@pytest.mark.parametrize(
    ("verify", "state"),
    [
        (None, "unknown"),
        ("", "unknown"),
        (f"@begin {told.BUILD}\n{told.SIGNED}\n", "unknown"),
        (told.verified(f"{told.BUILD}1"), "unknown"),
        (told.verified(told.BUILD, "..5....T.    /x.so"), "not_validated"),
        (told.verified(told.BUILD, "missing     /x.so"), "not_validated"),
        (told.verified(told.BUILD, "..5....T.  c /x"), "validated"),
        ("..5....T.    /x\n" + told.verified(told.BUILD), "validated"),
    ],
)
def test_changed_or_unverified_files_are_never_validated(verify: str | None, state: str) -> None:
    assert openssl(told.facts(verify=verify), told.table()).state == state


@pytest.mark.parametrize(
    ("signed", "on_record", "state", "reason"),
    [
        (told.SIGNED, None, "unknown", "the key that signs the listed build is not on record"),
        ("@signer (none)", told.SIGNER, "unknown", "rpm knows no signer of the package"),
        ("@signer Key ID 12", told.SIGNER, "unknown", "rpm knows no signer of the package"),
        (told.SIGNED, "0" * 16, "not_validated", "signed with another key than the listed build"),
        (f"@signer x, Key ID ab12cd34{told.SIGNER}", told.SIGNER, "validated", "listed for RLC"),
    ],
)
def test_only_the_signer_tells_whose_build_it_is(
    signed: str, on_record: str | None, state: str, reason: str
) -> None:
    facts = told.facts(verify=told.verified(told.BUILD, signed=signed))
    found = openssl(facts, told.table(told.row(signer=on_record)))

    assert found.state == state
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("cpu", "environments", "env"),
    [
        (told.CPU, (told.LISTED,), "listed"),
        (told.CPU, ({**told.LISTED, "affirmed": True},), "vendor_affirmed"),
        (told.CPU, ({**told.LISTED, "arch": "aarch64"},), "not_listed"),
        ("x86_64\nQEMU Virtual CPU version 2.5+\n", (told.LISTED,), "not_listed"),
        ("x86_64\n", (told.LISTED,), "unknown"),
        (None, (told.LISTED,), "unknown"),
        (told.CPU, (), "unknown"),
    ],
)
def test_the_processor_is_compared_with_those_the_certificate_names(
    cpu: str | None, environments: tuple[dict[str, object], ...], env: str
) -> None:
    row = told.row(environments=environments)

    assert openssl(told.facts(cpu=cpu), told.table(row)).operational_env == env


def test_a_build_on_no_certificate_has_no_listed_processor() -> None:
    facts = told.facts(packages=installed("openssl-fips-provider-0:3.0.7-27.el9.x86_64"))

    assert openssl(facts, told.table()).operational_env == "not_listed"


def test_only_the_running_kernel_counts() -> None:
    build = f"kernel-core-{told.KERNEL}"
    rows = [told.row(module="kernel", builds=(build,), tag="x570")]
    verify = told.verified(build)
    found = modules(told.facts(verify=verify), told.table(*rows), told.TODAY)[0]
    other = modules(told.facts(kernel="5.14.0-1.el9.x86_64"), told.table(*rows), told.TODAY)[0]
    silent = modules(told.facts(kernel=None), told.table(*rows), told.TODAY)[0]

    assert [m.state for m in (found, other, silent)] == ["validated", "not_validated", "unknown"]


def test_no_rpm_database_and_no_package_are_unknown() -> None:
    for packages in (None, ()):
        found = modules(told.facts(packages=packages), told.table(), told.TODAY)
        assert {m.state for m in found} == {"unknown"}
