"""Fixes of the content: their attributes, and their values in a shell script."""

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.content.fixes import (
    ContentFix,
    FixKind,
    FixValue,
    read_rule_fixes,
    render_bash_fix,
)
from hardpan.scanners.content.scap_xml import find_benchmark, parse_data_stream
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE

_ANSIBLE = """<x:fix system="urn:xccdf:fix:script:ansible" id="a" complexity="low"
 disruption="high" reboot="true" strategy="restrict">- name: <x:sub idref="v_limit"/>
</x:fix><x:fix system="urn:xccdf:fix:script:ansible" id="second">no</x:fix>"""


def _fix(*parts: str | FixValue) -> ContentFix:
    return ContentFix(
        fix_id="f",
        parts=parts,
        complexity="low",
        disruption="low",
        strategy="x",
        needs_reboot=False,
    )


def _value(text: str | None, *, is_declared: bool = False) -> FixValue:
    return FixValue(value_id="v", text=text, is_declared=is_declared)


def test_first_fix_of_each_kind_is_read_with_its_attributes() -> None:
    data = MINIMAL_DATASTREAM.replace(b"<x:fix ", _ANSIBLE.encode() + b"<x:fix ", 1)
    bench = find_benchmark(parse_data_stream(data, "tiny"), "tiny")

    rules = read_rule_fixes(bench, PROFILE + "stig", "tiny")

    assert [r.rule_id.removeprefix(RULE) for r in rules] == ["one", "two", "three", "four"]
    assert (rules[0].group, rules[3].group) == ("A", "B")
    assert rules[1].requires == ((RULE + "one",),)
    ansible, bash = (rules[0].fixes[k] for k in (FixKind.ANSIBLE, FixKind.BASH))
    value = FixValue(value_id="v_limit", text="3", is_declared=True)
    assert ansible.parts == ("- name: ", value, "\n")
    assert (ansible.fix_id, ansible.complexity, ansible.disruption) == ("a", "low", "high")
    assert (ansible.strategy, ansible.needs_reboot) == ("restrict", True)
    assert (bash.complexity, bash.disruption, bash.needs_reboot) == ("unknown", "unknown", False)
    assert FixKind.ANSIBLE not in rules[1].fixes


@pytest.mark.parametrize("assignment", ["v='", "  export v='", "true\nlocal v='"])
def test_value_in_single_quotes_cannot_end_them(assignment: str) -> None:
    script = render_bash_fix(_fix(assignment, _value("it's; $(id)\n'x"), "'\n"))

    assert script == f"{assignment}it'\\''s; $(id)\n'\\''x'\n"


@pytest.mark.parametrize(
    ("before", "after"), [('"a" \'"', '"\n'), ("echo ", "\n"), ("\"'", "'\"\n"), ("v='", "\n")]
)
def test_value_elsewhere_is_plain_or_declared_by_the_content(before: str, after: str) -> None:
    assert render_bash_fix(_fix(before, _value("a/b-1,2"), after)) == f"{before}a/b-1,2{after}"
    declared = _value("a b $(x)", is_declared=True)
    assert render_bash_fix(_fix(before, declared, after)) == f"{before}a b $(x){after}"

    with pytest.raises(InputError, match="the fix f has the value v where a shell would"):
        render_bash_fix(_fix(before, _value("$(reboot)"), after))


@pytest.mark.parametrize("before", ['v=$(echo "', '  x "'])
def test_value_in_double_quotes_is_text(before: str) -> None:
    script = render_bash_fix(_fix(before, _value('No "$(id)" `x` \\n'), '" | sed\n'))

    assert script == before + 'No \\"\\$(id)\\" \\`x\\` \\\\n" | sed\n'
    declared = _value('a "$(x)"', is_declared=True)
    assert render_bash_fix(_fix(before, declared, '"\n')) == before + 'a "$(x)""\n'


def test_missing_value_is_refused() -> None:
    with pytest.raises(InputError, match="refers to the value v, which has no value"):
        render_bash_fix(_fix("v='", _value(None), "'\n"))
