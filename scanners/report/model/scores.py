"""Shares of a scan's rules: how many passed of those with an answer, and how many have an answer.

They stand next to the XCCDF score. The formulas are printed with every figure.
"""

from collections import Counter
from collections.abc import Iterable

from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import OPEN_VERDICTS

SCORE_FORMULA = (
    "XCCDF default: the weighted mean of each group, from the innermost out; pass and fixed are "
    "100, fail, error and unknown are 0, everything else and unscored rules are left out"
)
SHARE_FORMULA = "pass / (pass + fail + error + unknown); fixed is pass, unscored left out"
COVERAGE_FORMULA = "(pass + fail) / (selected - notapplicable); fixed is pass"

_PASSED = ("pass", "fixed")


def count_passed(rules: Iterable[RulePart]) -> tuple[int, int]:
    """Return how many rules passed, and of how many (``SHARE_FORMULA``)."""
    counts = Counter[str](r.verdict for r in rules if r.role == "full")
    passed = sum(counts[v] for v in _PASSED)
    return passed, passed + sum(n for v, n in counts.items() if v in OPEN_VERDICTS)


def count_covered(rules: Iterable[RulePart]) -> tuple[int, int]:
    """Return how many rules passed or failed, and of how many (``COVERAGE_FORMULA``)."""
    counts = Counter[str](r.verdict for r in rules)
    return sum(counts[v] for v in (*_PASSED, "fail")), counts.total() - counts["notapplicable"]


def format_share(part: int, total: int) -> str:
    """Return a share in percent, ``91.70``; empty for a share of nothing."""
    return f"{100 * part / total:.2f}" if total else ""
