"""A reduced data stream retains everything that could change a verdict."""

import pytest

from hardpan.scanners.content.limitations import ADJACENT_ELEMENTS, find_limitations
from hardpan.scanners.content.scap_xml import (
    DS,
    OVAL,
    XCCDF,
    Element,
    find_benchmark,
    parse_data_stream,
)
from hardpan.scanners.content.tailor import tailor
from tests.content_differential.stream import (
    OCIL_SYSTEM,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    TRUE_DEFINITIONS,
    benchmark,
    data_stream,
    definition_id,
    element,
    file_oval,
    item_id,
)

A, B = item_id("rule", "a"), item_id("rule", "b")
PROFILE, BASE, OTHER = (item_id("profile", name) for name in ("p", "base", "other"))


def check(href: str, name: str | None = None, system: str = OVAL_SYSTEM, **more: str) -> str:
    reference = element("check-content-ref", href=href, name=name)
    return element("check", reference, system=system, **more)


OVAL_CHECK = check("t-oval.xml", definition_id("root"))
SCRIPT_CHECK = check("a.sh", system=SCE_SYSTEM)


def reduced(
    checks: str = OVAL_CHECK,
    *,
    settings: str = "",
    attributes: str = "",
    more: str = "",
    scripts: dict[str, str] | None = None,
) -> Element:
    content = (
        f'<Profile id="{BASE}"><title>b</title></Profile><Profile id="{OTHER}"><title>o</title>'
        f'</Profile><Profile id="{PROFILE}" {attributes}><title>p</title>{settings}</Profile>'
        f'<Rule id="{A}"><title>a</title>{checks}</Rule>{more}'
    )
    ovals = {"t-oval.xml": file_oval(TRUE_DEFINITIONS), "p-oval.xml": file_oval(TRUE_DEFINITIONS)}
    data = data_stream(benchmark(content), ovals, scripts or {"a.sh": "exit 0"})
    root = parse_data_stream(data, "content")
    tailor(root, PROFILE, "content", only=[A])
    return root


def component_names(root: Element) -> set[str]:
    components = root.iterchildren(DS + "component", DS + "extended-component")
    return {c.get("id", "").rpartition("comp_")[2] for c in components}


def definition_count(root: Element) -> int:
    return len(list(root.iter(OVAL + "definition")))


def test_named_reference_retains_its_definition() -> None:
    root = reduced()

    assert definition_count(root) == 1
    assert component_names(root) == {"x", "t-oval.xml"}


@pytest.mark.parametrize("attributes", [{}, {"multi_check": "true"}])
def test_nameless_reference_retains_all_definitions(attributes: dict[str, str]) -> None:
    root = reduced(check("p-oval.xml", **attributes))

    assert definition_count(root) == len(TRUE_DEFINITIONS)
    assert component_names(root) == {"x", "p-oval.xml"}


def systems(root: Element) -> list[str]:
    return [c.get("system", "").rpartition("/")[2] for c in root.iter(XCCDF + "check")]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (SCRIPT_CHECK + OVAL_CHECK, ["oval-definitions-5"]),
        (OVAL_CHECK + SCRIPT_CHECK, ["oval-definitions-5", "SCE"]),
        (SCRIPT_CHECK + check("remote-oval.xml"), ["SCE", "oval-definitions-5"]),
        (
            check("a.sh", system=SCE_SYSTEM, selector="s") + OVAL_CHECK,
            ["SCE", "oval-definitions-5"],
        ),
        (OVAL_CHECK + check("o.xml", system=OCIL_SYSTEM), ["oval-definitions-5"]),
    ],
)
def test_check_is_removed_if_oscap_never_uses_it(checks: str, expected: list[str]) -> None:
    assert systems(reduced(checks)) == expected


def test_scripts_that_a_script_may_load_are_retained() -> None:
    """It names one, and the others that are not a check's may have names that it computes."""
    scripts = {"a.sh": ". ./b.sh", "b.sh": "", "c.sh": "", "other.inc": ""}
    checks = check("b.sh", system=SCE_SYSTEM), check("c.sh", system=SCE_SYSTEM, selector="s")

    root = reduced(
        SCRIPT_CHECK,
        scripts=scripts,
        more=f'<Rule id="{B}"><title>b</title>{"".join(checks)}</Rule>',
    )

    assert component_names(root) == {"x", "a.sh", "b.sh", "other.inc"}


def test_scripts_are_removed_if_no_check_is_a_script() -> None:
    root = reduced(scripts={"a.sh": "", "other.inc": ""})

    assert component_names(root) == {"x", "t-oval.xml"}


def test_rules_that_are_not_selected_stay_without_checks() -> None:
    """oscap reports one if hardpan deselected it wrongly."""
    more = f'<Rule id="{B}" selected="0"><title>b</title><description/>{OVAL_CHECK}</Rule>'

    root = reduced(SCRIPT_CHECK, more=more)

    rules = {r.get("id"): [c.tag for c in r] for r in root.iter(XCCDF + "Rule")}
    assert rules == {A: [XCCDF + "title", XCCDF + "check"], B: [XCCDF + "title"]}
    assert component_names(root) == {"x", "a.sh"}


def test_profile_stays_with_its_parents() -> None:
    root = reduced(attributes=f'extends="{BASE}"')

    profiles = list(root.iter(XCCDF + "Profile"))
    assert [p.get("id") for p in profiles] == [BASE, PROFILE]
    assert profiles[1].get("extends") == BASE


def test_settings_of_removed_rules_are_removed() -> None:
    settings = "".join(element("select", idref=i, selected="true") for i in (A, B, "c", "absent"))

    root = reduced(settings=settings, more=f'<Rule id="{B}"><title>b</title></Rule>')

    assert [s.get("idref") for s in root.iter(XCCDF + "select")] == [A, "c", "absent"]
    assert [r.get("id") for r in root.iter(XCCDF + "Rule")] == [A]


def test_content_without_special_constructs_has_no_limitation() -> None:
    assert find_limitations(find_benchmark(reduced(), "content")) == ()


def test_elements_without_white_space_are_a_limitation() -> None:
    bench = find_benchmark(reduced(), "content")
    next(bench.iter(XCCDF + "title")).tail = None

    assert find_limitations(bench) == (ADJACENT_ELEMENTS,)
