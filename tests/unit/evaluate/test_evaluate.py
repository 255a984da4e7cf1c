from dataclasses import replace

import pytest

from hardpan.errors import InputError, ToolError
from hardpan.scanners.arf import Arf
from hardpan.scanners.content.prepare import Prepared
from hardpan.scanners.evaluate import evaluation, score
from hardpan.scanners.model import Evaluation, Verdict
from tests.unit.evaluate.arfs import arf, prepared, rule

RULES = (rule("one", "a"), rule("two", "a"), rule("three", "b"))


def judge(content: Prepared, *arfs: Arf) -> Evaluation:
    return evaluation(content, arfs, engine="oscap 1.4.2", os_name="Rocky 9", os_cpe="cpe:/o:x")


def test_the_parts_are_merged_in_the_benchmarks_order() -> None:
    content = prepared(RULES, ("three", "one"), ("two",))

    made = judge(content, arf(one="pass", three="fail"), arf(two="notchecked"))

    assert [(r.rule_id, r.verdict.value) for r in made.results] == [
        ("one", "pass"),
        ("two", "notchecked"),
        ("three", "fail"),
    ]
    assert made.results[0].stig_ids == ("RHEL-09-1",)
    assert sum(made.counts().values()) == 3


def test_ccis_and_groups_are_joined_by_the_id_of_the_requirement() -> None:
    rules = (replace(RULES[0], sv_ids=("SV-257779r958390_rule",)), RULES[1])
    content = prepared(rules, ("one", "two"))
    bench = replace(content.benchmark, benchmark_id="x_benchmark_RHEL-9")

    made = judge(replace(content, benchmark=bench), arf(one="pass", two="pass"))

    assert made.results[0].group_ids == ("V-257779",)
    assert "CCI-001384" in made.results[0].ccis
    assert (made.results[1].group_ids, made.results[1].ccis) == ((), ())
    unknown = judge(content, arf(one="pass", two="pass"))
    assert [(r.group_ids, r.ccis) for r in unknown.results] == [((), ()), ((), ())]


def test_a_rule_without_a_result_is_an_error_never_a_pass() -> None:
    made = judge(prepared(RULES, ("one", "two", "three")), arf(one="pass", three="pass"))

    lost = made.results[1]
    assert (lost.rule_id, lost.verdict) == ("two", Verdict.ERROR)
    assert lost.found == ("oscap gave no result for this rule",)


def test_a_rule_that_a_conflict_took_out_is_left_out() -> None:
    rules = (rule("one", "a"), rule("two", "a", conditional=True))

    made = judge(prepared(rules, ("one", "two")), arf(one="pass"))

    assert [r.rule_id for r in made.results] == ["one"]


def test_a_pass_on_incomplete_evidence_is_not_believed() -> None:
    made = judge(prepared(RULES[:1], ("one",)), arf(one="pass", incomplete=True))

    assert made.results[0].verdict is Verdict.UNKNOWN
    assert "memory limit" in made.results[0].found[0]


def test_content_that_does_not_apply_is_an_error_not_a_green_scan() -> None:
    content = prepared(RULES, ("one", "two", "three"))

    with pytest.raises(InputError) as caught:
        judge(content, arf(one="notapplicable", two="notapplicable", three="notchecked"))

    assert "does not apply to the target: not one of 3 rules was judged" in str(caught.value)
    assert "it is for cpe:/o:rocky:rocky:9; the target is Rocky 9 (cpe:/o:x)" in str(caught.value)


@pytest.mark.parametrize(
    ("arfs", "problem"),
    [
        ((), "left 0 results for 1 parts"),
        ((arf(four="pass"),), "judged rules that it was not given: four"),
    ],
)
def test_results_that_do_not_fit_are_refused(arfs: tuple[Arf, ...], problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        judge(prepared(RULES, ("one", "two", "three")), *arfs)


def test_the_score_is_the_mean_of_the_groups_not_of_the_rules() -> None:
    found = {"one": Verdict.PASS, "two": Verdict.FAIL, "three": Verdict.PASS}

    assert score(RULES, found) == 75.0


def test_what_was_not_judged_does_not_count() -> None:
    found = {"one": Verdict.PASS, "two": Verdict.NOT_CHECKED, "three": Verdict.NOT_APPLICABLE}

    assert score(RULES, found) == 100.0
    assert score(RULES, {}) == 0.0


def test_an_error_counts_as_a_fail() -> None:
    assert score(RULES, {"one": Verdict.ERROR, "two": Verdict.FIXED}) == 50.0
