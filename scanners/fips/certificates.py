"""Certificate of each installed module: by its exact build, never by a part of it."""

import re
from datetime import date

from hardpan.core.nevra import parse_nevra
from hardpan.scanners.fips.cmvp import CmvpCertificate, CmvpTable
from hardpan.scanners.fips.model import (
    MODULE_PACKAGES,
    CertificateState,
    CryptoModule,
    EnvironmentMatch,
    FipsAnswers,
    ModuleName,
)

_SIGNER = re.compile(r"@signer [^\n]{0,200}Key ID ([0-9a-f]{16,40})")
_KEY_ID = re.compile(r"Key ID ([0-9a-f]{16,40})\Z")
_UNLISTED = {
    "exist": "built by {0}, whose certificates are not in the list",
    "not_looked_up": "built by {0}; whether a certificate exists was not looked up",
}
_ALTERED = re.compile(r"(?:..5\S{6}|missing {4})\s+(?!c )\S")


def assess_modules(facts: FipsAnswers, table: CmvpTable, today: date) -> tuple[CryptoModule, ...]:
    """Return every module with the state of its certificate on ``today``."""
    return tuple(_assess_module(name, facts, table, today) for name in MODULE_PACKAGES)


def list_spellings(nevra: str) -> frozenset[str]:
    """Return the spellings of a build in a list: with or without epoch and architecture."""
    package = parse_nevra(nevra)
    if package is None or package.epoch is None:
        return frozenset()
    with_epoch = f"{package.name}-{package.evr}"
    spellings = {with_epoch, f"{with_epoch}.{package.arch}"}
    # Without an epoch in the list the epoch is 0: another epoch is another build.
    if package.epoch == "0":
        without_epoch = f"{package.name}-{package.version_release}"
        spellings |= {without_epoch, f"{without_epoch}.{package.arch}"}
    return frozenset(spellings)


def _assess_module(
    name: ModuleName, facts: FipsAnswers, table: CmvpTable, today: date
) -> CryptoModule:
    if facts.packages is None:
        return _unknown_module(name, "the rpm database was not read")
    nevra = _find_installed_build(name, facts)
    if not nevra:
        return _unknown_module(name, "no package of this module was identified")
    rows = [c for c in table.certificates if c.module == name]
    row = next((c for c in rows if list_spellings(nevra) & set(c.builds)), None)
    if row is None:
        release = nevra.rpartition("-")[2]
        if any(c.tag in release for c in rows):
            reason = "a certified vendor's build, but the list does not have exactly this one"
            return _unknown_module(name, reason, nevra)
        key = table.find_key(_find_signer(nevra, facts) or "none")
        if key is not None and key.certificates != "none_known":
            return _unknown_module(name, _UNLISTED[key.certificates].format(key.vendor), nevra)
        reason = "exactly this build is not in the list"
        return CryptoModule(
            name=name,
            nevra=nevra,
            state="not_validated",
            reason=reason,
            operational_env="not_listed",
        )
    signer = _find_signer(nevra, facts)
    state, reason = _assess_state(row, _find_verify_lines(nevra, row, facts), signer, table, today)
    return CryptoModule(
        name=name,
        nevra=nevra,
        state=state,
        reason=reason,
        certificate=row.certificate,
        level=row.level,
        sunset=row.sunset.isoformat() if row.sunset else "",
        operational_env=_assess_environment(row, facts),
    )


def _assess_state(
    row: CmvpCertificate,
    verify_lines: list[str] | None,
    signer: str,
    table: CmvpTable,
    today: date,
) -> tuple[CertificateState, str]:
    if verify_lines is not None and any(_ALTERED.match(x) for x in verify_lines):
        return "not_validated", "files differ from what the package installed"
    header_signer = next((m[1] for x in verify_lines or () if (m := _SIGNER.fullmatch(x))), "")
    key = table.find_key(header_signer or signer or "none")
    if key is not None and key.vendor != row.vendor:
        return "not_validated", f"signed with a key of {key.vendor}, not of {row.vendor}"
    if row.is_historical(today):
        return "historical", "past its sunset, or FIPS 140-2 after 2026-09-21"
    if table.is_stale(today):
        return "stale_data", f"the list is of {table.as_of}, today is {today}"
    if row.status == "in_process":
        return "in_process", f"in process for {row.release}"
    if row.status == "unverified":
        return "unknown", f"certificate #{row.certificate} names this build, but was not verified"
    if verify_lines is None:
        return "unknown", "the package's files were not verified"
    return _assess_signer(row, header_signer)


def _assess_signer(row: CmvpCertificate, signer: str) -> tuple[CertificateState, str]:
    """Assess the signer: any package can have the name of a build."""
    if row.signer is None:
        return "unknown", "the key that signs the listed build is not on record"
    if not signer:
        return "unknown", "rpm reports no signer of the package"
    if not signer.endswith(row.signer):
        return "not_validated", "signed with another key than the listed build"
    return "validated", f"listed for {row.release}"


def _find_signer(nevra: str, facts: FipsAnswers) -> str:
    """Return the id of the key that signed an installed build; empty if rpm does not say."""
    answer = facts.answers.get("signers")
    lines = answer.text.splitlines() if answer is not None else []
    for line in lines:
        build, _, signature = line.partition(" ")
        match = _KEY_ID.search(signature[:300])
        if build == nevra and match is not None:
            return match[1]
    return ""


def _find_installed_build(name: ModuleName, facts: FipsAnswers) -> str:
    parsed = [
        (nevra.name, text)
        for text in facts.packages or ()
        if (nevra := parse_nevra(text)) and nevra.epoch is not None
    ]
    running = facts.answers.get("kernel")
    for package in MODULE_PACKAGES[name]:
        builds = [p for n, p in parsed if n == package]
        if name == "kernel":  # several may be installed, one runs
            text = running.text.strip() if running else ""
            builds = [p for p in builds if text and p.partition(":")[2] == text]
        if len(builds) == 1 or (builds and name != "kernel"):
            return _prefer_native(builds)
    return ""


def _prefer_native(builds: list[str]) -> str:
    native = [b for b in builds if not b.endswith(".i686")]
    return (native or builds)[0]


def _find_verify_lines(nevra: str, row: CmvpCertificate, facts: FipsAnswers) -> list[str] | None:
    """Return rpm's lines on exactly this build; None if they are missing or incomplete."""
    answer = facts.answers.get("verify")
    lines = answer.text.splitlines() if answer is not None else []
    for build in list_spellings(nevra) & set(row.builds):
        begin_line, end_line = f"@begin {build}", f"@end {build}"
        if begin_line in lines and end_line in lines:
            return lines[lines.index(begin_line) + 1 : lines.index(end_line)]
    return None


def _assess_environment(row: CmvpCertificate, facts: FipsAnswers) -> EnvironmentMatch:
    answer = facts.answers.get("cpu")
    if answer is None or answer.exit_status != 0 or not row.environments:
        return "unknown"
    arch, _, cpu = answer.text.partition("\n")
    if not cpu.strip():
        return "unknown"
    matching = [e for e in row.environments if e.arch == arch.strip() and e.cpu in cpu]
    if any(not e.affirmed for e in matching):
        return "listed"
    return "vendor_affirmed" if matching else "not_listed"


def _unknown_module(name: ModuleName, reason: str, nevra: str = "") -> CryptoModule:
    return CryptoModule(name=name, nevra=nevra, state="unknown", reason=reason)
