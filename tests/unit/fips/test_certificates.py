from datetime import date

import pytest

from hardpan.scanners.fips.certificates import assess_modules, list_spellings
from hardpan.scanners.fips.cmvp import CmvpTable, VendorKey
from hardpan.scanners.fips.model import CryptoModule, FipsAnswers
from tests.unit.fips import samples


def assess_openssl(
    facts: FipsAnswers, table: CmvpTable, today: date = samples.TODAY
) -> CryptoModule:
    return next(m for m in assess_modules(facts, table, today) if m.name == "openssl")


def packages_with(nevra: str) -> tuple[str, ...]:
    return tuple(nevra if p == samples.OPENSSL_NEVRA else p for p in samples.INSTALLED)


def test_exact_build_is_validated() -> None:
    module = assess_openssl(samples.make_answers(), samples.make_table())

    assert (module.state, module.certificate, module.sunset) == ("validated", 5116, "2031-01-05")
    assert module.reason == "listed for RLC 9.6 LTS"
    assert module.operational_env == "listed"


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
def test_similar_build_is_not_validated(nevra: str, state: str) -> None:
    assert (
        assess_openssl(
            samples.make_answers(packages=packages_with(nevra)), samples.make_table()
        ).state
        == state
    )


def test_builds_match_with_epoch_and_architecture() -> None:
    full = samples.make_answers(verify=samples.rpm_verify_output(samples.OPENSSL_NEVRA))
    assert (
        assess_openssl(
            full, samples.make_table(samples.make_certificate(builds=(samples.OPENSSL_NEVRA,)))
        ).state
        == "validated"
    )
    other = samples.OPENSSL_NEVRA.replace("x86_64", "aarch64")
    assert (
        assess_openssl(
            samples.make_answers(), samples.make_table(samples.make_certificate(builds=(other,)))
        ).state
        == "unknown"
    )
    assert list_spellings("no nevra") == frozenset()


@pytest.mark.parametrize(
    ("today", "state"),
    [(date(2026, 9, 20), "validated"), (date(2026, 9, 22), "historical")],
)
def test_140_2_certificate_becomes_historical_on_its_date(today: date, state: str) -> None:
    table = samples.make_table(samples.make_certificate(level="140-2"), as_of=date(2026, 9, 1))

    assert assess_openssl(samples.make_answers(), table, today).state == state


def test_stale_list_has_no_active_certificate_but_historical_ones() -> None:
    today = date(2026, 11, 21)

    assert assess_openssl(samples.make_answers(), samples.make_table(), today).state == "stale_data"
    assert (
        assess_openssl(
            samples.make_answers(),
            samples.make_table(samples.make_certificate(level="140-2")),
            today,
        ).state
        == "historical"
    )


def test_module_in_process_has_no_certificate() -> None:
    row = samples.make_certificate(status="in_process", certificate=None, sunset=None)
    module = assess_openssl(samples.make_answers(), samples.make_table(row))

    assert (module.state, module.certificate) == ("in_process", None)


@pytest.mark.parametrize(
    ("verify", "state"),
    [
        (None, "unknown"),
        ("", "unknown"),
        (f"@begin {samples.BUILD}\n{samples.SIGNED}\n", "unknown"),
        (samples.rpm_verify_output(f"{samples.BUILD}1"), "unknown"),
        (samples.rpm_verify_output(samples.BUILD, "..5....T.    /x.so"), "not_validated"),
        (samples.rpm_verify_output(samples.BUILD, "missing     /x.so"), "not_validated"),
        (samples.rpm_verify_output(samples.BUILD, "..5....T.  c /x"), "validated"),
        ("..5....T.    /x\n" + samples.rpm_verify_output(samples.BUILD), "validated"),
    ],
)
def test_changed_or_unverified_files_are_never_validated(verify: str | None, state: str) -> None:
    assert assess_openssl(samples.make_answers(verify=verify), samples.make_table()).state == state


@pytest.mark.parametrize(
    ("signed", "on_record", "state", "reason"),
    [
        (samples.SIGNED, None, "unknown", "the key that signs the listed build is not on record"),
        ("@signer (none)", samples.SIGNER, "unknown", "rpm reports no signer of the package"),
        ("@signer Key ID 12", samples.SIGNER, "unknown", "rpm reports no signer of the package"),
        (
            samples.SIGNED,
            "0" * 16,
            "not_validated",
            "signed with another key than the listed build",
        ),
        (
            f"@signer x, Key ID ab12cd34{samples.SIGNER}",
            samples.SIGNER,
            "validated",
            "listed for RLC",
        ),
    ],
)
def test_build_requires_the_listed_signer(
    signed: str, on_record: str | None, state: str, reason: str
) -> None:
    facts = samples.make_answers(verify=samples.rpm_verify_output(samples.BUILD, signed=signed))
    module = assess_openssl(facts, samples.make_table(samples.make_certificate(signer=on_record)))

    assert module.state == state
    assert module.reason.startswith(reason)


@pytest.mark.parametrize(
    ("cpu", "environments", "env"),
    [
        (samples.CPU, (samples.LISTED,), "listed"),
        (samples.CPU, ({**samples.LISTED, "affirmed": True},), "vendor_affirmed"),
        (samples.CPU, ({**samples.LISTED, "arch": "aarch64"},), "not_listed"),
        ("x86_64\nQEMU Virtual CPU version 2.5+\n", (samples.LISTED,), "not_listed"),
        ("x86_64\n", (samples.LISTED,), "unknown"),
        (None, (samples.LISTED,), "unknown"),
        (samples.CPU, (), "unknown"),
    ],
)
def test_processor_is_compared_with_tested_environments(
    cpu: str | None, environments: tuple[dict[str, object], ...], env: str
) -> None:
    row = samples.make_certificate(environments=environments)

    assert (
        assess_openssl(samples.make_answers(cpu=cpu), samples.make_table(row)).operational_env
        == env
    )


def test_unlisted_build_has_no_listed_environment() -> None:
    facts = samples.make_answers(
        packages=packages_with("openssl-fips-provider-0:3.0.7-27.el9.x86_64")
    )

    assert assess_openssl(facts, samples.make_table()).operational_env == "not_listed"


def test_only_the_running_kernel_is_assessed() -> None:
    build = f"kernel-core-{samples.KERNEL}"
    rows = [samples.make_certificate(module="kernel", builds=(build,), tag="x570")]
    verify = samples.rpm_verify_output(build)
    matching = assess_modules(
        samples.make_answers(verify=verify), samples.make_table(*rows), samples.TODAY
    )[0]
    other = assess_modules(
        samples.make_answers(kernel="5.14.0-1.el9.x86_64"), samples.make_table(*rows), samples.TODAY
    )[0]
    unanswered = assess_modules(
        samples.make_answers(kernel=None), samples.make_table(*rows), samples.TODAY
    )[0]

    assert [m.state for m in (matching, other, unanswered)] == [
        "validated",
        "not_validated",
        "unknown",
    ]


def test_missing_rpm_database_or_package_is_unknown() -> None:
    for packages in (None, ()):
        assessed = assess_modules(
            samples.make_answers(packages=packages), samples.make_table(), samples.TODAY
        )
        assert {m.state for m in assessed} == {"unknown"}


RED_HAT = VendorKey(id="199e2f91fd431d51", vendor="Red Hat", certificates="exist")
AMAZON = VendorKey(id="e951904ad832c631", vendor="Amazon", certificates="not_looked_up")
ROCKY = VendorKey(id="702d426d350d275d", vendor="Rocky", certificates="none_known")
CIQ = VendorKey(id=samples.SIGNER, vendor="CIQ", certificates="none_known")
LIBGCRYPT = "libgcrypt-0:1.10.0-11.el9.x86_64"


@pytest.mark.parametrize(
    ("key", "state", "reason"),
    [
        (RED_HAT, "unknown", "built by Red Hat, whose certificates are not in the list"),
        (AMAZON, "unknown", "built by Amazon; whether a certificate exists was not looked up"),
        (ROCKY, "not_validated", "exactly this build is not in the list"),
        (None, "not_validated", "exactly this build is not in the list"),
    ],
)
def test_state_of_unlisted_build_depends_on_signer(
    key: VendorKey | None, state: str, reason: str
) -> None:
    signers = f"{LIBGCRYPT} RSA/SHA256, Mon 01 Jan 2024, Key ID {key.id if key else '0' * 16}"
    facts = samples.make_answers(signers=f"package nss is not installed\n{signers}\n")
    table = samples.make_table(keys=(RED_HAT, AMAZON, ROCKY))

    module = next(m for m in assess_modules(facts, table, samples.TODAY) if m.name == "libgcrypt")

    assert (module.state, module.reason) == (state, reason)


@pytest.mark.parametrize("on_record", [None, samples.SIGNER])
def test_listed_build_of_another_vendors_key_is_not_validated(on_record: str | None) -> None:
    signed = f"@signer RSA/SHA256, Mon 01 Jan 2024, Key ID {ROCKY.id}"
    facts = samples.make_answers(verify=samples.rpm_verify_output(samples.BUILD, signed=signed))
    row = samples.make_certificate(signer=on_record)

    module = assess_openssl(facts, samples.make_table(row, keys=(ROCKY, CIQ)))

    assert (module.state, module.reason) == (
        "not_validated",
        "signed with a key of Rocky, not of CIQ",
    )


def test_unverified_row_never_validates() -> None:
    row = samples.make_certificate(status="unverified", sunset=None)

    module = assess_openssl(samples.make_answers(), samples.make_table(row))

    assert (module.state, module.certificate) == ("unknown", 5116)
    assert module.reason == "certificate #5116 names this build, but was not verified"
