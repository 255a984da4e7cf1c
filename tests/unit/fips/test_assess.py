from dataclasses import asdict
from datetime import date

import pytest

from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.describe import describe_fips
from hardpan.scanners.fips.model import CommandAnswer, FipsAnswers, FipsState
from tests.unit.fips import samples


def assess(**changes: str | CommandAnswer | None) -> FipsState:
    return assess_fips(samples.make_answers(**changes), samples.make_table(), samples.TODAY)


def test_complete_answers_leave_nothing_unknown() -> None:
    state_by_field = asdict(assess())
    modules = state_by_field.pop("modules")

    assert "unknown" not in state_by_field.values()
    assert {m["name"]: m["state"] for m in modules} == {
        "kernel": "not_validated",
        "openssl": "validated",
        "libgcrypt": "not_validated",
        "gnutls": "not_validated",
        "nss": "not_validated",
    }
    assert (state_by_field["provider_active"], state_by_field["provider_version"]) == (
        "yes",
        "3.0.7-395c1a240fbfffd8",
    )


def test_missing_answers_leave_everything_unknown() -> None:
    state_by_field = asdict(assess_fips(FipsAnswers(), samples.make_table(), samples.TODAY))
    modules = state_by_field.pop("modules")
    texts = ("crypto_policy", "provider_version", "pqc_kex", "table_as_of", "non_system_crypto")
    assert state_by_field.pop("table_warning") == ""

    assert {v for k, v in state_by_field.items() if k not in texts} == {"unknown"}
    assert {m["state"] for m in modules} == {"unknown"}


MISSING_COMMAND = CommandAnswer(exit_status=127, text="")


@pytest.mark.parametrize(
    ("question", "answer", "field", "value"),
    [
        ("flag", MISSING_COMMAND, "kernel_fips_flag", "unknown"),
        ("flag", "0", "kernel_fips_flag", "off"),
        ("flag", "11", "kernel_fips_flag", "unknown"),
        ("cmdline", MISSING_COMMAND, "boot_arg", "unknown"),
        ("cmdline", "ro quiet xfips=1", "boot_arg", "absent"),
        ("cmdline", "fips=1 ro fips=0", "boot_arg", "absent"),
        ("entries", "", "boot_arg_persistent", "unknown"),
        ("entries", "entry ro fips=1\nentry ro", "boot_arg_persistent", "no"),
        ("entries", "entry $kernelopts x\nkernelopts ro fips=1", "boot_arg_persistent", "yes"),
        ("entries", "kernelopts ro fips=1", "boot_arg_persistent", "unknown"),
        ("installer", CommandAnswer(exit_status=1, text=""), "installed_in_fips", "unknown"),
        ("installer", "Command line: inst.ks=x", "installed_in_fips", "no"),
        ("installer", "noise fips=1", "installed_in_fips", "unknown"),
        ("initramfs", MISSING_COMMAND, "initramfs_fips_module", "unknown"),
        ("initramfs", "", "initramfs_fips_module", "unknown"),
        ("initramfs", "bash\nbase", "initramfs_fips_module", "no"),
        ("initramfs", "bash\nnofips\nbase", "initramfs_fips_module", "no"),
        ("initramfs", "initramfs-tools\nkeymap\nlvm2", "initramfs_fips_module", "no"),
        ("initramfs", "initramfs-tools\nfips-check", "initramfs_fips_module", "unknown"),
        (
            "initramfs",
            CommandAnswer(exit_status=124, text="base\nfips"),
            "initramfs_fips_module",
            "unknown",
        ),
        ("initramfs", "base\n01fips", "initramfs_fips_module", "yes"),
        ("policy", MISSING_COMMAND, "crypto_policy", ""),
        ("policy", MISSING_COMMAND, "crypto_policy_allowed", "unknown"),
        ("policy", "FIPS; rm", "crypto_policy", ""),
        ("policy", "FIPS:PQ", "crypto_policy_allowed", "no"),
        ("policy", "FIPS:STIG:PQ", "crypto_policy_allowed", "no"),
        ("policy", "DEFAULT", "crypto_policy_allowed", "no"),
        ("policy", "FIPS", "crypto_policy_allowed", "yes"),
        ("release", "VERSION_ID=8", "crypto_policy_allowed", "unknown"),
        ("release", "VERSION_ID=10.1", "crypto_policy_allowed", "no"),
        ("policy_check", MISSING_COMMAND, "crypto_policy_overridden", "unknown"),
        ("policy_check", CommandAnswer(exit_status=1, text=""), "crypto_policy_overridden", "yes"),
        (
            "policy_local",
            "/etc/crypto-policies/local.d/x.config",
            "crypto_policy_overridden",
            "yes",
        ),
        ("policy_local", MISSING_COMMAND, "crypto_policy_overridden", "unknown"),
        ("providers", MISSING_COMMAND, "provider_active", "unknown"),
        ("providers", "Providers:\n  default\n    status: active\n", "provider_active", "no"),
        ("md5", "sha256 0 md5 0", "provider_active", "no"),
        ("md5", "sha256 1 md5 1", "md5_refused", "unknown"),
        ("md5", "sha256 0 md5 127", "md5_refused", "unknown"),
        ("md5", MISSING_COMMAND, "provider_active", "unknown"),
        ("kex_list", "curve25519-sha256", "pqc_available", "no"),
        ("kex_list", MISSING_COMMAND, "pqc_available", "unknown"),
        ("kex", MISSING_COMMAND, "pqc_negotiated", "unknown"),
        ("kex", "kex: algorithm: mlkem768x25519-sha256", "pqc_negotiated", "yes"),
        ("kex", "kex: algorithm: sntrup761x25519-sha512", "pqc_negotiated", "no"),
        ("verify", MISSING_COMMAND, "pqc_validated", "unknown"),
    ],
)
def test_each_answer_sets_its_field(
    question: str, answer: str | CommandAnswer, field: str, value: str
) -> None:
    assert getattr(assess(**{question: answer}), field) == value


def test_post_quantum_facts_are_independent() -> None:
    result = assess(kex="kex: algorithm: mlkem768nistp256-sha256")

    assert (result.pqc_available, result.pqc_negotiated, result.pqc_validated) == (
        "yes",
        "yes",
        "no",
    )

    with_ml_kem = assess_fips(
        samples.make_answers(),
        samples.make_table(samples.make_certificate(ml_kem=True)),
        samples.TODAY,
    )
    assert (with_ml_kem.pqc_negotiated, with_ml_kem.pqc_validated) == ("no", "yes")


HOSTILE = ["\x00\xff" * 5000, "A" * 200_000, "\x1b[2J\u202e", "{0}{{", "fips\n" * 9999, "1\n1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_answers_claim_nothing_and_are_not_copied(text: str) -> None:
    answers = {name: CommandAnswer(exit_status=0, text=text) for name in samples.ANSWERS}
    result = assess_fips(
        FipsAnswers(answers=answers, packages=(text, text)), samples.make_table(), samples.TODAY
    )

    assert result.kernel_fips_flag == "unknown"
    assert "yes" not in asdict(result).values()
    assert len(repr(result)) < 3000
    assert repr(result).isprintable()
    assert {m.state for m in result.modules} == {"unknown"}


def test_stale_table_is_a_warning_in_the_statement() -> None:
    answers, table = samples.make_answers(), samples.make_table(as_of=date(2025, 1, 1))

    state = assess_fips(answers, table, samples.TODAY)

    assert state.table_warning.startswith(
        "the list of CMVP certificates is of 2025-01-01, expected"
    )
    assert describe_fips(state).endswith(f"Warning: {state.table_warning}.")
    assert "Warning" not in describe_fips(assess_fips(answers, samples.make_table(), samples.TODAY))
