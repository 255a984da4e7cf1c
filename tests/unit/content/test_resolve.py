"""A profile is resolved as OpenSCAP does it; the integration tests compare with oscap itself."""

import pytest
from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.dependencies import connect_items
from hardpan.scanners.content.resolve import ResolvedProfile, resolve
from hardpan.scanners.content.resolve_items import is_weight
from hardpan.scanners.content.xccdf_schema import check_schema
from hardpan.scanners.content.xccdf_tailoring import embed_tailoring

XCCDF = 'xmlns="http://checklists.nist.gov/xccdf/1.2"'


def profile(content: str, attributes: str = "", profile_id: str = "p") -> str:
    return f'<Profile id="{profile_id}" {attributes}>{content}</Profile>\n'


def rule(rule_id: str, content: str = "", attributes: str = "") -> str:
    return f'<Rule id="{rule_id}" {attributes}>{content}</Rule>\n'


def group(group_id: str, content: str, attributes: str = "") -> str:
    return f'<Group id="{group_id}" {attributes}>{content}</Group>\n'


def select(idref: str, selected: str = "true") -> str:
    return f'<select idref="{idref}" selected="{selected}"/>\n'


def parse(content: str) -> etree._Element:
    return etree.fromstring(f"<Benchmark {XCCDF}>{content}</Benchmark>")


def resolve_text(content: str) -> ResolvedProfile:
    return resolve(parse(content), "p", "content")


def rule_ids(content: str) -> str:
    return " ".join(r.item.item_id for r in resolve_text(content).rules)


ABC = rule("a") + rule("b") + rule("c")
OFF = 'selected="false"'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(profile("") + ABC, "a b c", id="default"),
        pytest.param(profile(select("b", "false")) + ABC, "a c", id="select"),
        pytest.param(
            profile(select("a", "0") + select("b", "1")) + rule("a") + rule("b", "", OFF),
            "b",
            id="digits",
        ),
        pytest.param(
            profile(select("a", " true ")) + rule("a", "", OFF) + rule("b"), "b", id="blanks"
        ),
        pytest.param(
            profile(select("c"), 'extends="q"')
            + profile(select("a") + select("b"), profile_id="q")
            + rule("a", "", OFF)
            + rule("b", "", OFF)
            + rule("c", "", OFF),
            "a b c",
            id="extends",
        ),
        pytest.param(
            profile(select("a", "false"), 'extends="q"')
            + profile(select("a") + select("b"), 'extends="r"', profile_id="q")
            + profile(select("c"), profile_id="r")
            + "".join(rule(r, "", OFF) for r in "abc"),
            "b c",
            id="extends twice",
        ),
        pytest.param(
            profile(select("g", "false"))
            + group("g", rule("a") + group("h", rule("b")))
            + rule("c"),
            "c",
            id="group",
        ),
        pytest.param(
            profile(select("a")) + group("g", rule("a"), OFF) + rule("c"), "c", id="group attribute"
        ),
        pytest.param(
            profile(select("k"))
            + rule("a", "", f'cluster-id="k" {OFF}')
            + rule("b", "", OFF)
            + group("g", rule("c"), f'cluster-id="k" {OFF}'),
            "a c",
            id="cluster",
        ),
        pytest.param(
            profile(select("k", "false") + select("a"))
            + rule("a", "", 'cluster-id="k"')
            + rule("b"),
            "a b",
            id="last select wins",
        ),
        pytest.param(
            profile("") + rule("a", '<requires idref="b c"/>') + rule("b", "", OFF) + rule("c"),
            "a c",
            id="one of the requirements",
        ),
        pytest.param(
            profile("") + rule("a", '<requires idref="b"/>') + rule("b", "", OFF) + rule("c"),
            "c",
            id="requirement is not selected",
        ),
        pytest.param(
            profile("") + rule("a", '<conflicts idref="b"/>') + rule("b", '<requires idref="a"/>'),
            "",
            id="in document order",
        ),
        pytest.param(
            profile("")
            + group("g", rule("a") + rule("b"), "").replace(
                "<Rule", '<conflicts idref="c"/><Rule', 1
            )
            + rule("c"),
            "c",
            id="conflict of a group",
        ),
        pytest.param(
            profile("") + group("g", rule("b"), OFF) + rule("a", '<requires idref="b"/>'),
            "a",
            id="requirement below a deselected group",
        ),
        pytest.param(
            profile(select("a")) + rule("a", "", 'abstract="true"') + rule("b"), "b", id="abstract"
        ),
        pytest.param(
            profile("") + rule("a", "", OFF) + rule("b", "", 'extends="a"'), "", id="inherited"
        ),
    ],
)
def test_evaluated_rules(content: str, expected: str) -> None:
    assert rule_ids(content) == expected


def test_setting_directly_after_another_is_skipped_as_by_oscap() -> None:
    settings = "".join(select(r, "false").strip() for r in "abc")

    assert rule_ids(profile(settings) + ABC) == "b"


def refine(idref: str, attributes: str) -> str:
    return f'<refine-rule idref="{idref}" {attributes}/>\n'


@pytest.mark.parametrize(
    ("settings", "parent_settings", "expected"),
    [
        ("", "", ("low", "unscored", 2.0)),
        (
            refine("a", 'severity="high" role="unchecked" weight="5"'),
            "",
            ("high", "unchecked", 5.0),
        ),
        (refine("k", 'severity="high"'), "", ("high", "full", 2.0)),
        (refine("g", 'severity="high"'), "", ("low", "unscored", 2.0)),
        (refine("k", 'weight="3"') + refine("a", 'severity="info"'), "", ("info", "full", 3.0)),
        ("", refine("a", 'severity="high"'), ("high", "full", 2.0)),
        (refine("a", 'weight="3"'), refine("a", 'severity="high"'), ("low", "full", 3.0)),
        (refine("k", 'weight="3"'), refine("a", 'severity="high"'), ("high", "full", 3.0)),
    ],
)
def test_refined_rule(
    settings: str, parent_settings: str, expected: tuple[str, str, float]
) -> None:
    declared = 'severity="low" role="unscored" weight="2" cluster-id="k"'
    content = profile(settings, 'extends="q"') + profile(parent_settings, profile_id="q")

    (refined,) = resolve_text(content + group("g", rule("a", "", declared))).rules

    assert (refined.severity, refined.role, refined.weight) == expected
    assert refined.declared_weight == 2.0


def test_weight_has_the_precision_of_oscap() -> None:
    (weighted,) = resolve_text(profile("") + rule("a", "", 'weight="99.9"')).rules

    assert weighted.weight == 99.900002


def test_rule_inherits_missing_settings() -> None:
    parent = rule(
        "a",
        '<requires idref="c"/><conflicts idref="d"/><check system="x"/>',
        'severity="high" role="unchecked" weight="3" abstract="1"',
    )
    content = profile("") + parent + rule("b", "", 'extends="a"') + rule("c", "", OFF)

    (inherited,) = resolve_text(content + rule("d", "", OFF)).rules

    assert (inherited.severity, inherited.role, inherited.weight) == ("high", "unchecked", 3.0)
    assert [c.get("system") for c in inherited.item.checks()] == ["x"]


VALUE = """<Value id="v" type="number"><value selector="b">1</value><value>2</value>
<value selector="c">3</value></Value>"""


@pytest.mark.parametrize(
    ("settings", "value", "expected"),
    [
        ("", VALUE, "2"),
        ('<refine-value idref="v" selector="c"/>', VALUE, "3"),
        ('<refine-value idref="v" selector="absent"/>', VALUE, None),
        ('<refine-value idref="v" selector="c"/>\n<set-value idref="v">9</set-value>', VALUE, "9"),
        ('<set-value idref="v">8<!-- note -->9</set-value>', VALUE, "8"),
        ('<set-value idref="v"/>\n', VALUE, "\n"),
        ('<set-complex-value idref="v"><item>9</item></set-complex-value>', VALUE, "2"),
        ("", '<Value id="v"><value selector="b">1</value></Value>', "1"),
        ("", '<Value id="v"><value selector="b">1</value><match>x</match></Value>', None),
        (
            "",
            '<Value id="v" type="number"><value selector="b">1</value><match>x</match></Value>',
            "1",
        ),
        ("", '<Value id="v"><complex-value><item>1</item></complex-value></Value>', None),
        ("", '<Value id="w"><value>7</value></Value><Value id="v" extends="w"/>', "7"),
        (
            '<refine-value idref="v" selector="b"/>',
            VALUE.replace('"v"', '"w"') + '<Value id="v" type="number" extends="w"/>',
            "1",
        ),
    ],
)
def test_value(settings: str, value: str, expected: str | None) -> None:
    assert resolve_text(profile(settings) + value + rule("a")).values["v"] == expected


def test_values_that_only_the_parent_sets_are_inherited() -> None:
    parent = profile('<refine-value idref="v" selector="c"/>', profile_id="q")

    assert resolve_text(profile("", 'extends="q"') + parent + VALUE + rule("a")).values == {
        "v": "3"
    }


@pytest.mark.parametrize(
    "content",
    [
        profile("", 'extends="p"'),
        profile("", 'extends="q"') + profile("", 'extends="p"', profile_id="q"),
        profile("") + profile("", 'extends="q"', profile_id="q"),
        profile("") + rule("b", "", 'extends="b"'),
        profile("") + '<Value id="v" extends="v"><value>1</value></Value>',
    ],
)
def test_loop_is_refused(content: str) -> None:
    with pytest.raises(InputError, match="extends itself in a loop"):
        resolve_text(content + rule("a"))


def test_conflict_with_nothing_changes_nothing() -> None:
    assert rule_ids(profile("") + rule("a", '<conflicts idref="absent"/>')) == "a"


def test_requirement_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="Rule a refers to 'absent': expected the id of a Rule"):
        resolve_text(profile("") + rule("a", '<requires idref="absent"/>'))


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        *((t, True) for t in ("0", "1", "1.0", "0.5", ".5", "1.", "100", " 1 ", "1.000", "001")),
        *((t, False) for t in ("1,5", "-1", "1000", "1.234", "", ".", "1e2", "NaN", "heavy")),
    ],
)
def test_weight_form(text: str, *, is_valid: bool) -> None:
    assert is_weight(text) is is_valid


def test_malformed_weight_error_names_rule_and_form() -> None:
    bench = etree.fromstring(
        f'<Benchmark {XCCDF} id="b"><status>draft</status><version>1</version>'
        f"{rule('a', '', 'weight=' + repr('1,5'))}</Benchmark>"
    )

    with pytest.raises(InputError, match=r"Rule a: weight: expected a number from 0 .*'1,5'"):
        check_schema(bench, "content")


TAILORING = f"""<Tailoring {XCCDF}><version time="2026-01-01T00:00:00">1</version>
<Profile id="%s" extends="%s"><title>t</title>
<select idref="b" selected="true"/>
</Profile></Tailoring>"""


@pytest.mark.parametrize(
    ("names", "expected"), [(("p", "p"), "a b"), (("p", "q"), "b c"), (("t", "p"), "a")]
)
def test_tailoring_profile_comes_first(names: tuple[str, str], expected: str) -> None:
    content = profile(select("a")) + profile(select("c"), profile_id="q")
    bench = parse(content + "".join(rule(r, "", OFF) for r in "abc"))

    embed_tailoring(bench, etree.fromstring(TAILORING % names), "content")

    assert [r.item.item_id for r in resolve(bench, "p", "content").rules] == expected.split()


def test_tailoring_profile_with_another_id_extends_the_benchmark() -> None:
    bench = parse(profile(select("a")) + "".join(rule(r, "", OFF) for r in "abc"))

    embed_tailoring(bench, etree.fromstring(TAILORING % ("t", "p")), "content")

    assert [r.item.item_id for r in resolve(bench, "t", "content").rules] == ["a", "b"]


def test_dependent_items_are_connected() -> None:
    content = (
        profile("")
        + group("g", '<requires idref="d"/>' + rule("a") + group("h", rule("b")))
        + rule("c", '<conflicts idref="e"/>')
        + rule("d")
        + rule("e")
        + rule("f", "", 'extends="c"')
        + rule("i")
    )

    groups = connect_items(resolve_text(content).items)

    assert {frozenset(g) for g in groups} == {
        frozenset("gahbd"),
        frozenset("cef"),
        frozenset("i"),
    }
