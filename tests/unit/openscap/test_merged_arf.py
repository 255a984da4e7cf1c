import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from hardpan.core.errors import ToolError
from hardpan.scanners.model.scan import Evaluation, Verdict
from hardpan.scanners.openscap.arf import spans
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf, parse_arf
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.scanners.openscap.merged_arf import PartArf, merge_arfs, require_equal
from tests.tools.hostile_arfs import KINDS, generate_hostile_arf
from tests.unit.openscap.samples import ARF, make_prepared, make_rule

_VALUE = '<set-value idref="mode">0600</set-value><rule-result idref="one" severity="medium">'
_ASSETS = '<arf:assets><arf:asset id="asset0"/></arf:assets><arf:reports>'
_REQUEST = (
    "<arf:report-requests><arf:report-request id='c'><arf:content><TestResult"
    ' xmlns="http://checklists.nist.gov/xccdf/1.2"><rule-result idref="other"/></TestResult>'
    "</arf:content></arf:report-request></arf:report-requests>"
)
FIRST = (
    ARF.replace("\x85", " ")
    .replace('version="0.1.82"', 'id="xccdf_x_testresult_y" version="1"')
    .replace('<rule-result idref="three"', '<rule-result idref="three" severity="medium"')
    .replace('<rule-result idref="one">', _VALUE)
    .replace("<arf:reports>", _REQUEST + _ASSETS)
)
SECOND = (
    FIRST.replace('idref="one"', 'idref="four"')
    .replace('idref="three"', 'idref="five"')
    .replace("/etc/x", "/etc/y")
)
STREAM = b'<?xml version="1.0" encoding="UTF-8"?>\n<stream><a/></stream>'
CONTENT = make_prepared(
    tuple(make_rule(name, "a") for name in ("five", "four", "one", "three")),
    ("one", "three"),
    ("five", "four"),
)
CONTENT = replace(CONTENT, benchmark=replace(CONTENT.benchmark, values={"mode": "0600"}))


def evaluate(*arfs: Arf | UnreadableArf) -> Evaluation:
    return merge_results(CONTENT, EvaluatedParts(arfs=arfs), engine="", os_name="", os_cpe="")


def make_part(text: str, chunk_size: int) -> PartArf:
    data = text.encode()
    chunks = [data[n : n + chunk_size] for n in range(0, len(data), chunk_size)]
    return PartArf(name="arf-0.xml", open=lambda: chunks)


def merge(texts: Sequence[str], evaluation: Evaluation) -> bytes:
    parts = [make_part(text, 700) for text in texts]
    return b"".join(merge_arfs(parts, evaluation, STREAM))


def merge_both(first: str = FIRST, second: str = SECOND) -> tuple[Arf, Evaluation, str]:
    evaluation = evaluate(parse_arf([first.encode()]), parse_arf([second.encode()]))
    data = merge([first, second], evaluation)
    return parse_arf([data]), evaluation, data.decode()


def test_merged_arf_has_all_results_with_their_evidence() -> None:
    merged, evaluation, text = merge_both()

    require_equal(merged, evaluation)
    assert list(merged.rules) == ["five", "four", "one", "three"]
    for result in evaluation.results:
        assert merged.rules[result.rule_id].evidence_lines == result.evidence_lines
    assert merged.rules["one"].evidence_lines[1] == "file: filepath=/etc/x"
    assert merged.rules["four"].evidence_lines[1] == "file: filepath=/etc/y"
    assert merged.values == {"mode": "0600"}
    assert (merged.score, evaluation.score) == (50.0, 50.0)
    assert text.count("<stream><a/></stream>") == 1
    assert 'idref="other"' not in text
    assert 'href="#oval0-part1"' in text


def test_rules_of_an_unreadable_part_are_errors_with_the_reason() -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="cut <short>"))

    merged = parse_arf([merge([FIRST], evaluation)])

    require_equal(merged, evaluation)
    assert merged.rules["four"].verdict is Verdict.ERROR
    assert merged.rules["four"].evidence_lines == ("cut <short>",)


def test_pass_on_incomplete_evidence_is_unknown_in_the_merged_arf() -> None:
    first = FIRST.replace("<result>fail</result>", "<result>pass</result>")
    merged, evaluation, text = merge_both(first.replace("FLAG", "incomplete"))

    require_equal(merged, evaluation)
    assert merged.rules["one"].verdict is Verdict.UNKNOWN
    results = _rule_results(text, "one")
    assert len(results) == 1
    assert 'href="#oval0' in results[0], "the check is not copied"
    assert "<message" not in results[0]


def test_result_that_is_not_used_is_replaced_by_the_reason() -> None:
    _, evaluation, _ = merge_both()
    results = tuple(
        replace(r, verdict=Verdict.ERROR, evidence_lines=("not <used>", "at all"))
        if r.rule_id == "one"
        else r
        for r in evaluation.results
    )

    text = merge([FIRST, SECOND], replace(evaluation, results=results)).decode()

    assert parse_arf([text.encode()]).rules["one"].verdict is Verdict.ERROR
    expected = (
        '<rule-result idref="one" role="full" severity="medium" time='
        f'"{evaluation.finished}"><result>error</result>'
        '<message severity="error">not &lt;used&gt; / at all</message></rule-result>'
    )
    assert _rule_results(text, "one") == [expected]
    assert len(_rule_results(text, "four")) == 1


def _rule_results(text: str, rule_id: str) -> list[str]:
    return re.findall(rf'<rule-result idref="{rule_id}".*?</rule-result>', text, re.DOTALL)


def test_several_results_of_a_rule_are_all_copied() -> None:
    again = '<rule-result idref="one" severity="medium"><result>pass</result></rule-result><score'
    merged, evaluation, _ = merge_both(FIRST.replace("<score", again))

    require_equal(merged, evaluation)
    assert merged.rules["one"].result_count == 2


def test_prefixes_of_the_part_are_declared_on_copied_elements() -> None:
    start, end = FIRST.split("<arf:reports>")
    names = "rule-result|result|check-content-ref|check-import|check|message"
    end = re.sub(rf"<(/?)({names})(?=[\s>])", r"<\1c:\2", end)
    namespace = 'xmlns="http://checklists.nist.gov/xccdf/1.2"'
    declared = f"{namespace} {namespace.replace('=', ':c=')}"
    prefixed = f"{start}<arf:reports>{end.replace(namespace, declared, 1)}"
    merged, evaluation, text = merge_both(prefixed)

    require_equal(merged, evaluation)
    assert merged.rules["one"].evidence_lines == evaluation.results[2].evidence_lines
    assert "<c:rule-result xmlns:c=" in text


def test_merging_does_not_depend_on_chunk_boundaries() -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), parse_arf([SECOND.encode()]))
    parts = [make_part(text, 1) for text in (FIRST, SECOND)]

    assert b"".join(merge_arfs(parts, evaluation, STREAM)) == merge([FIRST, SECOND], evaluation)


@pytest.mark.parametrize(
    ("original", "changed", "problem"),
    [
        ('<arf:report id="oval0">', '<arf:report id="a b">', "has a report with the id 'a b'"),
        ('<arf:report id="oval0">', '<arf:report id="xccdf1">', "has a report with the id"),
        ("</arf:reports>", '<arf:report id="r0"/>' * 2 + "</arf:reports>", "has a report"),
        ("</TestResult>", "", "is cut short or is not XML"),
        ("<rule-result", "<x-result", "has no XCCDF result"),
        ("<?xml version", '<!DOCTYPE x [<!ENTITY a "b">]><?xml version', "declares entities"),
    ],
)
def test_part_that_cannot_be_merged_is_refused(original: str, changed: str, problem: str) -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="no"))
    damaged = FIRST.replace(original, changed).replace("</rule-result>", "</rule-result>")
    damaged = damaged.replace("</rule-result>", "</x-result>") if "x-result" in changed else damaged

    with pytest.raises(ToolError, match=problem):
        merge([damaged], evaluation)


def test_many_namespace_prefixes_are_refused() -> None:
    """Each of thousands of rule-results would get a copy of all of them."""
    prefixes = "".join(f' xmlns:p{n}="u"' for n in range(201))
    root = "<arf:asset-report-collection"
    text = FIRST.replace(root, root + prefixes)

    assert text != FIRST
    with pytest.raises(ToolError, match="declares more than 200 namespace prefixes"):
        merge([text], evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="killed")))


def test_many_elements_before_the_results_are_refused() -> None:
    start = FIRST.index(">", FIRST.index("testresult_y")) + 1
    text = FIRST[:start] + "<title/>" * 5_001 + FIRST[start:]

    with pytest.raises(ToolError, match="more than 5000 elements before results"):
        merge([text], evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="killed")))


def test_long_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MAX_ELEMENT_BYTES", 4000)
    flood = FIRST.replace("odd ", "odd " + "x" * 9000)

    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="no"))
    with pytest.raises(ToolError, match="has an element of more than"):
        list(merge_arfs([make_part(flood, 1000)], evaluation, STREAM))


def test_merging_ends_at_the_time_limit() -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="no"))
    part = make_part(FIRST, 700)

    with pytest.raises(ToolError, match="cannot be merged within the time limit"):
        list(merge_arfs([part], evaluation, STREAM, timeout_s=0))


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        (' encoding="ISO-8859-1"', "iso-8859-1"),
        (" encoding='windows-1252'", "windows-1252"),
        (' encoding="UTF-16"', "utf-16"),
        (' encoding="UTF-16"', "utf-16-be"),
        ("", "utf-16-le"),
        ("", "utf-8-sig"),
    ],
)
def test_data_stream_in_another_encoding_is_written_in_utf_8(declared: str, encoding: str) -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), parse_arf([SECOND.encode()]))
    parts = [make_part(text, 700) for text in (FIRST, SECOND)]
    stream = f'<?xml version="1.0"{declared}?>\n<stream>Maß für é</stream>'.encode(encoding)

    text = b"".join(merge_arfs(parts, evaluation, stream)).decode()

    assert "<arf:content>\n<stream>Maß für é</stream></arf:content>" in text
    assert text.count("<?xml") == 1
    require_equal(parse_arf([text.encode()]), evaluation)


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (b'<?xml version="1.0" encoding="big5"?><stream/>', "a data stream in 'big5'"),
        (b'<?xml version="1.0" encoding="utf-7"?><stream/>', "a data stream in 'utf-7'"),
        (b'<?xml version="1.0" encoding="iso-8859-99"?><s/>', "that is not iso-8859-99"),
        (b'<?xml version="1.0" encoding="cp1252"?><s>\x81</s>', "that is not cp1252"),
        ("<s/>".encode("utf-16") + b"x", "that is not utf-16"),
    ],
)
def test_data_stream_in_an_unknown_encoding_is_refused(stream: bytes, problem: str) -> None:
    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="no"))
    part = make_part(FIRST, 700)

    with pytest.raises(ToolError, match=f"arf.xml cannot have .*{problem}"):
        list(merge_arfs([part], evaluation, stream))


def test_merged_arf_with_another_result_is_refused() -> None:
    merged, evaluation, _ = merge_both()
    changed = replace(merged.rules["one"], verdict=Verdict.PASS)

    for rules in (merged.rules | {"one": changed}, {"one": merged.rules["one"]}):
        with pytest.raises(ToolError, match="has another result of"):
            require_equal(replace(merged, rules=rules), evaluation)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_is_merged_or_refused(kind: str) -> None:
    chunks = list(generate_hostile_arf(kind, 200_000))
    evaluation = evaluate(parse_arf([FIRST.encode()]), UnreadableArf(reason="no"))

    part = PartArf(name="x", open=lambda: chunks)
    rules = _read_rules_or_none(merge_arfs([part], evaluation, STREAM))

    assert rules in (None, {r.rule_id for r in evaluation.results})


def _read_rules_or_none(chunks: Iterator[bytes]) -> set[str] | None:
    try:
        return set(parse_arf(chunks).rules)
    except ToolError:
        return None
