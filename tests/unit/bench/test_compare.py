from dataclasses import replace

import pytest

from hardpan.scanners.model import Evaluation, Verdict
from tests.bench.compare import Left, compared
from tests.unit.evidence import samples

PREFIX = "xccdf_org.ssgproject.content_rule_"
V = Verdict
BEFORE = {"a": V.FAIL, "b": V.FAIL, "c": V.ERROR, "d": V.PASS, "e": V.FAIL, "f": V.NOT_APPLICABLE}


def made(verdicts: dict[str, Verdict]) -> Evaluation:
    base = samples.scan().evaluation
    results = tuple(
        replace(base.results[0], rule_id=PREFIX + r, verdict=v) for r, v in verdicts.items()
    )
    return replace(base, results=results)


def test_what_both_mend_and_what_neither_mends_is_not_left() -> None:
    both = made({**BEFORE, "a": V.PASS})
    found = compared(made(BEFORE), both, both, waived={}, told={})

    assert (found.before, found.mended, found.mended_by_playbook) == (4, 1, 1)
    assert (found.left, found.only_ours, found.broken) == ((), (), ())
    assert found.still_bad == ("b", "c", "e")


@pytest.mark.parametrize(
    ("waived", "told", "left"),
    [
        ({}, {}, Left(rule="b", verdict="fail", reason="no reason is known", waived=False)),
        ({}, {"b": "error: x"}, Left(rule="b", verdict="fail", reason="error: x", waived=False)),
        ({"b": "why"}, {"b": "x"}, Left(rule="b", verdict="fail", reason="why", waived=True)),
    ],
)
def test_a_rule_that_only_the_playbook_mends_is_left_with_its_reason(
    waived: dict[str, str], told: dict[str, str], left: Left
) -> None:
    found = compared(
        made(BEFORE),
        made({**BEFORE, "a": V.PASS, "d": V.FAIL}),
        made({**BEFORE, "b": V.PASS}),
        waived={PREFIX + r: why for r, why in waived.items()},
        told={PREFIX + r: why for r, why in told.items()},
    )

    assert found.left == (left,)
    assert found.unwaived == (() if left.waived else (left,))
    assert found.only_ours == ("a",)
    assert found.still_bad == (("c", "d", "e") if waived else ("b", "c", "d", "e"))
    assert (found.broken, found.broken_by_playbook) == (("d",), ())


def test_a_rule_without_a_verdict_afterwards_is_not_mended() -> None:
    found = compared(made(BEFORE), made({}), made({"a": V.PASS}), waived={}, told={})

    assert [(x.rule, x.verdict) for x in found.left] == [("a", "error")]
