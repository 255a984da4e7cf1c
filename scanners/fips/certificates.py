"""Which certificate each installed module has: by its exact build, never by a part of it."""

import re
from datetime import date

from hardpan.scanners.fips.model import (
    PACKAGES,
    CertificateState,
    Environment,
    Facts,
    Module,
    ModuleName,
)
from hardpan.scanners.fips.table import Certificate, Table

_NEVRA = re.compile(r"(?P<n>.+)-(?P<e>[0-9]+):(?P<v>[^-:]+)-(?P<r>[^-]+)\.(?P<a>[^-.]+)")
_SIGNER = re.compile(r"@signer [^\n]{0,200}Key ID ([0-9a-f]{16,40})")
_ALTERED = re.compile(r"(?:..5\S{6}|missing {4})\s+(?!c )\S")


def modules(facts: Facts, table: Table, today: date) -> tuple[Module, ...]:
    """Every module with the state of its certificate on ``today``."""
    return tuple(_module(name, facts, table, today) for name in PACKAGES)


def forms(nevra: str) -> frozenset[str]:
    """The ways a list may write this very build: with or without epoch and architecture."""
    found = _NEVRA.fullmatch(nevra)
    if found is None:
        return frozenset()
    n, e, v, r, a = found.group("n", "e", "v", "r", "a")
    plain = f"{n}-{v}-{r}"
    # Without an epoch in the list the epoch is 0: another epoch is another build.
    short = (plain, f"{plain}.{a}") if e == "0" else ()
    return frozenset((f"{n}-{e}:{v}-{r}", f"{n}-{e}:{v}-{r}.{a}", *short))


def _module(name: ModuleName, facts: Facts, table: Table, today: date) -> Module:
    if facts.packages is None:
        return _unknown(name, "the rpm database was not read")
    nevra = _installed(name, facts)
    if not nevra:
        return _unknown(name, "no package of this module is known to be in use")
    rows = [c for c in table.certificates if c.module == name]
    row = next((c for c in rows if forms(nevra) & set(c.builds)), None)
    if row is None:
        release = nevra.rpartition("-")[2]
        if any(c.tag in release for c in rows):
            reason = "a certified vendor's build, but the list does not name this very one"
            return _unknown(name, reason, nevra)
        reason = "this very build is not in the list"
        return Module(
            name=name,
            nevra=nevra,
            state="not_validated",
            reason=reason,
            operational_env="not_listed",
        )
    state, reason = _state(row, _checked(nevra, row, facts), table, today)
    return Module(
        name=name,
        nevra=nevra,
        state=state,
        reason=reason,
        certificate=row.certificate,
        level=row.level,
        sunset=row.sunset.isoformat() if row.sunset else "",
        operational_env=_environment(row, facts),
    )


def _state(
    row: Certificate, checked: list[str] | None, table: Table, today: date
) -> tuple[CertificateState, str]:
    if checked is not None and any(_ALTERED.match(x) for x in checked):
        return "not_validated", "files differ from what the package installed"
    if row.historical(today):
        return "historical", "past its sunset, or FIPS 140-2 after 2026-09-21"
    if table.stale(today):
        return "stale_data", f"the list is of {table.as_of}, today is {today}"
    if row.status == "in_process":
        return "in_process", f"in process for {row.release}"
    if checked is None:
        return "unknown", "the package's files were not verified"
    return _signed(row, next((m[1] for x in checked if (m := _SIGNER.fullmatch(x))), ""))


def _signed(row: Certificate, signer: str) -> tuple[CertificateState, str]:
    """A build's name can be given to any package: whose it is, only its signer tells."""
    if row.signer is None:
        return "unknown", "the key that signs the listed build is not on record"
    if not signer:
        return "unknown", "rpm knows no signer of the package"
    if not signer.endswith(row.signer):
        return "not_validated", "signed with another key than the listed build"
    return "validated", f"listed for {row.release}"


def _installed(name: ModuleName, facts: Facts) -> str:
    parsed = [(m["n"], p) for p in facts.packages or () if (m := _NEVRA.fullmatch(p))]
    running = facts.said.get("kernel")
    for package in PACKAGES[name]:
        builds = [p for n, p in parsed if n == package]
        if name == "kernel":  # several may be installed, one runs
            text = running.text.strip() if running else ""
            builds = [p for p in builds if text and p.partition(":")[2] == text]
        if len(builds) == 1 or (builds and name != "kernel"):
            return _preferred(builds)
    return ""


def _preferred(builds: list[str]) -> str:
    native = [b for b in builds if not b.endswith(".i686")]
    return (native or builds)[0]


def _checked(nevra: str, row: Certificate, facts: Facts) -> list[str] | None:
    """Rpm's lines on this very build; None where it was not asked or did not come to its end."""
    said = facts.said.get("verify")
    lines = said.text.splitlines() if said is not None else []
    for build in forms(nevra) & set(row.builds):
        begin, end = f"@begin {build}", f"@end {build}"
        if begin in lines and end in lines:
            return lines[lines.index(begin) + 1 : lines.index(end)]
    return None


def _environment(row: Certificate, facts: Facts) -> Environment:
    said = facts.said.get("cpu")
    if said is None or said.rc != 0 or not row.environments:
        return "unknown"
    arch, _, cpu = said.text.partition("\n")
    if not cpu.strip():
        return "unknown"
    here = [e for e in row.environments if e.arch == arch.strip() and e.cpu in cpu]
    if any(not e.affirmed for e in here):
        return "listed"
    return "vendor_affirmed" if here else "not_listed"


def _unknown(name: ModuleName, reason: str, nevra: str = "") -> Module:
    return Module(name=name, nevra=nevra, state="unknown", reason=reason)
