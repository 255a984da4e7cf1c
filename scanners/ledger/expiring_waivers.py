"""Find the waivers of each host that expire soon or have expired."""

from dataclasses import dataclass
from datetime import date, timedelta

from hardpan.core.errors import TrustError
from hardpan.scanners.ledger.entries import LedgerEntry, load_snapshot
from hardpan.scanners.ledger.store import LedgerStore
from hardpan.scanners.report.model.types import OPEN_VERDICTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringWaiver:
    """A waiver in the latest scan of a host that expires soon or has expired."""

    entry: LedgerEntry
    name: str
    """Rule id, or ``compatibility:`` and the conflict's id."""

    reason: str
    owner: str
    expires: str
    days_left: int
    """Days until its last day; negative if it has expired."""


def find_expiring_waivers(
    store: LedgerStore,
    entries: tuple[LedgerEntry, ...],
    today: date,
    days: int,
    *,
    by_name: bool = False,
) -> list[ExpiringWaiver]:
    """Return the waivers in each latest scan that expire within ``days``, soonest first.

    A host is its host key, else its machine id; with ``by_name`` its name.
    """
    latest = {
        entry.row.hostname if by_name else entry.row.host_identity: entry for entry in entries
    }
    cutoff = today + timedelta(days=days)
    result = []
    for latest_entry in latest.values():
        findings = load_snapshot(store, latest_entry.row).findings
        waived_items = [
            (r.rule_id, r.waiver) for r in findings.rules_and_checks if r.verdict in OPEN_VERDICTS
        ]
        if findings.compatibility is not None:
            waived_items += [
                (f"compatibility:{p.conflict}", p.waiver)
                for p in findings.compatibility.results
                if p.verdict == "fail"
            ]
        for name, waiver in waived_items:
            if waiver is None:
                continue
            last_day = _parse_date(waiver.expires, name)
            if last_day <= cutoff:
                result.append(
                    ExpiringWaiver(
                        entry=latest_entry,
                        name=name,
                        reason=waiver.reason,
                        owner=waiver.owner,
                        expires=waiver.expires,
                        days_left=(last_day - today).days,
                    )
                )
    return sorted(result, key=lambda e: (e.expires, e.entry.row.hostname, e.name))


def _parse_date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise TrustError(f"{name}: waiver: not a day: {text}") from e
