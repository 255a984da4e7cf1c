"""Content that is not upstream's: the same evaluation as plain oscap, or a refusal by both."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from hardpan.core.errors import InputError
from hardpan.scanners.content.prepare import PreparedContent
from tests.content_differential import disa
from tests.content_differential.compare import check_case, merge_parts, prepare_case
from tests.content_differential.oscap_run import EVALUATED, evaluate
from tests.content_differential.strategy import PROFILE, Case, cases
from tests.content_differential.stream import (
    OVAL_SYSTEM,
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

EXAMPLES = 50
RULE, OTHER, GROUP = item_id("rule", "a"), item_id("rule", "b"), item_id("group", "g")
VALUE, PARENT = item_id("value", "v"), item_id("profile", "parent")
REFERENCE = element("check-content-ref", href="t-oval.xml", name=definition_id("root"))
CHECK = element("check", REFERENCE, system=OVAL_SYSTEM)
EXPORT = element("check-export", export_name=variable_id("v"), value_id=VALUE)


def _stream(
    *,
    rule: str = "",
    content: str = "",
    check: str = CHECK,
    profile: str = "",
    settings_text: str = "",
    parent: str = "",
    value: str = "",
    value_content: str = "<value>8</value>",
    more: str = "",
    other: str = "",
) -> bytes:
    """Return a data stream of two rules, a value and a profile with these parts added."""
    select = element("select", idref=RULE, selected="true")
    other_reference = element("check-content-ref", href="t-oval.xml", name=definition_id("usr"))
    other_check = element("check", other_reference, system=OVAL_SYSTEM)
    text = (
        f'<Profile id="{PROFILE}" {profile}><title>p</title>{select}{settings_text}</Profile>'
        f'{parent}<Value id="{VALUE}" {value}><title>v</title>{value_content}</Value>'
        f'<Group id="{GROUP}"><title>g</title>'
        f'<Rule id="{RULE}" {rule}><title>a</title>{content}{check}</Rule></Group>'
        f'<Rule id="{OTHER}" {other}><title>b</title>{other_check}</Rule>{more}'
    )
    return data_stream(benchmark(text), {"t-oval.xml": file_oval(TRUE_DEFINITIONS, ("v",))}, {})


def _profile(attributes: str, content: str = "") -> str:
    return f'<Profile id="{PARENT}" {attributes}><title>q</title>{content}</Profile>'


REFUSED = {
    "weight with a comma": (_stream(rule='weight="1,5"'), f"Rule {RULE}: weight: expected a num"),
    "negative weight": (_stream(rule='weight="-1"'), "weight: expected a number from 0"),
    "weight with four digits": (_stream(other='weight="1.234"'), "weight: expected a number"),
    "refined weight": (
        _stream(settings_text=element("refine-rule", idref=RULE, weight="1,5")),
        f"refine-rule of Profile {PROFILE}: weight: expected a number",
    ),
    "bound": (
        _stream(
            value='type="number"', value_content="<value>8</value><lower-bound>x</lower-bound>"
        ),
        "lower-bound of Value .*: expected a number, got 'x'",
    ),
    "severity": (_stream(rule='severity="critical"'), "severity: expected one of unknown, info"),
    "role": (_stream(rule='role="ignored"'), "role: expected one of full, unscored, unchecked"),
    "boolean": (_stream(rule='selected="maybe"'), "selected: expected true, false, 1 or 0"),
    "repeated select": (
        _stream(settings_text=element("select", idref=RULE, selected="false")),
        "expected one select idref",
    ),
    "repeated set-value": (
        _stream(settings_text=2 * element("set-value", "1", idref=VALUE)),
        "expected one set-value idref",
    ),
    "repeated rule": (_stream(more=f'<Rule id="{RULE}"><title>r</title></Rule>'), "exists twice"),
    "repeated profile": (
        _stream(parent=f'<Profile id="{PROFILE}"><title>q</title></Profile>'),
        "expected one Profile id",
    ),
    "repeated check": (_stream(check=2 * CHECK), "expected one check selector"),
    "check without system": (_stream(check=f"<check>{REFERENCE}</check>"), "attribute system"),
    "complex check without operator": (
        _stream(check=f"<complex-check>{CHECK}</complex-check>"),
        "attribute operator",
    ),
    "platform without idref": (_stream(content="<platform/>"), "attribute idref"),
    "unknown element": (_stream(content="<severity/>"), "did not expect severity here"),
    "value without value": (_stream(value_content=""), "expected value or complex-value"),
    "export of nothing": (
        _stream(
            check=element(
                "check",
                element("check-export", export_name="x", value_id=item_id("value", "absent"))
                + REFERENCE,
                system=OVAL_SYSTEM,
            )
        ),
        "expected the id of a Value",
    ),
    "absent parent profile": (
        _stream(profile=f'extends="{PARENT}"'),
        "expected the id of a profile",
    ),
    "absent parent rule": (
        _stream(rule=f'extends="{item_id("rule", "absent")}"'),
        "expected the id of a Rule",
    ),
    "profile that extends itself": (_stream(profile=f'extends="{PROFILE}"'), "itself in a loop"),
    "profiles that extend each other": (
        _stream(profile=f'extends="{PARENT}"', parent=_profile(f'extends="{PROFILE}"')),
        "itself in a loop",
    ),
    "value without the default that it inherits": (
        _stream(
            value_content='<value selector="x">8</value>',
            value=f'extends="{item_id("value", "w")}"',
            parent=f'<Value id="{item_id("value", "w")}"><title>w</title><value>1</value></Value>',
        ),
        "expected a value without selector",
    ),
    "abstract profile": (_stream(profile='abstract="true"'), "is abstract"),
    "requirement of nothing": (
        _stream(content=element("requires", idref=item_id("rule", "absent"))),
        "expected the id of a Rule or Group",
    ),
    "requirement of a value": (
        _stream(content=element("requires", idref=VALUE)),
        "expected the id of a Rule or Group",
    ),
    "conflict with an abstract rule": (
        _stream(content=element("conflicts", idref=OTHER), other='abstract="true"'),
        "expected the id of a Rule or Group",
    ),
}
"""Content that oscap refuses or crashes on, and the start of hardpan's message."""


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_content_that_oscap_refuses_is_refused(name: str, tmp_path: Path) -> None:
    data, message = REFUSED[name]

    plain = evaluate(data, PROFILE, tmp_path, validates=True)
    error = prepare_case(Case(data=data))

    assert plain.exit_status not in EVALUATED
    assert isinstance(error, InputError)
    assert re.search(message, str(error))


def test_unchanged_stream_is_evaluated(tmp_path: Path) -> None:
    assert check_case(Case(data=_stream()), tmp_path) == "reduced"


LOOPS = {
    "unrelated profile": _stream(parent=_profile(f'extends="{PARENT}"')),
    "rule": _stream(rule=f'extends="{RULE}"'),
    "value": _stream(value=f'extends="{VALUE}"'),
}


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_loop_is_refused_although_oscap_ignores_it(name: str) -> None:
    """With a loop anywhere oscap resolves nothing that is inherited, and does not say so."""
    error = prepare_case(Case(data=LOOPS[name]))

    assert isinstance(error, InputError)
    assert "extends itself in a loop" in str(error)


SAME_RESULT = {
    "elements of a profile without white space": (
        _stream(settings_text=element("select", idref=OTHER, selected="false")).replace(
            b"/>\n<select", b"/><select"
        ),
        "untouched",
    ),
    "empty pair of tags": (
        _stream(settings_text=element("set-value", "@", idref=VALUE)).replace(b"@", b""),
        "reduced",
    ),
    "results in the benchmark": (
        _stream(
            more='<TestResult id="xccdf_x_testresult_y" end-time="2026-01-01T00:00:00" version="1">'
            f'<target>t</target><rule-result idref="{RULE}"><result>fail</result></rule-result>'
            "<score>0</score></TestResult>"
        ),
        "untouched",
    ),
    "abstract group": (
        _stream(
            more=f'<Group id="{item_id("group", "h")}" abstract="1"><title>h</title>'
            f'<Rule id="{item_id("rule", "c")}"><title>c</title></Rule></Group>'
        ),
        "reduced",
    ),
}


@pytest.mark.parametrize("name", sorted(SAME_RESULT))
def test_special_content_has_the_results_of_oscap(name: str, tmp_path: Path) -> None:
    data, outcome = SAME_RESULT[name]

    assert check_case(Case(data=data), tmp_path) == outcome


SIGNATURE = (
    b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>'
    b'<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
    b'<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
    b'<Reference URI=""><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    b"<DigestValue>AAAA</DigestValue></Reference></SignedInfo><SignatureValue>AAAA"
    b"</SignatureValue></Signature>\n"
)


def test_reduced_content_has_no_signature_that_oscap_would_refuse(tmp_path: Path) -> None:
    end = b"</ds:data-stream-collection>"
    signed = _stream().replace(end, SIGNATURE + end)
    unsigned = evaluate(_stream(), PROFILE, tmp_path)

    prepared = prepare_case(Case(data=signed))

    assert isinstance(prepared, PreparedContent)
    assert "Invalid signature" in evaluate(signed, PROFILE, tmp_path).message
    assert merge_parts(prepared.parts, PROFILE, tmp_path) == unsigned.rules
    assert prepared.untouched.data == signed
    assert "removed the XML signature" in prepared.content.derivation


def test_disa_benchmark_has_the_results_of_oscap(tmp_path: Path) -> None:
    case = Case(data=disa.disa_stream(), profile_id=disa.PROFILE)

    assert check_case(case, tmp_path) == "reduced"
    prepared = prepare_case(case)
    assert isinstance(prepared, PreparedContent)
    assert [r.rule_id for r in prepared.benchmark.rules] == list(disa.RULES)


def test_generated_benchmarks_have_the_results_of_oscap(tmp_path: Path) -> None:
    """Thousands are compared by ``make fuzz-content``."""
    generated: list[Case] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def collect(case: Case) -> None:
        generated.append(case)

    collect()

    def check(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        return check_case(generated[number], folder)

    with ThreadPoolExecutor(max_workers=4) as threads:
        outcomes = Counter(threads.map(check, range(len(generated))))

    assert outcomes.total() == EXAMPLES
    assert outcomes["reduced"] > EXAMPLES // 2
