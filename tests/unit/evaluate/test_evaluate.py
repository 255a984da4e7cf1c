from dataclasses import replace

import pytest

from hardpan.errors import InputError, ToolError
from hardpan.scanners.arf import Arf, UnreadableArf
from hardpan.scanners.content.prepare import Prepared
from hardpan.scanners.evaluate import evaluation, score
from hardpan.scanners.model import Evaluation, Verdict
from tests.unit.evaluate.arfs import arf, prepared, rule

RULES = (rule("one", "a"), rule("two", "a"), rule("three", "b"))


def judge(content: Prepared, *arfs: Arf | UnreadableArf) -> Evaluation:
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


def test_a_result_for_each_part_is_needed() -> None:
    with pytest.raises(ToolError, match="left 0 results for 1 parts"):
        judge(prepared(RULES, ("one", "two", "three")))


OTHERS: dict[str, tuple[Arf | UnreadableArf, str]] = {
    "unreadable": (UnreadableArf(reason="it is cut short"), "it is cut short"),
    "a rule of another part": (
        arf(four="pass"),
        "oscap judged rules that it was not given: 'four'",
    ),
    "another profile": (
        replace(arf(one="pass", two="pass"), profile_id="x\x1b"),
        "oscap evaluated the profile 'x\\x1b'",
    ),
    "another version": (
        replace(arf(one="pass", two="pass"), benchmark_version="2"),
        "oscap evaluated version '2'",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_rules_of_a_part_without_usable_results_are_errors(name: str) -> None:
    odd, reason = OTHERS[name]
    rules = (*RULES[:1], rule("two", "a", conditional=True), RULES[2])

    made = judge(prepared(rules, ("one", "two"), ("three",)), odd, arf(three="pass"))

    assert {r.rule_id: r.verdict.value for r in made.results} == {
        "one": "error",
        "two": "error",
        "three": "pass",
    }
    assert made.results[0].found == (reason,)
    assert made.started == "2026-11-21T05:00:00+00:00"


def test_without_any_usable_result_every_rule_is_an_error() -> None:
    content = prepared(RULES, ("one", "two", "three"))

    made = evaluation(
        content,
        [UnreadableArf(reason="no")],
        engine="",
        os_name="Rocky 9",
        os_cpe="",
        time="2026-11-21T06:00:00Z",
    )

    assert made.counts()["error"] == 3
    assert (made.started, made.finished) == ("2026-11-21T06:00:00Z", "2026-11-21T06:00:00Z")
    assert made.score == 0.0


def test_the_score_is_the_mean_of_the_groups_not_of_the_rules() -> None:
    found = {"one": Verdict.PASS, "two": Verdict.FAIL, "three": Verdict.PASS}

    assert score(RULES, found) == 75.0


def test_what_was_not_judged_does_not_count() -> None:
    found = {"one": Verdict.PASS, "two": Verdict.NOT_CHECKED, "three": Verdict.NOT_APPLICABLE}

    assert score(RULES, found) == 100.0
    assert score(RULES, {}) == 0.0


def test_an_error_counts_as_a_fail() -> None:
    assert score(RULES, {"one": Verdict.ERROR, "two": Verdict.FIXED}) == 50.0
