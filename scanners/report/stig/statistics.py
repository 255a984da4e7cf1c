"""DISA's counts of a scan: open, not reviewed and passed requirements of CAT I, II and III."""

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

OPEN_FORMULA = (
    "a requirement is open when a rule of it fails, waived or not; not reviewed when none fails "
    "and one is error, unknown, notchecked or missing; CAT I, II, III are DISA's severities high, "
    "medium, low"
)


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
