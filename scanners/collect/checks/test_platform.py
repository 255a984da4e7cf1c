"""Checks for every host: its release, FIPS mode, key exchange, boot and kernel modules.

A check that the profile does not ask for passes or is skipped; it never fails. The registry says
what asks for it.
"""
# ruff: noqa: D103, S101

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.core import clock
from hardpan.core.errors import UnavailableError
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask, read_output
from hardpan.scanners.collect.host import parse_os_release
from hardpan.scanners.collect.lifecycle import (
    WARN_BEFORE,
    SupportStatus,
    assess_support,
    load_lifecycle_table,
)
from hardpan.scanners.collect.preconditions import Query
from hardpan.scanners.content.products import read_os_release
from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import CommandAnswer, FipsAnswers, FipsState

POST_QUANTUM_KEX = (
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
)
"""Hybrid key exchanges of OpenSSH 8.9 to 10.x and of the vendors that add them."""

TAINT_OUT_OF_TREE = 1 << 12
TAINT_UNSIGNED_MODULE = 1 << 13
"""Bits of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst)."""


def decide(is_met: bool, observed: str, *, is_required: bool) -> None:
    """Pass, fail, or skip a check that the profile does not require."""
    if not is_met and not is_required:
        pytest.skip(f"the profile does not require it; {observed}")
    assert is_met, observed


def read_support(target: Host) -> SupportStatus:
    release = read_os_release(parse_os_release(read_output(target, queries.OS_RELEASE)))
    table, today = load_lifecycle_table(), clock.now().date()
    status = assess_support(table, release, today)
    if status is None:
        raise UnavailableError(
            [f"the end of support of {release.os_id} {release.version_id}"],
            f"is not in the table of {table.as_of}",
            hint="ask the vendor, or update hardpan",
        )
    if table.is_stale(today) and not status.has_ended:
        raise UnavailableError(
            ["the table of end-of-support dates"],
            table.describe_age(today),
            hint="update hardpan, and check the clock of this machine",
        )
    return status


def test_release_is_supported(target: Host, observe: Observe) -> None:
    status = read_support(target)
    observe(status.text)

    assert not status.has_ended, status.text


def test_release_support_does_not_end_soon(target: Host, observe: Observe) -> None:
    status = read_support(target)
    observe(status.text)

    if status.has_ended:
        pytest.skip("support has ended, which another check reports")
    days = status.days_left(clock.now().date())
    assert days > WARN_BEFORE.days, f"{days} days are left; {status.text}"


def read_fips_state(target: Host) -> FipsState:
    queries_by_name: dict[str, Query] = {
        "flag": queries.FIPS,
        "cmdline": queries.CMDLINE,
        "release": queries.OS_RELEASE,
        "entries": queries.BOOT_ENTRIES,
        "policy": queries.CRYPTO_POLICY,
        "providers": queries.OPENSSL_PROVIDERS,
        "md5": queries.OPENSSL_MD5,
    }
    answers = {}
    for name, query in queries_by_name.items():
        answer = ask(target, query)
        answers[name] = CommandAnswer(exit_status=answer.rc, text=str(answer.stdout))
    return assess_fips(FipsAnswers(answers=answers), load_table(), clock.now().date())


def describe_fips_parts(state: FipsState) -> dict[str, str]:
    """Return part of FIPS mode -> ``yes``, ``no`` or ``unknown``."""
    policy = state.crypto_policy_allowed
    if state.crypto_policy and not state.crypto_policy.startswith("FIPS"):
        policy = "no"
    flags = {"on": "yes", "off": "no", "unknown": "no"}  # no file: a kernel without FIPS mode
    return {
        "kernel": flags[state.kernel_fips_flag],
        "boot entries": state.boot_arg_persistent,
        f"crypto policy {state.crypto_policy}".strip(): policy,
        "OpenSSL provider": state.provider_active,
    }


def test_fips_mode_is_complete(target: Host, observe: Observe, is_required: bool) -> None:
    parts = describe_fips_parts(read_fips_state(target))
    observed = ", ".join(f"{name}: {value}" for name, value in parts.items())
    observe(observed)

    decide("no" not in parts.values(), f"FIPS mode by part: {observed}", is_required=is_required)


def test_sshd_offers_post_quantum_key_exchange(
    target: Host, observe: Observe, is_required: bool
) -> None:
    lines = (line.partition(" ") for line in read_output(target, queries.SSHD).splitlines())
    settings = {key.lower(): value for key, _, value in lines}
    if not settings.get("kexalgorithms"):
        raise UnavailableError(
            ["sshd -T"], "reports no key exchange", hint="the check needs OpenSSH 6.8 or newer"
        )
    offered = [x for x in settings["kexalgorithms"].split(",") if x in POST_QUANTUM_KEX]
    supported = [x for x in ask(target, queries.SSH_KEX).stdout.split() if x in POST_QUANTUM_KEX]
    has_ml_kem = "ML-KEM" in str(ask(target, queries.OPENSSL_KEM).stdout).upper()
    observed = (
        f"sshd offers {', '.join(offered) or 'none'}; "
        f"the SSH client supports {', '.join(supported) or 'none'}; "
        f"OpenSSL {'has' if has_ml_kem else 'lists no'} ML-KEM"
    )
    observe(observed)

    decide(bool(offered), f"post-quantum key exchange: {observed}", is_required=is_required)


def test_secure_boot_is_enabled(target: Host, observe: Observe, is_required: bool) -> None:
    output = read_output(target, queries.SECURE_BOOT).split()
    if output == ["unreadable"]:
        raise UnavailableError(
            ["the EFI variable SecureBoot"],
            "cannot be read",
            hint="mount efivarfs on /sys/firmware/efi/efivars, and scan as root",
        )
    texts = {"bios": "the system was not booted in UEFI mode", "1": "enabled", "0": "disabled"}
    observed = f"Secure Boot: {texts[output[-1]]}"
    observe(observed)

    decide(output[-1] == "1", observed, is_required=is_required)


def read_lockdown(text: str) -> str:
    """Return the active mode in ``none [integrity] confidentiality``; empty if there is none."""
    return next((w[1:-1] for w in text.split() if w.startswith("[") and w.endswith("]")), "")


def test_kernel_lockdown_is_active(target: Host, observe: Observe, is_required: bool) -> None:
    mode = read_lockdown(read_output(target, queries.LOCKDOWN))
    observe(f"lockdown: {mode or 'unknown'}")

    decide(
        mode in ("integrity", "confidentiality"),
        f"kernel lockdown is {mode or 'unknown'}",
        is_required=is_required,
    )


def find_signature_enforcement(text: str) -> str:
    """Return what makes the kernel load signed modules only; empty if nothing does."""
    if text.strip() == "no-modules":
        return "the kernel has no loadable modules"
    values = {
        name: value.strip() for name, _, value in (x.partition(" ") for x in text.split("\n"))
    }
    if values.get("sig_enforce") in ("Y", "1"):
        return "module.sig_enforce"
    if (mode := read_lockdown(values.get("lockdown", ""))) in ("integrity", "confidentiality"):
        return f"kernel lockdown {mode}"
    return "kernel.modules_disabled" if values.get("disabled") == "1" else ""


def test_kernel_requires_signed_modules(target: Host, observe: Observe, is_required: bool) -> None:
    enforcement = find_signature_enforcement(read_output(target, queries.MODULE_SIGNATURES))
    observed = f"unsigned modules are refused by: {enforcement or 'nothing'}"
    observe(observed)

    decide(bool(enforcement), observed, is_required=is_required)


def test_no_unsigned_module_was_loaded(target: Host, observe: Observe, is_required: bool) -> None:
    tainted = int(read_output(target, queries.TAINTED))
    flags = {"unsigned": TAINT_UNSIGNED_MODULE, "out-of-tree": TAINT_OUT_OF_TREE}
    kinds = [name for name, bit in flags.items() if tainted & bit]
    observed = f"kernel taint {tainted}: {', '.join(kinds) or 'neither unsigned nor out-of-tree'}"
    observe(observed)

    decide(not tainted & TAINT_UNSIGNED_MODULE, observed, is_required=is_required)
