"""The headline of a scan: what is open, as DISA counts it, and what was not checked.

A waiver accepts a finding, it does not close it: in STIG Viewer and in a checklist such a
requirement stays "Open". So it counts as open here, and is named as waived. The gate
(``--fail-on``, ``max_open`` of a policy) excuses it instead. Of a scan with a STIG profile the
requirements are counted, so that the numbers are those of its checklist, and what it does not have:
other rules, and hardpan's own checks. Of any other scan the rules and checks are counted. Both are
computed here only, and every format shows the same text.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hardpan.core.last_call import cache_last_call
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.profiles.schema.ssg import SEVERITIES as GATE_SEVERITIES
from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import SEVERITIES
from hardpan.scanners.report.stig.checklist_model import (
    describe_release_differences,
    find_content_stig,
    find_unassigned_rules,
)
from hardpan.scanners.report.stig.statistics import StatusCounts, count_by_category

CATEGORIES = {"high": "CAT I", "medium": "CAT II", "low": "CAT III"}
"""Severity -> DISA's category."""

NO_CATEGORY = "no CAT"
COUNTING_NOTE = (
    "A waiver excuses a finding from the gate (--fail-on); it stays open, as in STIG Viewer. "
    "Not checked and not reviewed are not passed."
)


class HeadlineState(StrEnum):
    """What the headline says; only ``COMPLIANT`` may be shown in green."""

    OPEN = "open"
    INCOMPLETE = "incomplete"
    """Nothing failed, but something was not checked, or another check failed."""

    COMPLIANT = "compliant"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCount:
    """Open requirements or rules of one severity."""

    severity: str
    """DISA's severity, else OpenSCAP's."""

    open: int
    """Number of open ones, waived or not."""

    waived: int
    """How many of them have an active waiver."""

    @property
    def category(self) -> str:
        """DISA's category, e.g. ``CAT I``."""
        return CATEGORIES.get(self.severity, NO_CATEGORY)

    def describe(self) -> str:
        """Format as ``CAT I 2 (1 waived)``; a severity without category has its name."""
        name = self.category if self.severity in CATEGORIES else f"severity {self.severity}"
        return f"{name} {self.open}" + (f" ({self.waived} waived)" if self.waived else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The counts of a scan, and the sentences that every format shows."""

    counts: tuple[OpenCount, ...]
    """CAT I, II and III always; ``unknown`` and ``info`` if a rule is open."""

    unit: str
    """What is counted, e.g. ``requirements of RHEL_9_STIG V2R9``."""

    open_rules: int
    """Number of rules and checks that failed or had no answer, waived or not."""

    waived_rules: int
    """How many of them have an active waiver; the gate does not count these."""

    next_expiry: str
    """Last day of the waiver that ends first, of those of open rules; empty if none is waived."""

    remarks: tuple[str, ...]
    """What was not checked or failed besides the open rules, e.g. ``12 rules not checked``."""

    stig_lines: tuple[str, ...]
    """DISA's requirements as STIG Viewer counts them in the checklist; empty without a STIG."""

    failing_gates: tuple[str, ...]
    """The values of ``--fail-on`` under which a scan with these findings fails."""

    @property
    def open(self) -> int:
        """Number of open requirements or rules, waived or not."""
        return sum(c.open for c in self.counts)

    @property
    def waived(self) -> int:
        """How many of the open ones have an active waiver."""
        return sum(c.waived for c in self.counts)

    @property
    def state(self) -> HeadlineState:
        """What the headline says."""
        if self.open or self.open_rules:  # a rule in error leaves its requirement not reviewed
            return HeadlineState.OPEN
        return HeadlineState.INCOMPLETE if self.remarks else HeadlineState.COMPLIANT

    def describe_open(self) -> str:
        """Format the open ones: ``2 open (1 waived until 2027-01-31)``."""
        if not self.open:
            return "none open"
        if not self.waived:
            return f"{self.open} open"
        waived = "all waived" if self.waived == self.open else f"{self.waived} waived"
        until = " until" if self.waived == 1 else ", the first until"
        return f"{self.open} open ({waived}{until} {self.next_expiry})"

    def describe(self) -> str:
        """Format the whole headline as one line."""
        return "; ".join((self.describe_open(), *self.remarks))

    def describe_title(self) -> str:
        """Format the open ones, or what keeps the scan from being compliant."""
        text = self.describe_open() if self.open else self.describe()
        return text[0].upper() + text[1:]

    def describe_categories(self) -> str:
        """Format the open ones by category: ``CAT I 2 (1 waived), CAT II 0, CAT III 4``."""
        return ", ".join(c.describe() for c in self.counts)

    def describe_gate(self, fail_on: str) -> str:
        """Say how ``--fail-on`` of this value ends, and what it does not count."""
        if fail_on == "none":
            return "not evaluated (--fail-on none)"
        outcome = "failed" if fail_on in self.failing_gates else "passed"
        excused = ""
        if self.waived_rules:
            noun = "rule" if self.waived_rules == 1 else "rules"
            excused = f", {self.waived_rules} waived {noun} not counted"
        return f"{outcome} (--fail-on {fail_on}{excused})"

    def describe_gates(self) -> str:
        """Say how each value of ``--fail-on`` ends, e.g. ``high passes; medium and low fail``."""
        passing = tuple(s for s in GATE_SEVERITIES if s not in self.failing_gates)
        parts = ((passing, ("passes", "pass")), (self.failing_gates, ("fails", "fail")))
        return "; ".join(
            f"{_join(names)} {verbs[len(names) > 1]}" for names, verbs in parts if names
        )

    def to_json(self) -> dict[str, object]:
        """Return the headline as JSON data, for commands."""
        return {
            "state": self.state.value,
            "text": self.describe(),
            "unit": self.unit,
            "open": {c.severity: {"open": c.open, "waived": c.waived} for c in self.counts},
            "waivedUntil": self.next_expiry or None,
            "remarks": list(self.remarks),
        }


@cache_last_call
def build_headline(findings: Findings) -> Headline:
    """Count what is open in ``findings``, and what was not checked."""
    open_rules = [r for r in findings.rules_and_checks if r.is_finding]
    waived_rules = [r for r in open_rules if r.is_waived]
    requirements = count_by_category(findings)
    stig = find_content_stig(findings) if _has_stig_profile(findings) else None
    if stig is None or requirements is None:
        unit, counts = "rules and checks", _count_rules(open_rules)
    else:
        unit = f"requirements of {stig.benchmark} {stig.revision}"
        unassigned_rules = (*find_unassigned_rules(findings, stig), *findings.check_rules)
        other_rules = [r for r in unassigned_rules if r.is_finding]
        counts = _add_requirements(_count_rules(other_rules), requirements)
        if other_rules:
            noun = "rule or check" if len(other_rules) == 1 else "rules and checks"
            unit += f", and {len(other_rules)} {noun} outside of it"
    return Headline(
        counts=tuple(c for c in counts if c.severity in CATEGORIES or c.open),
        unit=unit,
        open_rules=len(open_rules),
        waived_rules=len(waived_rules),
        next_expiry=min((r.waiver.expires for r in waived_rules if r.waiver), default=""),
        remarks=tuple(_list_remarks(findings, requirements)),
        stig_lines=tuple(_format_stig(findings, requirements)),
        failing_gates=tuple(s for s in GATE_SEVERITIES if findings.has_open_rules(s)),
    )


def _count_rules(rules: Sequence[RulePart]) -> list[OpenCount]:
    """Count open rules by DISA's category."""
    open_counts = Counter[str](r.category_severity for r in rules)
    waived_counts = Counter[str](r.category_severity for r in rules if r.is_waived)
    return [OpenCount(severity=s, open=open_counts[s], waived=waived_counts[s]) for s in SEVERITIES]


def _add_requirements(
    rule_counts: Sequence[OpenCount], requirements: Mapping[str, StatusCounts]
) -> list[OpenCount]:
    """Add the open requirements of each category to the rules that belong to none."""
    status_by_severity = {
        severity: requirements.get(category.removeprefix("CAT "))
        for severity, category in CATEGORIES.items()
    }
    return [
        count
        if (status := status_by_severity.get(count.severity)) is None
        else replace(count, open=count.open + status.open, waived=count.waived + status.waived)
        for count in rule_counts
    ]


def _format_stig(findings: Findings, requirements: Mapping[str, StatusCounts] | None) -> list[str]:
    """Return the name of the STIG and its counts by category."""
    stig = find_content_stig(findings)
    if requirements is None or stig is None:
        return []
    differences = describe_release_differences(findings, stig)
    return [
        stig.describe(),
        *([f"warning: {differences}"] if differences else []),
        *(
            f"CAT {name}: {t.open} open ({t.waived} waived), {t.not_reviewed} not reviewed, "
            f"{t.not_a_finding} of {t.applicable} passed"
            for name, t in requirements.items()
        ),
    ]


def _list_remarks(
    findings: Findings, requirements: Mapping[str, StatusCounts] | None
) -> Iterator[str]:
    """Yield what keeps a scan without open rules from being compliant."""
    undecided = sum(r.is_finding and r.verdict != "fail" for r in findings.rules_and_checks)
    if undecided:
        yield _count(undecided, "rule", "in error or unknown")
    not_checked = sum(r.verdict == "notchecked" for r in findings.rules)
    not_reviewed = 0
    if requirements is not None and _has_stig_profile(findings):
        not_reviewed = sum(t.not_reviewed for t in requirements.values())
    # A rule without a check leaves its requirement without a review: one number says both.
    if not_reviewed:
        yield _count(not_reviewed, "STIG requirement", "not reviewed")
    elif not_checked:
        yield _count(not_checked, "rule", "not checked")
    # Those with a severity are counted as open.
    check_counts = Counter[str](c.outcome for c in findings.checks if c.severity is None)
    for outcome, text in (("failed", "failed"), ("error", "in error")):
        if check_counts[outcome]:
            yield _count(check_counts[outcome], "system check", text)
    if any(c.name == f"{NOT_COLLECTED_PREFIX}privileges" for c in findings.checks):
        yield "scanned without root rights"
    if findings.compatibility is not None:
        verdicts = findings.compatibility.count_verdicts()
        if failed := verdicts["fail"] + verdicts["error"]:
            yield _count(failed, "compatibility check", "failed")


def _has_stig_profile(findings: Findings) -> bool:
    """Return whether the profile is meant to check every requirement of the STIG."""
    tailoring = findings.content.tailoring
    profile_ids = (findings.content.profile_id, tailoring.base_profile_id if tailoring else "")
    return any("stig" in shorten_id(profile_id).casefold() for profile_id in profile_ids)


def _join(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _count(n: int, noun: str, text: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'} {text}"
