"""A difference between what was expected and what OpenSCAP evaluated is never missed."""

from dataclasses import replace

import pytest

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult
from hardpan.scanners.openscap.comparison import MAX_DIFFERENCES, compare_result
from tests.unit.openscap.samples import make_arf, make_prepared, make_rule

RULES = (make_rule("one", "a"), make_rule("two", "a"), make_rule("three", "b"))
CONTENT = make_prepared(RULES, ("one", "two"), ("three",))
BENCHMARK = replace(CONTENT.benchmark, values={"mode": "0600", "banner": "x" * 10_000})
ARF = replace(
    make_arf(one="pass", two="fail"),
    values={"mode": "0600", "banner": "x" * 7200},
    not_selected=("three",),
)


def compare(arf: Arf) -> tuple[str, ...]:
    return compare_result(BENCHMARK, CONTENT.parts[0], arf)


def change_rule(**changes: object) -> Arf:
    rule: ArfRuleResult = replace(ARF.rules["two"], **changes)  # type: ignore[arg-type]
    return replace(ARF, rules=ARF.rules | {"two": rule})


def test_expected_result_has_no_difference() -> None:
    assert compare(ARF) == ()


def test_single_precision_of_weights_is_no_difference() -> None:
    rules = (replace(RULES[0], weight=3.3333333333), *RULES[1:])
    weighted = replace(ARF.rules["one"], weight=3.333333)

    arf = replace(ARF, rules=ARF.rules | {"one": weighted})
    assert compare_result(replace(BENCHMARK, rules=rules), CONTENT.parts[0], arf) == ()


@pytest.mark.parametrize(
    ("arf", "difference"),
    [
        (replace(ARF, profile_id="cis"), "profile: expected 'stig', got 'cis'"),
        (replace(ARF, benchmark_version="2"), "benchmark version: expected '1', got '2'"),
        (
            replace(ARF, rules=ARF.rules | make_arf(three="pass").rules),
            "rule 'three': expected 'not selected', got 'selected'",
        ),
        (
            replace(ARF, rules=make_arf(one="pass").rules, not_selected=("two",)),
            "rule 'two': expected 'selected', got 'not selected'",
        ),
        (
            replace(ARF, rules=make_arf(one="pass").rules),
            "rule 'two': expected 'selected', got 'no result'",
        ),
        (change_rule(severity="low"), "severity of rule 'two': expected 'medium', got 'low'"),
        (change_rule(role="unscored"), "role of rule 'two': expected 'full', got 'unscored'"),
        (change_rule(weight=2.0), "weight of rule 'two': expected '1', got '2'"),
        (
            replace(ARF, values={"mode": "0644"}),
            "value 'mode': expected '0600', got '0644'",
        ),
        (
            replace(ARF, values={"other": "1\x1b"}),
            "value 'other': expected 'no such value', got '1\\x1b'",
        ),
        (
            replace(change_rule(value_ids=("mode",)), values={}),
            "value 'mode': expected '0600', got 'no value'",
        ),
    ],
)
def test_difference_is_described(arf: Arf, difference: str) -> None:
    assert compare(arf) == (difference,)


def test_many_differences_are_counted() -> None:
    arf = replace(ARF, values={f"v{n}": "" for n in range(MAX_DIFFERENCES + 5)})

    differences = compare(arf)

    assert len(differences) == MAX_DIFFERENCES + 1
    assert differences[-1] == "and 5 more differences"


@pytest.mark.parametrize(
    ("engine", "verdict", "answer"),
    [
        ("SCE", Verdict.FAIL, ""),
        ("", Verdict.NOT_APPLICABLE, ""),
        ("OVAL", Verdict.FAIL, "OVAL, fail"),
        ("", Verdict.NOT_CHECKED, "no engine, notchecked"),
        ("SCE", Verdict.NOT_CHECKED, "SCE, notchecked"),
    ],
)
def test_rule_without_oval_check_needs_the_script_engine(
    engine: str, verdict: Verdict, answer: str
) -> None:
    part = replace(CONTENT.parts[0], script_rule_ids=frozenset({"two"}))
    arf = change_rule(engine=engine, verdict=verdict)

    expected = f"engine of rule 'two': expected 'SCE', got '{answer}'"
    assert compare_result(BENCHMARK, part, arf) == ((expected,) if answer else ())
    assert compare(arf) == ()
    unchecked = replace(
        BENCHMARK, rules=(RULES[0], replace(RULES[1], role="unchecked"), *RULES[2:])
    )
    arf = change_rule(engine=engine, verdict=verdict, role="unchecked")
    assert compare_result(unchecked, part, arf) == ()
