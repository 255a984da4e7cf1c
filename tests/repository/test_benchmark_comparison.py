from dataclasses import replace

import pytest

from hardpan.scanners.model.scan import Evaluation, Verdict
from tests.benchmarks.compare import UnremediatedRule, compare
from tests.unit.evidence import samples

PREFIX = "xccdf_org.ssgproject.content_rule_"
V = Verdict
BEFORE = {"a": V.FAIL, "b": V.FAIL, "c": V.ERROR, "d": V.PASS, "e": V.FAIL, "f": V.NOT_APPLICABLE}


def make_evaluation(verdicts: dict[str, Verdict]) -> Evaluation:
    base = samples.scan().evaluation
    results = tuple(
        replace(base.results[0], rule_id=PREFIX + r, verdict=v) for r, v in verdicts.items()
    )
    return replace(base, results=results)


def test_rules_with_equal_results_are_not_unremediated() -> None:
    evaluation = make_evaluation({**BEFORE, "a": V.PASS})
    comparison = compare(make_evaluation(BEFORE), evaluation, evaluation, waived={}, reasons={})

    assert (
        comparison.failing_before,
        comparison.remediated,
        comparison.remediated_by_playbook,
    ) == (4, 1, 1)
    assert (comparison.unremediated, comparison.only_by_layer, comparison.broken_by_layer) == (
        (),
        (),
        (),
    )
    assert comparison.still_failing == ("b", "c", "e")


@pytest.mark.parametrize(
    ("waived", "reasons", "unremediated"),
    [
        (
            {},
            {},
            UnremediatedRule(rule="b", verdict="fail", reason="unknown reason", waived=False),
        ),
        (
            {},
            {"b": "error: x"},
            UnremediatedRule(rule="b", verdict="fail", reason="error: x", waived=False),
        ),
        (
            {"b": "why"},
            {"b": "x"},
            UnremediatedRule(rule="b", verdict="fail", reason="why", waived=True),
        ),
    ],
)
def test_rule_remediated_only_by_playbook_is_unremediated_with_reason(
    waived: dict[str, str], reasons: dict[str, str], unremediated: UnremediatedRule
) -> None:
    comparison = compare(
        make_evaluation(BEFORE),
        make_evaluation({**BEFORE, "a": V.PASS, "d": V.FAIL}),
        make_evaluation({**BEFORE, "b": V.PASS}),
        waived={PREFIX + r: reason for r, reason in waived.items()},
        reasons={PREFIX + r: reason for r, reason in reasons.items()},
    )

    assert comparison.unremediated == (unremediated,)
    assert comparison.unwaived == (() if unremediated.waived else (unremediated,))
    assert comparison.only_by_layer == ("a",)
    assert comparison.still_failing == (("c", "d", "e") if waived else ("b", "c", "d", "e"))
    assert (comparison.broken_by_layer, comparison.broken_by_playbook) == (("d",), ())


def test_rule_without_result_is_not_remediated() -> None:
    comparison = compare(
        make_evaluation(BEFORE),
        make_evaluation({}),
        make_evaluation({"a": V.PASS}),
        waived={},
        reasons={},
    )

    assert [(x.rule, x.verdict) for x in comparison.unremediated] == [("a", "error")]
