"""How a scan is counted: the score, the share that passed, and DISA's open CAT I, II and III.

Each figure comes with its formula. ``error``, ``unknown`` and ``notchecked`` are never
counted as passed. The XCCDF default score leaves ``notchecked`` out, as its definition
asks; the other two do not.
"""

from collections import Counter
from dataclasses import dataclass

from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.requirements import Judged, Status, judged, stig_of
from hardpan.scanners.stig.table import CATEGORIES

SCORE = (
    "XCCDF default: the weighted mean of each group, from the innermost out; pass and fixed are "
    "100, fail, error and unknown are 0, everything else is left out"
)
PASSED = (
    "pass + fixed, of all rules but notapplicable and informational; error, unknown and "
    "notchecked are not passed"
)
OPEN = (
    "a requirement is open when a rule of it fails, waived or not; not reviewed when none fails "
    "and one is error, unknown, notchecked or missing; CAT I, II, III are DISA's severities high, "
    "medium, low"
)
_NOT_COUNTED = ("notapplicable", "informational")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
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


def rules_passed(findings: Findings) -> tuple[int, int]:
    """How many rules passed, and of how many (``PASSED`` is the formula)."""
    counts = findings.counts
    of = sum(n for verdict, n in counts.items() if verdict not in _NOT_COUNTED)
    return counts["pass"] + counts["fixed"], of


def categories(findings: Findings) -> dict[str, Tally] | None:
    """Category ``I``, ``II`` and ``III`` -> its requirements; None where no STIG is on record."""
    stig = stig_of(findings)
    if stig is None:
        return None
    found = judged(findings, stig)
    return {
        c: tally(tuple(j for j in found if j.requirement.category == c))
        for c in CATEGORIES.values()
    }


def tally(requirements: tuple[Judged, ...]) -> Tally:
    """How many of them have which status."""
    count = Counter(j.status for j in requirements)
    return Tally(
        open=count[Status.OPEN],
        waived=sum(j.is_waived for j in requirements),
        not_reviewed=count[Status.NOT_REVIEWED],
        not_a_finding=count[Status.NOT_A_FINDING],
        not_applicable=count[Status.NOT_APPLICABLE],
    )


def share(part: int, of: int) -> str:
    """``91.70 %``; ``-`` of nothing."""
    return f"{100 * part / of:.2f} %" if of else "-"
