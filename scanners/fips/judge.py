"""From what a target said to the state of FIPS. Pure: facts, list and day give one answer."""

import re
from datetime import date
from typing import Literal

from hardpan.scanners.fips import certificates, foreign
from hardpan.scanners.fips.model import Facts, Fips, Module, Tri
from hardpan.scanners.fips.table import Table

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


def judge(facts: Facts, table: Table, today: date) -> Fips:
    """The state of FIPS on the target, by what it said and the list, on ``today``."""
    policy = _word(_answer(facts, "policy"), _POLICY)
    md5 = _md5_refused(facts)
    listed, version = _provider(facts)
    kex = _KEX.search(_text(facts, "kex"))
    modules = certificates.modules(facts, table, today)
    return Fips(
        kernel_fips_flag=_flag(facts),
        boot_arg=_boot_arg(facts),
        boot_arg_kept=_kept(facts),
        installed_in_fips=_installed(facts),
        initramfs_fips_module=_initramfs(facts),
        crypto_policy=policy,
        crypto_policy_allowed=_allowed(policy, _text(facts, "release")),
        crypto_policy_overridden=_overridden(facts),
        provider_active=_both(listed, md5),
        provider_version=version,
        md5_refused=md5,
        modules=modules,
        non_system_crypto=foreign.files(facts),
        non_system_crypto_complete=foreign.complete(facts),
        pqc_available=_available(facts),
        pqc_negotiated=("yes" if "mlkem" in kex[1] else "no") if kex else "unknown",
        pqc_kex=kex[1] if kex else "",
        pqc_validated=_pqc_validated(modules, table),
        table_as_of=table.as_of.isoformat(),
    )


def _answer(facts: Facts, name: str) -> str | None:
    """The text of a command that worked; None of one that is absent or failed."""
    said = facts.said.get(name)
    return said.text if said is not None and said.rc == 0 else None


def _text(facts: Facts, name: str) -> str:
    return _answer(facts, name) or ""


def _word(text: str | None, form: re.Pattern[str]) -> str:
    found = (text or "").strip()
    return found if form.fullmatch(found) else ""


def _last_fips(line: str) -> str:
    """The value the kernel takes: the last ``fips=`` on its command line."""
    return next((w[5:] for w in reversed(line.split()) if w.startswith("fips=")), "")


def _flag(facts: Facts) -> Literal["on", "off", "unknown"]:
    text = _text(facts, "flag").strip()
    if text not in ("0", "1"):
        return "unknown"
    return "on" if text == "1" else "off"


def _boot_arg(facts: Facts) -> Literal["present", "absent", "unknown"]:
    line = _text(facts, "cmdline")
    if not line.strip():
        return "unknown"
    return "present" if _last_fips(line) == "1" else "absent"


def _kept(facts: Facts) -> Tri:
    lines = _text(facts, "entries").splitlines()
    shared = " ".join(x.removeprefix("kernelopts ") for x in lines if x.startswith("kernelopts "))
    entries = [x.replace("$kernelopts", shared, 1) for x in lines if x.startswith("entry ")]
    if not entries:
        return "unknown"
    return "yes" if all(_last_fips(x) == "1" for x in entries) else "no"


def _installed(facts: Facts) -> Tri:
    lines = _COMMAND_LINE.findall(_text(facts, "installer"))
    if not lines:
        return "unknown"
    return "yes" if all(_last_fips(line) == "1" for line in lines) else "no"


def _initramfs(facts: Facts) -> Tri:
    names = _text(facts, "initramfs").split()
    if names[:1] == ["initramfs-tools"]:
        # Knows no FIPS module of its own; what a hook that is named so does, nobody can tell.
        return "unknown" if any("fips" in n for n in names[1:]) else "no"
    if "base" not in names:  # every list of dracut modules has it: this is none
        return "unknown"
    return "yes" if any(_FIPS_MODULE.fullmatch(n) for n in names) else "no"


def _allowed(policy: str, release: str) -> Tri:
    found = _VERSION.search(release)
    form = _ALLOWED.get(found[1]) if found else None
    if not policy or form is None:
        return "unknown"
    return "yes" if form.fullmatch(policy) else "no"


def _overridden(facts: Facts) -> Tri:
    check, local = facts.said.get("policy_check"), _answer(facts, "policy_local")
    if check is None or check.rc not in (0, 1) or local is None:
        return "unknown"
    lines = local.split()
    if any(not x.startswith("/etc/crypto-policies/local.d/") for x in lines):
        return "unknown"
    return "yes" if lines or check.rc == 1 else "no"


def _provider(facts: Facts) -> tuple[Tri, str]:
    text = _text(facts, "providers")
    if not text.startswith("Providers:"):
        return "unknown", ""
    block = re.search(r"^  fips\n((?:    .*\n?)*)", text, re.MULTILINE)
    if block is None:
        return "no", ""
    version = re.search(r"version: ([!-~]{1,60})$", block[1], re.MULTILINE)
    active = re.search(r"status: active$", block[1], re.MULTILINE)
    return ("yes" if active else "no"), (version[1] if version else "")


def _md5_refused(facts: Facts) -> Tri:
    """SHA-256 must work first: an OpenSSL that fails at everything refuses nothing."""
    found = re.fullmatch(r"sha256 0 md5 ([0-9]{1,3})", _text(facts, "md5").strip())
    if found is None:
        return "unknown"
    if found[1] in ("124", "126", "127"):
        return "unknown"
    return "no" if found[1] == "0" else "yes"


def _both(a: Tri, b: Tri) -> Tri:
    if "no" in (a, b):
        return "no"
    return "yes" if a == b == "yes" else "unknown"


def _available(facts: Facts) -> Tri:
    kem, kex = _answer(facts, "kem"), _answer(facts, "kex_list")
    if re.search(r"ml-?kem", f"{kem} {kex}", re.IGNORECASE):
        return "yes"
    return "no" if kem and kex else "unknown"


def _pqc_validated(modules: tuple[Module, ...], table: Table) -> Tri:
    """By the module's own certificate alone; that ML-KEM is offered says nothing about it."""
    holding = {c.certificate for c in table.certificates if c.ml_kem}
    if any(m.state == "validated" and m.certificate in holding for m in modules):
        return "yes"
    return "unknown" if any(m.state in ("unknown", "stale_data") for m in modules) else "no"
