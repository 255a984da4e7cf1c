"""Combine several results of one rule into one.

Source: XCCDF 1.2 (NISTIR 7275r4), the truth table of AND for complex checks.
"""

from collections.abc import Iterable

from hardpan.scanners.model.verdict import Verdict

AND_ORDER = (
    Verdict.FAIL,
    Verdict.UNKNOWN,
    Verdict.ERROR,
    Verdict.FIXED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
    Verdict.NOT_CHECKED,
    Verdict.NOT_SELECTED,
    Verdict.INFORMATIONAL,
)
"""The AND of several results is the first of these that one of them is.

The table has no ``fixed``: it counts as ``pass``, and shows that something was changed.
"""


def combine_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the AND of one or more results of a rule."""
    return min(verdicts, key=AND_ORDER.index)
