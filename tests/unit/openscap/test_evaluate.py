from dataclasses import replace

import pytest

from hardpan.core.errors import InputError, ToolError
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.evaluate import compute_score, merge_results
from tests.unit.openscap.samples import make_arf, make_prepared, make_rule

RULES = (make_rule("one", "a"), make_rule("two", "a"), make_rule("three", "b"))


def evaluate(prepared_content: PreparedContent, *arfs: Arf | UnreadableArf) -> Evaluation:
    return merge_results(
        prepared_content, arfs, engine="oscap 1.4.2", os_name="Rocky 9", os_cpe="cpe:/o:x"
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


def test_rule_without_result_is_an_error() -> None:
    result = evaluate(
        make_prepared(RULES, ("one", "two", "three")), make_arf(one="pass", three="pass")
    )

    missing = result.results[1]
    assert (missing.rule_id, missing.verdict) == ("two", Verdict.ERROR)
    assert missing.evidence_lines == ("oscap gave no result for this rule",)


def test_rule_deselected_by_conflict_is_omitted() -> None:
    rules = (make_rule("one", "a"), make_rule("two", "a", conditional=True))

    result = evaluate(make_prepared(rules, ("one", "two")), make_arf(one="pass"))

    assert [r.rule_id for r in result.results] == ["one"]


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
        "oscap evaluated rules that are not in its part: 'four'",
    ),
    "another profile": (
        replace(make_arf(one="pass", two="pass"), profile_id="x\x1b"),
        "oscap evaluated the profile 'x\\x1b'",
    ),
    "another version": (
        replace(make_arf(one="pass", two="pass"), benchmark_version="2"),
        "oscap evaluated version '2'",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE_RESULTS)
def test_rules_of_a_part_without_usable_results_are_errors(name: str) -> None:
    unusable, reason = UNUSABLE_RESULTS[name]
    rules = (*RULES[:1], make_rule("two", "a", conditional=True), RULES[2])

    result = evaluate(
        make_prepared(rules, ("one", "two"), ("three",)), unusable, make_arf(three="pass")
    )

    assert {r.rule_id: r.verdict.value for r in result.results} == {
        "one": "error",
        "two": "error",
        "three": "pass",
    }
    assert result.results[0].evidence_lines == (reason,)
    assert result.started == "2026-11-21T05:00:00+00:00"


def test_every_rule_is_an_error_without_usable_results() -> None:
    content = make_prepared(RULES, ("one", "two", "three"))

    result = merge_results(
        content,
        [UnreadableArf(reason="no")],
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
    rules = (replace(RULES[0], severity="low"), *RULES[1:])

    result = evaluate(make_prepared(rules, ("one", "two", "three")), arf)

    assert (result.results[0].severity, result.results[0].role) == ("high", "unscored")
    assert result.score == 50.0
