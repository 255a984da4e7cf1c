"""The rules as the page shows them: in groups, each with an anchor, evidence and references."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import SEVERITIES, VERDICTS
from hardpan.scanners.report.model.waiver_sections import WaiverPart

CATEGORIES = {
    "high": "CAT I",
    "medium": "CAT II",
    "low": "CAT III",
    "unknown": "no CAT",
    "info": "no CAT",
}
"""DISA's category of a severity."""

EXPIRING_SOON_DAYS = 30
"""A waiver that ends within so many days after the scan is marked."""

_MAX_EVIDENCE_LINES = 30
_ANCHOR = re.compile(r"xccdf_[A-Za-z0-9_.-]{1,200}")
_TEST_RESULT = re.compile(r"\[(true|false|error|unknown|not evaluated|not applicable)\] ")
_GROUPS = (
    ("notchecked", "Not checked", False),
    ("informational", "Informational", False),
    ("pass", "Passed", True),
    ("fixed", "Fixed", True),
    ("notapplicable", "Not applicable", True),
)

WaiverState = Literal["active", "expiring", "expired", "unused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """One line of what was looked at and found."""

    truth: str
    """What a test came to; empty for what it looked at."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverView:
    """A waiver and its state on the day of the scan."""

    part: WaiverPart
    state: WaiverState
    days: int
    """From the scan's day to its last one."""

    @property
    def expiry_text(self) -> str:
        """What its last day means for the rule, in words."""
        count = f"{abs(self.days)} day{'' if abs(self.days) == 1 else 's'}"
        if self.state == "expired":
            return f"expired {count} before the scan: the rule is open"
        if self.state == "unused":
            return "not needed: the rule did not fail"
        if self.days == 0:
            return "expires on the day of the scan"
        if self.state == "expiring":
            return f"expires {count} after the scan"
        return "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One rule."""

    rule: RulePart
    anchor: str
    """Its element's id: the rule's own, as far as that is a harmless one."""

    evidence: tuple[EvidenceLine, ...]
    omitted_lines: int
    """How many lines of evidence are in findings.json alone."""

    references: tuple[tuple[str, str], ...]
    waiver: WaiverView | None

    @property
    def category(self) -> str:
        """DISA's category."""
        return CATEGORIES[self.rule.category_severity]

    @property
    def waiver_text(self) -> str:
        """What the waiver means for the rule, next to its title."""
        if self.waiver is None:
            return ""
        if self.rule.is_waived:
            label = (
                "open, waived only until"
                if self.waiver.state == "expiring"
                else "open, waived until"
            )
        else:
            label = "waiver expired" if self.waiver.state == "expired" else "waiver until"
        return f"{label} {self.waiver.part.expires}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """Rules under one heading."""

    name: str
    title: str
    rows: tuple[RuleRow, ...]
    is_folded: bool
    """Collapsed by default: these rules require no action."""


def build_rows(rules: Sequence[RulePart], finished: str) -> tuple[RuleRow, ...]:
    """Every rule, in the order of the document."""
    scan_date = date.fromisoformat(finished[:10])
    used_anchors: set[str] = set()
    return tuple(
        _build_row(rule, _choose_anchor(rule.rule_id, n, used_anchors), scan_date)
        for n, rule in enumerate(rules)
    )


def group_open_rows(rule_rows: Iterable[RuleRow]) -> tuple[RuleGroup, ...]:
    """The open rules by DISA's category, the worst first, and in each the waived ones last.

    Severities without any are left out.
    """
    open_rows = sorted((r for r in rule_rows if r.rule.is_finding), key=lambda r: r.rule.is_waived)
    rows_by_severity = {
        s: tuple(r for r in open_rows if r.rule.category_severity == s) for s in SEVERITIES
    }
    return tuple(
        RuleGroup(name=s, title=_format_severity_title(s), rows=group_rows, is_folded=False)
        for s, group_rows in rows_by_severity.items()
        if group_rows
    )


def group_other_rows(rule_rows: Iterable[RuleRow]) -> tuple[RuleGroup, ...]:
    """Every rule that is not open, by what became of it."""
    rows_by_group: dict[str, list[RuleRow]] = {}
    for row in rule_rows:
        if not row.rule.is_finding:
            rows_by_group.setdefault(row.rule.verdict, []).append(row)
    return tuple(
        RuleGroup(name=name, title=title, rows=tuple(rows_by_group[name]), is_folded=is_folded)
        for name, title, is_folded in _GROUPS
        if name in rows_by_group
    )


def select_waived_rows(rule_rows: Iterable[RuleRow]) -> tuple[RuleRow, ...]:
    """The rules with a waiver on record, the one that ends first at the front."""
    waived_rows = [r for r in rule_rows if r.rule.waiver is not None]
    return tuple(sorted(waived_rows, key=lambda r: r.rule.waiver.expires if r.rule.waiver else ""))


def list_verdicts(rule_rows: Iterable[RuleRow]) -> tuple[str, ...]:
    """The verdicts that occur, in the usual order."""
    present = {r.rule.verdict for r in rule_rows}
    return tuple(v for v in VERDICTS if v in present)


def _format_severity_title(severity: str) -> str:
    return f"{CATEGORIES[severity]}, severity {severity}"


def _choose_anchor(rule_id: str, n: int, used_anchors: set[str]) -> str:
    """An id for the rule that clashes with no other and with none of the page's own.

    NOTE: ids come from a target. One such as ``theme`` would take the place of an element
    that the page's script looks for.
    """
    anchor = rule_id if _ANCHOR.fullmatch(rule_id) else f"rule-{n + 1}"
    if anchor in used_anchors:
        anchor = f"rule-{n + 1}"
    used_anchors.add(anchor)
    return anchor


def _build_row(rule: RulePart, anchor: str, scan_date: date) -> RuleRow:
    return RuleRow(
        rule=rule,
        anchor=anchor,
        evidence=tuple(map(_parse_evidence, rule.evidence_lines[:_MAX_EVIDENCE_LINES])),
        omitted_lines=max(0, len(rule.evidence_lines) - _MAX_EVIDENCE_LINES),
        references=_list_references(rule),
        waiver=None if rule.waiver is None else _build_waiver_view(rule, rule.waiver, scan_date),
    )


def _parse_evidence(line: str) -> EvidenceLine:
    match = _TEST_RESULT.match(line)
    if match is None:
        return EvidenceLine(truth="", text=line)
    return EvidenceLine(truth=match[1], text=line[match.end() :])


def _list_references(rule: RulePart) -> tuple[tuple[str, str], ...]:
    """Label and value of each reference; a new kind of id is a line here."""
    candidates = (
        ("STIG id", ", ".join(rule.stig_ids)),
        ("Rule version", ", ".join(rule.sv_ids)),
        ("Group", ", ".join(rule.group_ids)),
        ("CCI", ", ".join(rule.ccis)),
        ("CCE", rule.cce),
        ("NIST 800-53", ", ".join(rule.nist)),
        ("Engine", rule.engine),
        ("Rule", rule.rule_id),
    )
    return tuple((label, value) for label, value in candidates if value)


def _build_waiver_view(rule: RulePart, part: WaiverPart, scan_date: date) -> WaiverView:
    days = _count_days_left(part.expires, scan_date)
    return WaiverView(part=part, state=_derive_waiver_state(rule, part, days), days=days)


def _count_days_left(expires: str, scan_date: date) -> int:
    try:
        return (date.fromisoformat(expires) - scan_date).days
    except ValueError:
        # The document checks its digits, not the calendar.
        return -1


def _derive_waiver_state(rule: RulePart, part: WaiverPart, days: int) -> WaiverState:
    if not part.is_active:
        return "expired" if rule.is_open else "unused"
    if not rule.is_waived:
        return "unused"
    return "expiring" if days <= EXPIRING_SOON_DAYS else "active"
