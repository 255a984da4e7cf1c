"""Assess the state of FIPS from a target's answers. Pure: the same input gives the same result."""

import re
from datetime import date
from typing import Literal

from hardpan.scanners.fips import certificates, non_system_crypto
from hardpan.scanners.fips.cmvp import CmvpTable
from hardpan.scanners.fips.model import CryptoModule, FipsAnswers, FipsState, TriState

_POLICY = re.compile(r"[A-Z0-9_-]{1,40}(?::[A-Z0-9_-]{1,40}){0,8}")
_ALLOWED = {
    # RHEL-09-215105's own pattern: FIPS alone or with exactly one of these.
    "9": re.compile(r"FIPS(?::(?:OSPP|NO-SHA1|NO-CAMELLIA|ECDHE-ONLY|STIG))?"),
    "10": re.compile(r"FIPS"),
}
_VERSION = re.compile(r"VERSION_ID=[\"']?([0-9]{1,3})(?:\.[0-9]+)?[\"']?")
_FIPS_MODULE = re.compile(r"(?:[0-9]{2})?fips(?:-[a-z-]+)?")
_COMMAND_LINE = re.compile(r"[Cc]ommand line: (.*)")
_KEX = re.compile(r"kex: algorithm: ([A-Za-z0-9@._+-]{1,80})")


def assess_fips(facts: FipsAnswers, table: CmvpTable, today: date) -> FipsState:
    """Assess the state of FIPS on the target from its answers and the CMVP table, on ``today``."""
    policy = _match_value(_get_output(facts, "policy"), _POLICY)
    md5 = _assess_md5(facts)
    provider_state, version = _read_provider(facts)
    kex = _KEX.search(_get_text(facts, "kex"))
    modules = certificates.assess_modules(facts, table, today)
    return FipsState(
        kernel_fips_flag=_read_kernel_flag(facts),
        boot_arg=_read_boot_arg(facts),
        boot_arg_persistent=_assess_persistence(facts),
        installed_in_fips=_assess_installer(facts),
        initramfs_fips_module=_assess_initramfs(facts),
        crypto_policy=policy,
        crypto_policy_allowed=_assess_policy(policy, _get_text(facts, "release")),
        crypto_policy_overridden=_assess_policy_override(facts),
        provider_active=_combine(provider_state, md5),
        provider_version=version,
        md5_refused=md5,
        modules=modules,
        non_system_crypto=non_system_crypto.list_files(facts),
        non_system_crypto_complete=non_system_crypto.assess_completeness(facts),
        pqc_available=_assess_pqc_available(facts),
        pqc_negotiated=_assess_pqc_negotiated(kex),
        pqc_kex=kex[1] if kex else "",
        pqc_validated=_assess_pqc_validated(modules, table),
        table_as_of=table.as_of.isoformat(),
        table_warning=table.describe_age(today),
    )


def _get_output(facts: FipsAnswers, name: str) -> str | None:
    """Return the output of a command that succeeded; None if it is absent or failed."""
    answer = facts.answers.get(name)
    return answer.text if answer is not None and answer.exit_status == 0 else None


def _get_text(facts: FipsAnswers, name: str) -> str:
    return _get_output(facts, name) or ""


def _match_value(text: str | None, pattern: re.Pattern[str]) -> str:
    value = (text or "").strip()
    return value if pattern.fullmatch(value) else ""


def _last_fips(line: str) -> str:
    """Return the value that the kernel uses: the last ``fips=`` on its command line."""
    return next((w[5:] for w in reversed(line.split()) if w.startswith("fips=")), "")


def _read_kernel_flag(facts: FipsAnswers) -> Literal["on", "off", "unknown"]:
    text = _get_text(facts, "flag").strip()
    if text not in ("0", "1"):
        return "unknown"
    return "on" if text == "1" else "off"


def _read_boot_arg(facts: FipsAnswers) -> Literal["present", "absent", "unknown"]:
    line = _get_text(facts, "cmdline")
    if not line.strip():
        return "unknown"
    return "present" if _last_fips(line) == "1" else "absent"


def _assess_persistence(facts: FipsAnswers) -> TriState:
    lines = _get_text(facts, "entries").splitlines()
    shared = " ".join(x.removeprefix("kernelopts ") for x in lines if x.startswith("kernelopts "))
    entries = [x.replace("$kernelopts", shared, 1) for x in lines if x.startswith("entry ")]
    if not entries:
        return "unknown"
    return "yes" if all(_last_fips(x) == "1" for x in entries) else "no"


def _assess_installer(facts: FipsAnswers) -> TriState:
    lines = _COMMAND_LINE.findall(_get_text(facts, "installer"))
    if not lines:
        return "unknown"
    return "yes" if all(_last_fips(line) == "1" for line in lines) else "no"


def _assess_initramfs(facts: FipsAnswers) -> TriState:
    names = _get_text(facts, "initramfs").split()
    if names[:1] == ["initramfs-tools"]:
        # It has no FIPS module; a hook with that name may do anything.
        return "unknown" if any("fips" in n for n in names[1:]) else "no"
    if "base" not in names:  # every list of dracut modules has it
        return "unknown"
    return "yes" if any(_FIPS_MODULE.fullmatch(n) for n in names) else "no"


def _assess_policy(policy: str, release: str) -> TriState:
    match = _VERSION.search(release)
    pattern = _ALLOWED.get(match[1]) if match else None
    if not policy or pattern is None:
        return "unknown"
    return "yes" if pattern.fullmatch(policy) else "no"


def _assess_policy_override(facts: FipsAnswers) -> TriState:
    check, local = facts.answers.get("policy_check"), _get_output(facts, "policy_local")
    if check is None or check.exit_status not in (0, 1) or local is None:
        return "unknown"
    lines = local.split()
    if any(not x.startswith("/etc/crypto-policies/local.d/") for x in lines):
        return "unknown"
    return "yes" if lines or check.exit_status == 1 else "no"


def _read_provider(facts: FipsAnswers) -> tuple[TriState, str]:
    text = _get_text(facts, "providers")
    if not text.startswith("Providers:"):
        return "unknown", ""
    block = re.search(r"^  fips\n((?:    .*\n?)*)", text, re.MULTILINE)
    if block is None:
        return "no", ""
    version = re.search(r"version: ([!-~]{1,60})$", block[1], re.MULTILINE)
    active = re.search(r"status: active$", block[1], re.MULTILINE)
    return ("yes" if active else "no"), (version[1] if version else "")


def _assess_md5(facts: FipsAnswers) -> TriState:
    """SHA-256 must work first: an OpenSSL that fails at everything refuses nothing."""
    match = re.fullmatch(r"sha256 0 md5 ([0-9]{1,3})", _get_text(facts, "md5").strip())
    if match is None:
        return "unknown"
    if match[1] in ("124", "126", "127"):
        return "unknown"
    return "no" if match[1] == "0" else "yes"


def _combine(a: TriState, b: TriState) -> TriState:
    if "no" in (a, b):
        return "no"
    return "yes" if a == b == "yes" else "unknown"


def _assess_pqc_available(facts: FipsAnswers) -> TriState:
    kem, kex = _get_output(facts, "kem"), _get_output(facts, "kex_list")
    if re.search(r"ml-?kem", f"{kem} {kex}", re.IGNORECASE):
        return "yes"
    return "no" if kem and kex else "unknown"


def _assess_pqc_negotiated(kex: re.Match[str] | None) -> TriState:
    if kex is None:
        return "unknown"
    return "yes" if "mlkem" in kex[1] else "no"


def _assess_pqc_validated(modules: tuple[CryptoModule, ...], table: CmvpTable) -> TriState:
    """Only the module's own certificate counts; offering ML-KEM proves nothing about it."""
    ml_kem_certificates = {c.certificate for c in table.certificates if c.ml_kem}
    if any(m.state == "validated" and m.certificate in ml_kem_certificates for m in modules):
        return "yes"
    return "unknown" if any(m.state in ("unknown", "stale_data") for m in modules) else "no"
