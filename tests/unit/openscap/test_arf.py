import re

import pytest

from hardpan.core.compression import compress
from hardpan.core.errors import ToolError
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap.arf import attachment, evidence, parser, results
from hardpan.scanners.openscap.arf.parser import MAX_EVIDENCE_LINES
from hardpan.scanners.openscap.arf.state import MAX_LINE
from tests.tools.hostile_arfs import KINDS, REPEATED, generate_hostile_arf
from tests.tools.step_counter import count_steps
from tests.unit.openscap.samples import ARF

COMPLETE_ARF = ARF.replace("\x85", " ")
SECOND_RESULT = '<TestResult xmlns="http://checklists.nist.gov/xccdf/1.2" version="1"/>'
REPORT_REQUEST = '<arf:report-request><x id="x"><result>no</result></x>'


def test_verdicts_and_evidence_are_parsed() -> None:
    result = results.parse_arf([COMPLETE_ARF.encode()])

    assert (result.profile_id, result.score, result.benchmark_version) == ("stig", 50.5, "0.1.82")
    assert set(result.rules) == {"one", "three"}
    assert result.rules["one"].verdict is Verdict.FAIL
    assert result.rules["one"].evidence_lines == (
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/x",
    )
    assert result.rules["three"].engine == "SCE"
    assert result.rules["three"].evidence_lines == ("odd words", "line 1", "line 2")


_VIOLATION_TEST = (
    '<test test_id="t1" result="false" check_existence="any_exist" check="all" state_operator="OR">'
    '<tested_item item_id="7" result="true"/><tested_item item_id="8" result="false"/></test>'
)
_VIOLATION_ARF = re.sub('<test test_id="t1".*?</test>', _VIOLATION_TEST, COMPLETE_ARF).replace(
    "</system_data>", '<file_item id="8"><filepath>/etc/y</filepath></file_item></system_data>'
)


def test_evidence_of_a_shared_search_is_the_violating_items() -> None:
    result = results.parse_arf([_VIOLATION_ARF.encode()])
    other = results.parse_arf([_VIOLATION_ARF.replace('"any_exist"', '"all_exist"').encode()])

    assert result.rules["one"].evidence_lines == (
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/y",
    )
    assert len(other.rules["one"].evidence_lines) == 3


def test_incomplete_shared_search_marks_the_rule() -> None:
    result = results.parse_arf([_VIOLATION_ARF.replace("FLAG", "incomplete").encode()])

    assert result.rules["one"].incomplete


def test_incompletely_collected_object_marks_the_rule() -> None:
    result = results.parse_arf([COMPLETE_ARF.replace("FLAG", "incomplete").encode()])

    assert result.rules["one"].incomplete
    assert not result.rules["three"].incomplete


def test_parsing_does_not_depend_on_chunk_boundaries() -> None:
    data = COMPLETE_ARF.encode()

    assert results.parse_arf(bytes([b]) for b in data) == results.parse_arf([data])


def test_report_request_content_is_skipped() -> None:
    more = f"{REPORT_REQUEST}</arf:report-request><arf:reports>"

    assert results.parse_arf(
        [COMPLETE_ARF.replace("<arf:reports>", more).encode()]
    ) == results.parse_arf([COMPLETE_ARF.encode()])


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
@pytest.mark.parametrize(
    "content",
    [
        "",
        "text",
        "<a/>",
        "<a/>" * 40,
        "<!-- </arf:report-request> --><a/><![CDATA[</arf:report-request>]]><b/>",
        "<a>report-request</a>" * 3 + "<b/>" * 20,
        "<a/>" + "\N{SNOWMAN}" * 30,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_report_request_ends_at_its_end_tag(content: str, size: int, encoding: str) -> None:
    more = f"<arf:report-request>{content}</arf:report-request ><arf:reports>"
    data = COMPLETE_ARF.replace("<arf:reports>", more).encode(encoding)
    chunks = [data[i : i + size] for i in range(0, len(data), size)]

    assert results.parse_arf(chunks) == results.parse_arf([COMPLETE_ARF.encode()])


@pytest.mark.parametrize("size", [1, 50, 10_000])
@pytest.mark.parametrize(
    "content", ["<a></b>", "<a>&x;</a>", "<a/><b c=1/>", "<a/>\x01", "<a/></arf:report-requests>"]
)
def test_malformed_report_request_is_refused(content: str, size: int) -> None:
    more = f"<arf:report-request>{content}</arf:report-request><arf:reports>"
    data = COMPLETE_ARF.replace("<arf:reports>", more).encode()

    with pytest.raises(ToolError, match="is cut short or is not XML"):
        results.parse_arf(data[i : i + size] for i in range(0, len(data), size))


def test_arf_is_compressed_while_it_is_parsed() -> None:
    result, packed = attachment.parse_and_compress(
        [COMPLETE_ARF[:900].encode(), COMPLETE_ARF[900:].encode()], name="x"
    )

    assert packed == compress(COMPLETE_ARF.encode())
    assert result == results.parse_arf([COMPLETE_ARF.encode()])


@pytest.mark.parametrize("end", [0, 1, 100, 700, 1500, len(COMPLETE_ARF) - 30])
def test_truncated_arf_is_refused(end: int) -> None:
    with pytest.raises(ToolError, match="cut short or is not XML"):
        results.parse_arf([COMPLETE_ARF.encode()[:end]])


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("<?xml version", '<!DOCTYPE x [<!ENTITY a "b">]><?xml version', "declares entities"),
        ("<result>fail<", "<result>passed<", "gives one the result 'passed'"),
        ("arf:asset-report-collection", "arf:other", "begins with <other>"),
        ("50.5", "many", "has no finished XCCDF result"),
        ('end-time="2026-11-21T05:01:00+00:00"', "", "has no finished XCCDF result"),
        (
            "<arf:reports>",
            REPORT_REQUEST * 2 + "</arf:report-request>" * 2 + "<arf:reports>",
            "where oscap",
        ),
        ("50.5", "nan", "has no finished XCCDF result"),
        ("50.5", "-1", "has no finished XCCDF result"),
        ("50.5", "1e999", "has no finished XCCDF result"),
        ("50.5", "9" * 5000, "has no finished XCCDF result"),
        ("05:01:00+00:00", "05:61:00+00:00", "has the end-time '2026-11-21T05:61:00"),
        ("2026-11-21T05:00:00", "yesterday", "has the start-time 'yesterday"),
        ('version="0.1.82"', f'version="{"1" * 2000}"', "has a version of 2000 characters"),
        ('idref="one"', f'idref="{"1" * 2000}"', "has a idref of 2000 characters"),
        ('idref="one"', 'idref="one" severity="big"', "gives one the severity 'big'"),
        ('idref="one"', 'idref="one" role="none"', "gives one the role 'none'"),
        ('idref="one"', 'idref="one" weight="-1"', "gives one the weight '-1'"),
        ('idref="one"', 'idref="one" weight="nan"', "gives one the weight 'nan'"),
        ('idref="one"', 'idref="one" weight="1e999"', "gives one the weight '1e999'"),
        (
            "<score",
            '<set-value idref="v">1</set-value><set-value idref="v">2</set-value><score',
            "gives 'v' two values",
        ),
        (
            "<result>fail</result>",
            '<result>fail</result><rule-result idref="x"><result>pass</result></rule-result>',
            "has <rule-result> where oscap writes none",
        ),
        ("<result>fail</result>", "<check/>" * 201, "has more than 200 checks in one result"),
        ("<score", SECOND_RESULT + "<score", "has more than one XCCDF result"),
        ('<profile idref="stig"/>', "<a>" * 300 + "</a>" * 300, "nested deeper than 200"),
    ],
)
def test_invalid_arf_is_refused_with_reason(was: str, now: str, problem: str) -> None:
    assert was in COMPLETE_ARF
    with pytest.raises(ToolError, match=problem):
        results.parse_arf([COMPLETE_ARF.replace(was, now).encode()])


def test_oversized_arf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_BYTES", 1000)

    with pytest.raises(ToolError, match="is longer than"):
        results.parse_arf([COMPLETE_ARF.encode()])


def test_long_evidence_is_truncated() -> None:
    flood = COMPLETE_ARF.replace("/etc/x</filepath>", "x" * 100_000 + "</filepath>")

    evidence_lines = results.parse_arf([flood.encode()]).rules["one"].evidence_lines

    assert max(map(len, evidence_lines)) <= MAX_LINE


def test_several_results_of_a_rule_are_combined_with_and() -> None:
    again = '<rule-result idref="one"><result>pass</result></rule-result><score'

    result = results.parse_arf([COMPLETE_ARF.replace("<score", again, 1).encode()]).rules["one"]

    assert (result.verdict, result.result_count) == (Verdict.FAIL, 2)
    assert result.evidence_lines == (
        "2 results, combined with AND: fail, pass",
        "result 1: fail, OVAL d1",
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/x",
        "result 2: pass",
    )


def test_many_results_of_a_rule_have_bounded_evidence_with_failures_first() -> None:
    passed = '<rule-result idref="one"><result>pass</result></rule-result>' * 40
    text = COMPLETE_ARF.replace('<rule-result idref="one">', f'{passed}<rule-result idref="one">')

    result = results.parse_arf([text.encode()]).rules["one"]

    assert (result.verdict, result.result_count) == (Verdict.FAIL, 41)
    assert result.evidence_lines[0].startswith("41 results, combined with AND: pass, ")
    assert result.evidence_lines[1] == "result 41: fail, OVAL d1"
    assert len(result.evidence_lines) <= MAX_EVIDENCE_LINES


CHECK_D1 = (
    '<check system="http://oval.mitre.org/XMLSchema/oval-definitions-5"{}>'
    '<check-export value-id="mode" export-name="v"/>'
    '<check-content-ref href="#oval0" name="d1"/></check>'
)


def _with_check(check: str) -> bytes:
    start = COMPLETE_ARF.index("<check\n")
    end = COMPLETE_ARF.index("</check>") + len("</check>")
    value = '<set-value idref="mode">0600</set-value><rule-result idref="one">'
    text = COMPLETE_ARF[:start] + check + COMPLETE_ARF[end:]
    text = text.replace('definition_id="d1"', 'definition_id="d1" result="false"')
    return text.replace('<rule-result idref="one">', value).encode()


def test_complex_check_has_evidence_of_all_its_checks() -> None:
    script = (
        '<check system="http://open-scap.org/page/SCE"><check-import>out</check-import></check>'
    )
    nested = (
        f'<complex-check operator="OR" negate="1">{script}{CHECK_D1.format("")}</complex-check>'
    )
    data = _with_check(
        f'<complex-check operator="AND">{CHECK_D1.format("")}{nested}</complex-check>'
    )

    result = results.parse_arf([data]).rules["one"]

    assert result.engine == "OVAL, SCE"
    assert result.value_ids == ("mode",)
    assert result.evidence_lines == (
        "complex check: AND(check 1, NOT OR(check 2, check 3))",
        "check 1, OVAL d1 is false",
        "value mode = 0600",
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/x",
        "check 2",
        "out",
        "check 3, OVAL d1 is false",
        "value mode = 0600",
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/x",
    )


def test_incomplete_object_of_any_check_marks_the_rule() -> None:
    script = '<check system="http://open-scap.org/page/SCE"/>'
    data = _with_check(
        f'<complex-check operator="OR">{script}{CHECK_D1.format("")}</complex-check>'
    )

    assert results.parse_arf([data.replace(b"FLAG", b"incomplete")]).rules["one"].incomplete


def test_check_without_a_definition_name_has_evidence_of_all_definitions() -> None:
    data = _with_check(CHECK_D1.format("").replace(' name="d1"', ""))

    result = results.parse_arf([data.replace(b"FLAG", b"incomplete")]).rules["one"]

    assert "[false] the mode of /etc/x is 0600" in result.evidence_lines
    assert result.incomplete


def test_negated_check_says_so() -> None:
    result = results.parse_arf([_with_check(CHECK_D1.format(' negate="true"'))]).rules["one"]

    assert result.evidence_lines[0] == "the result of the check is negated"


def test_severity_role_weight_and_values_are_those_of_the_result() -> None:
    attributes = 'idref="one" severity="high" role="unscored" weight="2.500000"'
    data = _with_check(CHECK_D1.format("")).replace(b'idref="one"', attributes.encode())

    arf = results.parse_arf([data])

    refined = arf.rules["one"]
    assert (refined.severity, refined.role, refined.weight) == ("high", "unscored", 2.5)
    three = arf.rules["three"]
    assert (three.severity, three.role, three.weight) == ("unknown", "full", 1.0)
    assert arf.values == {"mode": "0600"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_different_settings_of_a_rule_count_as_the_strictest(order: tuple[int, int]) -> None:
    attributes = (
        'severity="low" role="unscored" weight="1.0"',
        'severity="medium" role="full" weight="7.5"',
    )
    repeated = "".join(
        f'<rule-result idref="two" {attributes[i]}><result>pass</result></rule-result>'
        for i in order
    )

    text = COMPLETE_ARF.replace("<score", f"{repeated}<score", 1)
    rule = results.parse_arf([text.encode()]).rules["two"]

    assert (rule.severity, rule.role, rule.weight) == ("medium", "full", 7.5)


def test_overridden_result_names_its_authority() -> None:
    override = (
        '<result>pass</result><override time="2026-11-21T06:00:00" authority="A. Person">'
        "<old-result>fail</old-result><new-result>pass</new-result><remark>no</remark></override>"
    )

    text = COMPLETE_ARF.replace("<result>fail</result>", override)
    result = results.parse_arf([text.encode()]).rules["one"]

    assert result.verdict is Verdict.PASS
    assert result.evidence_lines[0] == (
        "the result was replaced by 'A. Person' at '2026-11-21T06:00:00', "
        "old-result fail, new-result pass, remark no"
    )


def test_incomplete_object_marks_all_extending_definitions() -> None:
    more = "".join(
        f'<definition definition_id="e{n}"><criteria><extend_definition definition_ref="{other}"/>'
        "</criteria></definition>"
        for n, other in ((1, "d2"), (2, "e1"), (3, "e2"), (3, "e3"))
    )
    text = COMPLETE_ARF.replace(
        '<definition definition_id="d1">', f'{more}<definition definition_id="d1">'
    )
    text = text.replace("FLAG", "incomplete").replace(
        'href="#oval0" name="d1"', 'href="#oval0" name="e2"'
    )

    assert results.parse_arf([text.encode()]).rules["one"].incomplete


def test_cyclic_definitions_terminate() -> None:
    text = COMPLETE_ARF.replace(
        '<criterion test_ref="t1"/>', '<extend_definition definition_ref="d1"/>'
    )

    assert results.parse_arf([text.encode()]).rules["one"].evidence_lines == ()


@pytest.mark.parametrize("kind", REPEATED)
def test_parsing_is_linear_in_the_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_MAX_STEPS", 20)
    texts = [list(generate_hostile_arf(kind, size)) for size in (24_000, 48_000, 96_000)]

    first, second, third = (count_steps(lambda t=t: _parse_or_none(t)) for t in texts)

    # Linear: 2, with longer numbers a little more. Quadratic: 4.
    assert third - second <= 2.8 * (second - first) + 2000


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_gives_bounded_evidence_or_is_refused(kind: str) -> None:
    result = _parse_or_none(list(generate_hostile_arf(kind, 300_000)))

    lines = (
        [line for rule_result in result.rules.values() for line in rule_result.evidence_lines]
        if result
        else []
    )
    assert max(map(len, lines), default=0) <= MAX_LINE
    assert (
        max((len(j.evidence_lines) for j in result.rules.values()), default=0) <= MAX_EVIDENCE_LINES
        if result
        else True
    )


def _parse_or_none(chunks: list[bytes]) -> results.Arf | None:
    try:
        return results.parse_arf(chunks)
    except ToolError:
        return None


def test_excessive_references_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "_MAX_RECORDS", 1000)

    with pytest.raises(ToolError, match="more than 1000 rules, tests and references"):
        results.parse_arf(generate_hostile_arf("items that one test looked at", 100_000))


@pytest.mark.parametrize("kind", ["one attribute", "one element name", "one comment"])
def test_unterminated_tag_is_refused_early(kind: str) -> None:
    chunks = generate_hostile_arf(kind, 40 << 20)

    with pytest.raises(ToolError, match="has a tag or a comment of more than 4 MiB"):
        results.parse_arf(chunks)
