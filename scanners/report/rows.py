"""The rules as the page shows them: in groups, each with an anchor, evidence and references."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hardpan.scanners.report.fields import SEVERITIES, VERDICTS
from hardpan.scanners.report.parts import Rule, WaiverPart

CATEGORIES = {"high": "CAT I", "medium": "CAT II", "low": "CAT III", "unknown": "no CAT"}
"""DISA's category of a severity."""

SOON_DAYS = 30
"""A waiver that ends within so many days after the scan is marked."""

_MOST_FOUND = 30
_ANCHOR = re.compile(r"xccdf_[A-Za-z0-9_.-]{1,200}")
_TRUTH = re.compile(r"\[(true|false|error|unknown|not evaluated|not applicable)\] ")
_GROUPS = (
    ("waived", "Waived", False),
    ("notchecked", "Not checked", False),
    ("informational", "Informational", False),
    ("pass", "Passed", True),
    ("fixed", "Mended during the scan", True),
    ("notapplicable", "Not applicable", True),
)

WaiverState = Literal["holds", "soon", "ended", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One line of what was looked at and found."""

    truth: str
    """What a test came to; empty for what it looked at."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverView:
    """A waiver beside the day of the scan."""

    part: WaiverPart
    state: WaiverState
    days: int
    """From the scan's day to its last one."""

    @property
    def when(self) -> str:
        """What its last day means for the rule, in words."""
        count = f"{abs(self.days)} day{'' if abs(self.days) == 1 else 's'}"
        if self.state == "ended":
            return f"ended {count} before the scan: the rule is open"
        if self.state == "idle":
            return "without effect: the rule did not fail"
        if self.days == 0:
            return "ends on the day of the scan"
        return f"ends {count} after the scan" if self.state == "soon" else "holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule."""

    rule: Rule
    anchor: str
    """Its element's id: the rule's own, as far as that is a harmless one."""

    evidence: tuple[Evidence, ...]
    left_out: int
    """How many lines of evidence are in findings.json alone."""

    references: tuple[tuple[str, str], ...]
    waiver: WaiverView | None

    @property
    def category(self) -> str:
        """DISA's category."""
        return CATEGORIES[self.rule.severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules under one heading."""

    name: str
    title: str
    rows: tuple[Row, ...]
    folded: bool
    """Shown on demand: nobody has to act on these."""


def rows(rules: Sequence[Rule], finished: str) -> tuple[Row, ...]:
    """Every rule, in the order of the document."""
    day = date.fromisoformat(finished[:10])
    taken: set[str] = set()
    return tuple(_row(rule, _anchor(rule.rule_id, n, taken), day) for n, rule in enumerate(rules))


def open_groups(made: Iterable[Row]) -> tuple[Group, ...]:
    """The open rules by severity, the worst first; severities without any are left out."""
    found = [r for r in made if r.rule.is_open]
    by = {s: tuple(r for r in found if r.rule.severity == s) for s in SEVERITIES}
    return tuple(
        Group(name=s, title=_severity_title(s), rows=kept, folded=False)
        for s, kept in by.items()
        if kept
    )


def other_groups(made: Iterable[Row]) -> tuple[Group, ...]:
    """Every rule that is not open, by what became of it."""
    by: dict[str, list[Row]] = {}
    for row in made:
        if not row.rule.is_open:
            by.setdefault("waived" if row.rule.is_waived else row.rule.verdict, []).append(row)
    return tuple(
        Group(name=name, title=title, rows=tuple(by[name]), folded=folded)
        for name, title, folded in _GROUPS
        if name in by
    )


def waivers(made: Iterable[Row]) -> tuple[Row, ...]:
    """The rules with a waiver on record, the one that ends first at the front."""
    found = [r for r in made if r.rule.waiver is not None]
    return tuple(sorted(found, key=lambda r: r.rule.waiver.expires if r.rule.waiver else ""))


def seen_verdicts(made: Iterable[Row]) -> tuple[str, ...]:
    """The verdicts that occur, in the usual order."""
    found = {r.rule.verdict for r in made}
    return tuple(v for v in VERDICTS if v in found)


def _severity_title(severity: str) -> str:
    return f"{CATEGORIES[severity]}, severity {severity}"


def _anchor(rule_id: str, n: int, taken: set[str]) -> str:
    """An id for the rule that clashes with no other and with none of the page's own.

    NOTE: ids come from a target. One such as ``theme`` would take the place of an element
    that the page's script looks for.
    """
    anchor = rule_id if _ANCHOR.fullmatch(rule_id) else f"rule-{n + 1}"
    if anchor in taken:
        anchor = f"rule-{n + 1}"
    taken.add(anchor)
    return anchor


def _row(rule: Rule, anchor: str, day: date) -> Row:
    return Row(
        rule=rule,
        anchor=anchor,
        evidence=tuple(map(_evidence, rule.found[:_MOST_FOUND])),
        left_out=max(0, len(rule.found) - _MOST_FOUND),
        references=_references(rule),
        waiver=None if rule.waiver is None else _waiver(rule, rule.waiver, day),
    )


def _evidence(line: str) -> Evidence:
    found = _TRUTH.match(line)
    if found is None:
        return Evidence(truth="", text=line)
    return Evidence(truth=found[1], text=line[found.end() :])


def _references(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Label and value of each reference; a new kind of id is a line here."""
    told = (
        ("STIG id", ", ".join(rule.stig_ids)),
        ("Rule version", ", ".join(rule.sv_ids)),
        ("Group", ", ".join(rule.group_ids)),
        ("CCI", ", ".join(rule.ccis)),
        ("CCE", rule.cce),
        ("NIST 800-53", ", ".join(rule.nist)),
        ("Checked by", rule.engine),
        ("Rule", rule.rule_id),
    )
    return tuple((label, value) for label, value in told if value)


def _waiver(rule: Rule, part: WaiverPart, day: date) -> WaiverView:
    days = _days_left(part.expires, day)
    return WaiverView(part=part, state=_state(rule, part, days), days=days)


def _days_left(expires: str, day: date) -> int:
    try:
        return (date.fromisoformat(expires) - day).days
    except ValueError:
        # The document holds it to digits, not to a calendar.
        return -1


def _state(rule: Rule, part: WaiverPart, days: int) -> WaiverState:
    if not part.holds:
        return "ended" if rule.is_open else "idle"
    if not rule.is_waived:
        return "idle"
    return "soon" if days <= SOON_DAYS else "holds"
