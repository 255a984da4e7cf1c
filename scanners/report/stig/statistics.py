"""How a scan is counted: the score, the share that passed, and DISA's open CAT I, II and III.

Each figure comes with its formula. ``error``, ``unknown`` and ``notchecked`` are never
counted as passed. The XCCDF default score leaves ``notchecked`` out, as its definition
asks; the other two do not.
"""

from collections import Counter
from dataclasses import dataclass

from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.stig.checklist_model import (
    AssessedRequirement,
    ChecklistStatus,
    assess_requirements,
    find_content_stig,
)
from hardpan.scanners.stig.manual_stig import CATEGORIES

SCORE_FORMULA = (
    "XCCDF default: the weighted mean of each group, from the innermost out; pass and fixed are "
    "100, fail, error and unknown are 0, everything else is left out"
)
PASSED_FORMULA = (
    "pass + fixed, of all rules but notapplicable and informational; error, unknown and "
    "notchecked are not passed"
)
OPEN_FORMULA = (
    "a requirement is open when a rule of it fails, waived or not; not reviewed when none fails "
    "and one is error, unknown, notchecked or missing; CAT I, II, III are DISA's severities high, "
    "medium, low"
)
_UNCOUNTED_VERDICTS = ("notapplicable", "informational")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    """Requirements by status."""

    open: int
    waived: int
    """How many of the open ones have a waiver that holds."""

    not_reviewed: int
    not_a_finding: int
    not_applicable: int

    @property
    def applicable(self) -> int:
        """All but the not applicable ones."""
        return self.open + self.not_reviewed + self.not_a_finding


def count_passed_rules(findings: Findings) -> tuple[int, int]:
    """How many rules passed, and of how many (``PASSED`` is the formula)."""
    counts = findings.counts
    total = sum(n for verdict, n in counts.items() if verdict not in _UNCOUNTED_VERDICTS)
    return counts["pass"] + counts["fixed"], total


def count_by_category(findings: Findings) -> dict[str, StatusCounts] | None:
    """Category ``I``, ``II`` and ``III`` -> its requirements; None where no STIG is on record."""
    stig = find_content_stig(findings)
    if stig is None:
        return None
    assessed = assess_requirements(findings, stig)
    return {
        c: count_statuses(tuple(j for j in assessed if j.requirement.category == c))
        for c in CATEGORIES.values()
    }


def count_statuses(requirements: tuple[AssessedRequirement, ...]) -> StatusCounts:
    """How many of them have which status."""
    count = Counter(j.status for j in requirements)
    return StatusCounts(
        open=count[ChecklistStatus.OPEN],
        waived=sum(j.is_waived for j in requirements),
        not_reviewed=count[ChecklistStatus.NOT_REVIEWED],
        not_a_finding=count[ChecklistStatus.NOT_A_FINDING],
        not_applicable=count[ChecklistStatus.NOT_APPLICABLE],
    )


def format_percent(part: int, total: int) -> str:
    """``91.70 %``; ``-`` of nothing."""
    return f"{100 * part / total:.2f} %" if total else "-"
