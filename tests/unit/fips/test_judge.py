from dataclasses import asdict

import pytest

from hardpan.scanners.fips.judge import judge
from hardpan.scanners.fips.model import Facts, Fips, Said
from tests.unit.fips import told


def state(**changes: str | Said | None) -> Fips:
    return judge(told.facts(**changes), told.table(), told.TODAY)


def test_a_target_that_says_all_leaves_nothing_unknown() -> None:
    found = asdict(state())
    modules = found.pop("modules")

    assert "unknown" not in found.values()
    assert {m["name"]: m["state"] for m in modules} == {
        "kernel": "not_validated",
        "openssl": "validated",
        "libgcrypt": "not_validated",
        "gnutls": "not_validated",
        "nss": "not_validated",
    }
    assert (found["provider_active"], found["provider_version"]) == (
        "yes",
        "3.0.7-395c1a240fbfffd8",
    )


def test_a_target_that_says_nothing_leaves_everything_unknown() -> None:
    found = asdict(judge(Facts(), told.table(), told.TODAY))
    modules = found.pop("modules")
    texts = ("crypto_policy", "provider_version", "pqc_kex", "table_as_of", "non_system_crypto")

    assert {v for k, v in found.items() if k not in texts} == {"unknown"}
    assert {m["state"] for m in modules} == {"unknown"}


GONE = Said(rc=127, text="")


@pytest.mark.parametrize(
    ("question", "answer", "field", "value"),
    [
        ("flag", GONE, "kernel_fips_flag", "unknown"),
        ("flag", "0", "kernel_fips_flag", "off"),
        ("flag", "11", "kernel_fips_flag", "unknown"),
        ("cmdline", GONE, "boot_arg", "unknown"),
        ("cmdline", "ro quiet xfips=1", "boot_arg", "absent"),
        ("cmdline", "fips=1 ro fips=0", "boot_arg", "absent"),
        ("entries", "", "boot_arg_kept", "unknown"),
        ("entries", "entry ro fips=1\nentry ro", "boot_arg_kept", "no"),
        ("entries", "entry $kernelopts x\nkernelopts ro fips=1", "boot_arg_kept", "yes"),
        ("entries", "kernelopts ro fips=1", "boot_arg_kept", "unknown"),
        ("installer", Said(rc=1, text=""), "installed_in_fips", "unknown"),
        ("installer", "Command line: inst.ks=x", "installed_in_fips", "no"),
        ("installer", "noise fips=1", "installed_in_fips", "unknown"),
        ("initramfs", GONE, "initramfs_fips_module", "unknown"),
        ("initramfs", "", "initramfs_fips_module", "unknown"),
        ("initramfs", "bash\nbase", "initramfs_fips_module", "no"),
        ("initramfs", "bash\nnofips\nbase", "initramfs_fips_module", "no"),
        ("initramfs", "initramfs-tools\nkeymap\nlvm2", "initramfs_fips_module", "no"),
        ("initramfs", "initramfs-tools\nfips-check", "initramfs_fips_module", "unknown"),
        ("initramfs", Said(rc=124, text="base\nfips"), "initramfs_fips_module", "unknown"),
        ("initramfs", "base\n01fips", "initramfs_fips_module", "yes"),
        ("policy", GONE, "crypto_policy", ""),
        ("policy", GONE, "crypto_policy_allowed", "unknown"),
        ("policy", "FIPS; rm", "crypto_policy", ""),
        ("policy", "FIPS:PQ", "crypto_policy_allowed", "no"),
        ("policy", "FIPS:STIG:PQ", "crypto_policy_allowed", "no"),
        ("policy", "DEFAULT", "crypto_policy_allowed", "no"),
        ("policy", "FIPS", "crypto_policy_allowed", "yes"),
        ("release", "VERSION_ID=8", "crypto_policy_allowed", "unknown"),
        ("release", "VERSION_ID=10.1", "crypto_policy_allowed", "no"),
        ("policy_check", GONE, "crypto_policy_overridden", "unknown"),
        ("policy_check", Said(rc=1, text=""), "crypto_policy_overridden", "yes"),
        (
            "policy_local",
            "/etc/crypto-policies/local.d/x.config",
            "crypto_policy_overridden",
            "yes",
        ),
        ("policy_local", GONE, "crypto_policy_overridden", "unknown"),
        ("providers", GONE, "provider_active", "unknown"),
        ("providers", "Providers:\n  default\n    status: active\n", "provider_active", "no"),
        ("md5", "sha256 0 md5 0", "provider_active", "no"),
        ("md5", "sha256 1 md5 1", "md5_refused", "unknown"),
        ("md5", "sha256 0 md5 127", "md5_refused", "unknown"),
        ("md5", GONE, "provider_active", "unknown"),
        ("kex_list", "curve25519-sha256", "pqc_available", "no"),
        ("kex_list", GONE, "pqc_available", "unknown"),
        ("kex", GONE, "pqc_negotiated", "unknown"),
        ("kex", "kex: algorithm: mlkem768x25519-sha256", "pqc_negotiated", "yes"),
        ("kex", "kex: algorithm: sntrup761x25519-sha512", "pqc_negotiated", "no"),
        ("verify", GONE, "pqc_validated", "unknown"),
    ],
)
def test_an_answer_means_what_it_says_and_no_answer_means_unknown(
    question: str, answer: str | Said, field: str, value: str
) -> None:
    assert getattr(state(**{question: answer}), field) == value


def test_post_quantum_is_three_facts() -> None:
    found = state(kex="kex: algorithm: mlkem768nistp256-sha256")

    assert (found.pqc_available, found.pqc_negotiated, found.pqc_validated) == ("yes", "yes", "no")

    holding = judge(told.facts(), told.table(told.row(ml_kem=True)), told.TODAY)
    assert (holding.pqc_negotiated, holding.pqc_validated) == ("no", "yes")


HOSTILE = ["\x00\xff" * 5000, "A" * 200_000, "\x1b[2J\u202e", "{0}{{", "fips\n" * 9999, "1\n1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_answers_claim_nothing_and_bring_no_text_along(text: str) -> None:
    said = {name: Said(rc=0, text=text) for name in told.ANSWERS}
    found = judge(Facts(said=said, packages=(text, text)), told.table(), told.TODAY)

    assert found.kernel_fips_flag == "unknown"
    assert "yes" not in asdict(found).values()
    assert len(repr(found)) < 3000
    assert repr(found).isprintable()
    assert {m.state for m in found.modules} == {"unknown"}
