from dataclasses import replace

import pytest

from hardpan.core.errors import InputError, ToolError
from hardpan.scanners.content.limitations import ADJACENT_ELEMENTS
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.arf.verdicts import combine_verdicts
from hardpan.scanners.openscap.evaluate import (
    EvaluatedParts,
    compute_score,
    find_differences,
    merge_results,
)
from tests.unit.openscap.samples import make_arf, make_prepared, make_rule

RULES = (make_rule("one", "a"), make_rule("two", "a"), make_rule("three", "b"))


def evaluate(prepared_content: PreparedContent, *arfs: Arf | UnreadableArf) -> Evaluation:
    return merge_results(
        prepared_content,
        EvaluatedParts(arfs=arfs),
        engine="oscap 1.4.2",
        os_name="Rocky 9",
        os_cpe="cpe:/o:x",
    )


def test_parts_are_merged_in_benchmark_order() -> None:
    content = make_prepared(RULES, ("three", "one"), ("two",))

    result = evaluate(content, make_arf(one="pass", three="fail"), make_arf(two="notchecked"))

    assert [(r.rule_id, r.verdict.value) for r in result.results] == [
        ("one", "pass"),
        ("two", "notchecked"),
        ("three", "fail"),
    ]
    assert result.results[0].stig_ids == ("RHEL-09-1",)
    assert sum(result.counts().values()) == 3


def test_ccis_and_groups_are_joined_by_requirement_id() -> None:
    rules = (replace(RULES[0], sv_ids=("SV-257779r958390_rule",)), RULES[1])
    content = make_prepared(rules, ("one", "two"))
    bench = replace(content.benchmark, benchmark_id="x_benchmark_RHEL-9")

    result = evaluate(replace(content, benchmark=bench), make_arf(one="pass", two="pass"))

    assert result.results[0].group_ids == ("V-257779",)
    assert "CCI-001384" in result.results[0].ccis
    assert result.results[0].disa_severity == "medium"
    assert result.results[1].disa_severity == ""
    assert (result.results[1].group_ids, result.results[1].ccis) == ((), ())
    unknown = evaluate(content, make_arf(one="pass", two="pass"))
    assert [(r.group_ids, r.ccis) for r in unknown.results] == [((), ()), ((), ())]


def test_part_with_a_missing_result_has_only_errors() -> None:
    """Without the untouched content, because then no result of the part is reliable."""
    result = evaluate(
        make_prepared(RULES, ("one", "two"), ("three",)),
        make_arf(one="pass"),
        make_arf(three="pass"),
    )

    assert [r.verdict.value for r in result.results] == ["error", "error", "pass"]
    difference = "rule 'two': expected 'selected', got 'no result'"
    assert result.differences == (difference,)
    assert result.results[0].evidence_lines == (
        f"OpenSCAP evaluated something else than expected: {difference}",
    )
    assert "the rules concerned are errors" in result.content.derivation


def evaluate_untouched(arf: Arf | UnreadableArf) -> Evaluation:
    """Evaluate parts of which one misses a rule, and then the untouched content."""
    parts = EvaluatedParts(arfs=(make_arf(one="pass"), make_arf(three="pass")), untouched_arf=arf)
    content = make_prepared(RULES, ("one", "two"), ("three",))
    return merge_results(content, parts, engine="", os_name="", os_cpe="")


def test_results_of_the_untouched_content_replace_all() -> None:
    result = evaluate_untouched(make_arf(one="fail", two="pass", three="fail"))

    assert {r.rule_id: r.verdict.value for r in result.results} == {
        "one": "fail",
        "two": "pass",
        "three": "fail",
    }
    assert result.used_untouched
    assert result.differences == ("rule 'two': expected 'selected', got 'no result'",)
    assert "all results are of the untouched content" in result.content.derivation


def test_openscap_selects_the_rules_of_the_untouched_content() -> None:
    result = evaluate_untouched(replace(make_arf(one="pass", three="fail"), not_selected=("two",)))

    assert [r.rule_id for r in result.results] == ["one", "three"]
    assert result.differences[-1] == (
        "untouched content: rule 'two': expected 'selected', got 'not selected'"
    )


def test_rule_without_result_in_the_untouched_content_is_an_error() -> None:
    missing = evaluate_untouched(make_arf(one="pass", three="fail")).results[1]

    assert (missing.rule_id, missing.verdict) == ("two", Verdict.ERROR)
    assert missing.evidence_lines == ("oscap gave no result for this rule",)


@pytest.mark.parametrize(
    "arf",
    [
        UnreadableArf(reason="it is cut short"),
        replace(make_arf(one="pass", two="pass", three="pass"), profile_id="other"),
    ],
)
def test_unusable_untouched_content_leaves_errors_in_the_part_that_differs(
    arf: Arf | UnreadableArf,
) -> None:
    result = evaluate_untouched(arf)

    assert [r.verdict.value for r in result.results] == ["error", "error", "pass"]
    assert not result.used_untouched


def test_answer_about_content_that_is_not_partitioned_counts() -> None:
    content = make_prepared(RULES)
    unpartitioned = replace(content, parts=(content.untouched,))
    arf = replace(make_arf(one="pass", three="fail"), not_selected=("two",))

    result = evaluate(unpartitioned, arf)

    assert [r.rule_id for r in result.results] == ["one", "three"]
    assert result.used_untouched


def test_only_a_failure_that_the_content_may_cause_is_a_difference() -> None:
    content = make_prepared(RULES, ("one", "two"), ("three",))
    crash = UnreadableArf(reason="oscap crashed with SIGSEGV", is_due_to_content=True)
    kill = UnreadableArf(reason="oscap was killed with SIGKILL")

    assert find_differences(content, (crash, kill)) == ("oscap crashed with SIGSEGV",)


def test_pass_on_incomplete_evidence_is_unknown() -> None:
    result = evaluate(make_prepared(RULES[:1], ("one",)), make_arf(one="pass", incomplete=True))

    assert result.results[0].verdict is Verdict.UNKNOWN
    assert "memory limit" in result.results[0].evidence_lines[0]


def test_inapplicable_content_is_an_error() -> None:
    content = make_prepared(RULES, ("one", "two", "three"))

    with pytest.raises(InputError) as caught:
        evaluate(content, make_arf(one="notapplicable", two="notapplicable", three="notchecked"))

    assert "does not apply to the target: not one of 3 rules was evaluated" in str(caught.value)
    assert "it is for cpe:/o:rocky:rocky:9; the target is Rocky 9 (cpe:/o:x)" in str(caught.value)


def test_every_part_needs_a_result() -> None:
    with pytest.raises(ToolError, match="left 0 results for 1 parts"):
        evaluate(make_prepared(RULES, ("one", "two", "three")))


UNUSABLE_RESULTS: dict[str, tuple[Arf | UnreadableArf, str]] = {
    "unreadable": (UnreadableArf(reason="it is cut short"), "it is cut short"),
    "a rule of another part": (
        make_arf(four="pass"),
        "rule 'four': expected 'not selected', got 'selected'",
    ),
    "another profile": (
        replace(make_arf(one="pass", two="pass"), profile_id="x\x1b"),
        "OpenSCAP evaluated something else than expected: profile: expected 'stig', got 'x\\x1b'",
    ),
    "another version": (
        replace(make_arf(one="pass", two="pass"), benchmark_version="2"),
        "OpenSCAP evaluated something else than expected: benchmark version: expected '1', got '2'",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE_RESULTS)
def test_rules_of_a_part_without_usable_results_are_errors(name: str) -> None:
    unusable, reason = UNUSABLE_RESULTS[name]

    result = evaluate(
        make_prepared(RULES, ("one", "two"), ("three",)), unusable, make_arf(three="pass")
    )

    assert {r.rule_id: r.verdict.value for r in result.results} == {
        "one": "error",
        "two": "error",
        "three": "pass",
    }
    assert len(result.results[0].evidence_lines) == 1
    assert result.results[0].evidence_lines[0].endswith(reason)
    assert result.started == "2026-11-21T05:00:00+00:00"


def test_every_rule_is_an_error_without_usable_results() -> None:
    content = make_prepared(RULES, ("one", "two", "three"))

    result = merge_results(
        content,
        EvaluatedParts(arfs=(UnreadableArf(reason="no"),)),
        engine="",
        os_name="Rocky 9",
        os_cpe="",
        fallback_time="2026-11-21T06:00:00Z",
    )

    assert result.counts()["error"] == 3
    assert (result.started, result.finished) == ("2026-11-21T06:00:00Z", "2026-11-21T06:00:00Z")
    assert result.score == 0.0


def test_score_is_the_mean_of_groups() -> None:
    assert score_of(one="pass", two="fail", three="pass") == 75.0


def test_score_ignores_rules_that_were_not_checked() -> None:
    assert score_of(one="pass", two="notchecked", three="notapplicable") == 100.0
    assert score_of() == 0.0


def test_score_counts_errors_as_failures() -> None:
    assert score_of(one="error", two="fixed") == 50.0


def test_score_ignores_unscored_rules() -> None:
    results = make_results(one="pass", two="fail")

    assert compute_score(RULES, results | {"two": replace(results["two"], role="unscored")}) == 100


def test_group_without_weight_scores_nothing() -> None:
    rules = (replace(RULES[0], declared_weight=0.0), RULES[2])

    assert compute_score(rules, make_results(one="pass", three="pass")) == 50.0


def score_of(**verdicts: str) -> float:
    return compute_score(RULES, make_results(**verdicts))


def make_results(**verdicts: str) -> dict[str, RuleResult]:
    return {
        rule_id: RuleResult(rule_id=rule_id, title="", severity="medium", verdict=Verdict(v))
        for rule_id, v in verdicts.items()
    }


def test_severity_and_role_are_those_of_the_result() -> None:
    arf = make_arf(one="fail", two="fail", three="pass")
    refined = replace(arf.rules["one"], severity="high", role="unscored")
    arf = replace(arf, rules=arf.rules | {"one": refined})
    rules = (replace(RULES[0], severity="high", role="unscored"), *RULES[1:])

    result = evaluate(make_prepared(rules, ("one", "two", "three")), arf)

    assert (result.results[0].severity, result.results[0].role) == ("high", "unscored")
    assert result.score == 50.0


def test_severity_and_role_of_the_untouched_content_count() -> None:
    arf = make_arf(one="fail", two="pass", three="pass")
    refined = replace(arf.rules["one"], severity="high", role="unscored")

    result = evaluate_untouched(replace(arf, rules=arf.rules | {"one": refined}))

    assert (result.results[0].severity, result.results[0].role) == ("high", "unscored")


def test_pass_on_incomplete_evidence_of_the_untouched_content_is_unknown() -> None:
    arf = make_arf(one="pass", two="pass", three="pass")
    incomplete = replace(arf.rules["one"], incomplete=True)

    result = evaluate_untouched(replace(arf, rules=arf.rules | {"one": incomplete}))

    assert [r.verdict.value for r in result.results] == ["unknown", "pass", "pass"]


def test_rule_without_result_has_the_severity_of_the_profile() -> None:
    rules = (replace(RULES[0], severity="high"), *RULES[1:])

    result = evaluate(make_prepared(rules, ("one", "two", "three")), UnreadableArf(reason="no"))

    assert [r.severity for r in result.results] == ["high", *(r.severity for r in RULES[1:])]


def test_score_weighs_groups() -> None:
    rules = (replace(RULES[0], groups=(("a", 3.0),)), replace(RULES[2], groups=(("b", 1.0),)))

    assert compute_score(rules, make_results(one="pass", three="fail")) == 75.0


def test_evaluation_lasts_from_the_first_start_to_the_last_end() -> None:
    first = replace(
        make_arf(one="pass"), started="2026-01-01T00:00:01", finished="2026-01-01T00:09:00"
    )
    second = replace(
        make_arf(two="pass", three="pass"),
        started="2026-01-01T00:00:02",
        finished="2026-01-01T00:05:00",
    )

    result = evaluate(make_prepared(RULES, ("one",), ("two", "three")), first, second)

    assert (result.started, result.finished) == ("2026-01-01T00:00:01", "2026-01-01T00:09:00")


@pytest.mark.parametrize(
    ("verdicts", "combined"),
    [("error unknown", "unknown"), ("unknown error", "unknown"), ("error pass", "error")],
)
def test_results_are_combined_by_the_truth_table_of_and(verdicts: str, combined: str) -> None:
    assert combine_verdicts(map(Verdict, verdicts.split(" "))) is Verdict(combined)


def test_missing_white_space_is_named_before_the_differences() -> None:
    content = replace(make_prepared(RULES, ("one", "two")), limitations=(ADJACENT_ELEMENTS,))

    expected = evaluate(content, make_arf(one="pass", two="pass"))
    refused = evaluate(content, UnreadableArf(reason="oscap failed: x", is_due_to_content=True))

    assert expected.differences == ()
    assert refused.differences == (ADJACENT_ELEMENTS, "oscap failed: x")
    assert {r.verdict for r in refused.results} == {Verdict.ERROR}
