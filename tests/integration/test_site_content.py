"""Data streams of a site: each construct that once gave another verdict than oscap."""

from pathlib import Path

import pytest

from hardpan.scanners.content.prepare import PreparedContent
from tests.content_differential.compare import check_case, merge_parts, prepare_case
from tests.content_differential.strategy import PROFILE, Case
from tests.content_differential.stream import (
    FALSE_DEFINITIONS,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    TRUE_DEFINITIONS,
    benchmark,
    data_stream,
    definition_id,
    element,
    file_oval,
    item_id,
    variable_id,
)

pytestmark = pytest.mark.integration

A, B, C, D, E = (item_id("rule", n) for n in "abcde")
G, H, V, PARENT = (
    item_id("group", "g"),
    item_id("group", "h"),
    item_id("value", "v"),
    item_id("profile", "q"),
)
VALUE = (
    f'<Value id="{V}"><title>v</title><value>8</value><value selector="strong">15</value></Value>'
)


def _check(definition: str | None, href: str = "t-oval.xml", **attributes: str) -> str:
    name = None if definition is None else definition_id(definition)
    reference = element("check-content-ref", href=href, name=name)
    return element("check", reference, system=OVAL_SYSTEM, **attributes)


VALUE_CHECK = element(
    "check",
    element("check-export", export_name=variable_id("v"), value_id=V)
    + element("check-content-ref", href="t-oval.xml", name=definition_id("v")),
    system=OVAL_SYSTEM,
)


def _rule(rule_id: str, check: str, **attributes: str) -> str:
    attributes = {"selected": "false"} | attributes
    return element("Rule", f"<title>r</title>{check}", id=rule_id, **attributes)


def _group(group_id: str, content: str, **attributes: str) -> str:
    return element("Group", f"<title>g</title>{content}", id=group_id, **attributes)


def _profile(content: str, profile_id: str = PROFILE, **attributes: str) -> str:
    return element("Profile", f"<title>p</title>{content}", id=profile_id, **attributes)


def _select(*idrefs: str, selected: str = "true") -> str:
    return "".join(element("select", idref=i, selected=selected) for i in idrefs)


def _stream(content: str, patches: tuple[str, ...] = TRUE_DEFINITIONS) -> bytes:
    ovals = {
        "t-oval.xml": file_oval(TRUE_DEFINITIONS + FALSE_DEFINITIONS, ("v",)),
        "p-oval.xml": file_oval(patches),
    }
    return data_stream(benchmark(content), ovals, {})


TRUE, FALSE = _check("root"), _check("absent")
STRONG = element("refine-value", idref=V, selector="strong")
BASE = _profile(_select(A, B) + STRONG, PARENT)
TWO_RULES = VALUE + _rule(A, VALUE_CHECK) + _rule(B, FALSE)
MIXED = ("root", "absent", "missing")

STREAMS = {
    "values of the parent profile": (
        _stream(_profile(_select(A), extends=PARENT) + BASE + TWO_RULES),
        {A: ["fail"], B: ["fail"]},
    ),
    "no setting of its own": (
        _stream(_profile("", extends=PARENT) + BASE + TWO_RULES),
        {A: ["fail"], B: ["fail"]},
    ),
    "selection changed in the child": (
        _stream(
            _profile(_select(B, selected="false") + _select(C), extends=PARENT)
            + BASE
            + TWO_RULES
            + _rule(C, TRUE)
        ),
        {A: ["fail"], C: ["pass"]},
    ),
    "nameless reference": (
        _stream(
            _profile(_select(A, B))
            + _rule(A, _check("root", "p-oval.xml"))
            + _rule(B, _check(None, "p-oval.xml")),
            MIXED,
        ),
        {A: ["pass"], B: ["fail"]},
    ),
    "nameless reference with multi-check": (
        _stream(
            _profile(_select(A, B))
            + _rule(A, _check("root", "p-oval.xml"))
            + _rule(B, _check(None, "p-oval.xml", multi_check="true")),
            MIXED,
        ),
        {A: ["pass"], B: ["fail", "fail", "pass"]},
    ),
    "nameless reference to a component of its own": (
        _stream(
            _profile(_select(A, B)) + _rule(A, TRUE) + _rule(B, _check(None, "p-oval.xml")), MIXED
        ),
        {A: ["pass"], B: ["fail"]},
    ),
    "deselected groups": (
        _stream(
            _profile(_select(A, B, C) + _select(G, selected="0"))
            + _group(G, _rule(A, FALSE) + _group(H, _rule(B, FALSE)))
            + _rule(C, TRUE)
        ),
        {C: ["pass"]},
    ),
    "group that is not selected": (
        _stream(
            _profile(_select(A, B)) + _group(G, _rule(A, TRUE), selected="0") + _rule(B, FALSE)
        ),
        {B: ["fail"]},
    ),
    "booleans as digits": (
        _stream(
            _profile(_select(A, selected="1") + _select(B, selected="0"))
            + _rule(A, TRUE)
            + _rule(B, FALSE, selected="1")
        ),
        {A: ["pass"]},
    ),
    "variable that another rule exports": (
        _stream(
            _profile(_select(A, B, C))
            + VALUE
            + _rule(A, VALUE_CHECK)
            + _rule(B, _check("v"))
            + _rule(C, _check(None))
        ),
        {A: ["pass"], B: ["pass"], C: ["fail"]},
    ),
    "variable that a later rule exports": (
        _stream(
            _profile(_select(A, B, C, D, E))
            + VALUE
            + _rule(A, _check("v"))
            + _rule(B, VALUE_CHECK)
            + _rule(C, TRUE)
            + _rule(D, TRUE)
            + _rule(E, FALSE)
        ),
        {A: ["unknown"], B: ["unknown"], C: ["pass"], D: ["pass"], E: ["fail"]},
    ),
    "group with a requirement and a value": (
        _stream(
            _profile(_select(B, C))
            + _group(G, element("requires", idref=A) + VALUE + _rule(D, TRUE))
            + _rule(A, TRUE)
            + _rule(B, VALUE_CHECK)
            + _rule(C, FALSE)
        ),
        {B: ["pass"], C: ["fail"]},
    ),
    "cluster": (
        _stream(
            _profile(_select("cluster"))
            + _rule(A, TRUE, cluster_id="cluster")
            + _rule(B, FALSE, cluster_id="cluster")
            + _rule(C, TRUE)
        ),
        {A: ["pass"], B: ["fail"]},
    ),
}


LOADING_SCRIPT = """#!/bin/sh
name=common
. "$(dirname "$0")/$name.inc"
"""


def test_script_loads_another_by_a_computed_name(tmp_path: Path) -> None:
    reference = element("check-content-ref", href="check.sh")
    script_check = element("check", reference, system=SCE_SYSTEM)
    content = _profile(_select(A, B)) + _rule(A, script_check) + _rule(B, FALSE)
    ovals = {"t-oval.xml": file_oval(FALSE_DEFINITIONS)}
    scripts = {"check.sh": LOADING_SCRIPT, "common.inc": "exit 101\n"}
    case = Case(data=data_stream(benchmark(content), ovals, scripts))

    assert check_case(case, tmp_path) == "reduced"
    prepared = prepare_case(case)
    assert isinstance(prepared, PreparedContent)
    assert merge_parts(prepared.parts, PROFILE, tmp_path)[A][0][0] == "pass"


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_results_of_a_site_stream(name: str, tmp_path: Path) -> None:
    data, expected = STREAMS[name]
    case = Case(data=data)

    assert check_case(case, tmp_path) == "reduced"
    prepared = prepare_case(case)
    assert isinstance(prepared, PreparedContent)
    merged = merge_parts(prepared.parts, PROFILE, tmp_path)
    assert {i: sorted(o[0] for o in outcomes) for i, outcomes in merged.items()} == expected


def test_refined_rules_have_the_settings_of_the_profile(tmp_path: Path) -> None:
    refinements = (
        element("refine-rule", idref=A, severity="high", weight="3")
        + element("refine-rule", idref=B, role="unscored")
        + element("refine-rule", idref=C, role="unchecked")
    )
    anchors = [item_id("rule", f"anchor{n}") for n in range(4)]
    content = _profile(_select(A, B, C, *anchors) + refinements)
    content += "".join(_rule(r, TRUE, severity="low") for r in (A, B, C, *anchors))
    case = Case(data=_stream(content))

    assert check_case(case, tmp_path) == "reduced"
    prepared = prepare_case(case)
    assert isinstance(prepared, PreparedContent)
    rules = {r.rule_id: (r.severity, r.role, r.weight) for r in prepared.benchmark.rules}
    assert rules[A] == ("high", "full", 3.0)
    assert rules[B] == ("low", "unscored", 1.0)
    assert rules[C] == ("low", "unchecked", 1.0)
