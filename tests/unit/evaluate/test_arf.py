import pytest

from hardpan.errors import ToolError
from hardpan.packed import pack
from hardpan.scanners import arf, arf_reader
from hardpan.scanners.arf_reading import MAX_LINE
from hardpan.scanners.model import Verdict
from tests.tooling.hostile_arfs import KINDS, REPEATED, hostile_arf
from tests.tooling.steps import count_steps
from tests.unit.evaluate.arfs import ARF

WHOLE = ARF.replace("\x85", " ")
SECOND_RESULT = '<TestResult xmlns="http://checklists.nist.gov/xccdf/1.2" version="1"/>'
UNREAD = '<arf:report-request><x id="x"><result>no</result></x>'


def test_verdicts_and_evidence_are_read() -> None:
    found = arf.parse([WHOLE.encode()])

    assert (found.profile_id, found.score, found.benchmark_version) == ("stig", 50.5, "0.1.82")
    assert set(found.rules) == {"one", "three"}
    assert found.rules["one"].verdict is Verdict.FAIL
    assert found.rules["one"].found == (
        "[false] the mode of /etc/x is 0600",
        "file: filepath=/etc/x",
    )
    assert found.rules["three"].engine == "SCE"
    assert found.rules["three"].found == ("odd words", "line 1", "line 2")


def test_an_object_that_was_not_collected_whole_is_noted() -> None:
    found = arf.parse([WHOLE.replace("FLAG", "incomplete").encode()])

    assert found.rules["one"].incomplete
    assert not found.rules["three"].incomplete


def test_where_the_bytes_are_cut_makes_no_difference() -> None:
    data = WHOLE.encode()

    assert arf.parse(bytes([b]) for b in data) == arf.parse([data])


def test_the_content_in_an_arf_is_not_looked_at() -> None:
    more = f"{UNREAD}</arf:report-request><arf:reports>"

    assert arf.parse([WHOLE.replace("<arf:reports>", more).encode()]) == arf.parse([WHOLE.encode()])


def test_an_arf_is_packed_while_it_is_read() -> None:
    found, packed = arf.parse_and_pack([WHOLE[:900].encode(), WHOLE[900:].encode()], name="x")

    assert packed == pack(WHOLE.encode())
    assert found == arf.parse([WHOLE.encode()])


@pytest.mark.parametrize("end", [0, 1, 100, 700, 1500, len(WHOLE) - 30])
def test_a_truncated_arf_is_refused(end: int) -> None:
    with pytest.raises(ToolError, match="cut short or is not XML"):
        arf.parse([WHOLE.encode()[:end]])


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("<?xml version", '<!DOCTYPE x [<!ENTITY a "b">]><?xml version', "declares entities"),
        ("<result>fail<", "<result>passed<", "gives one the result 'passed'"),
        ("arf:asset-report-collection", "arf:other", "begins with <other>"),
        ("50.5", "many", "holds no finished XCCDF result"),
        ('end-time="2026-11-21T05:01:00+00:00"', "", "holds no finished XCCDF result"),
        (
            "<arf:reports>",
            UNREAD * 2 + "</arf:report-request>" * 2 + "<arf:reports>",
            "where oscap",
        ),
        ("50.5", "nan", "holds no finished XCCDF result"),
        ("50.5", "-1", "holds no finished XCCDF result"),
        ("50.5", "1e999", "holds no finished XCCDF result"),
        ("50.5", "9" * 5000, "holds no finished XCCDF result"),
        ("05:01:00+00:00", "05:61:00+00:00", "has the end-time '2026-11-21T05:61:00"),
        ("2026-11-21T05:00:00", "yesterday", "has the start-time 'yesterday"),
        ('version="0.1.82"', f'version="{"1" * 2000}"', "has a version of 2000 characters"),
        ('idref="one"', f'idref="{"1" * 2000}"', "has a idref of 2000 characters"),
        ("<score", SECOND_RESULT + "<score", "holds more than one XCCDF result"),
        ('<profile idref="stig"/>', "<a>" * 300 + "</a>" * 300, "nested deeper than 200"),
    ],
)
def test_an_odd_arf_is_refused_with_its_reason(was: str, now: str, problem: str) -> None:
    assert was in WHOLE
    with pytest.raises(ToolError, match=problem):
        arf.parse([WHOLE.replace(was, now).encode()])


def test_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arf_reader, "MAX_BYTES", 1000)

    with pytest.raises(ToolError, match="is longer than"):
        arf.parse([WHOLE.encode()])


def test_a_flood_of_words_is_cut() -> None:
    flood = WHOLE.replace("/etc/x</filepath>", "x" * 100_000 + "</filepath>")

    found = arf.parse([flood.encode()]).rules["one"].found

    assert max(map(len, found)) <= MAX_LINE


def test_a_rule_with_two_results_is_an_error() -> None:
    again = '<rule-result idref="one"><result>pass</result></rule-result><score'

    found = arf.parse([WHOLE.replace("<score", again, 1).encode()])

    assert found.rules["one"].verdict is Verdict.ERROR
    assert found.rules["one"].found == ("the ARF has more than one result for this rule",)


def test_an_incomplete_object_counts_for_every_definition_that_extends_its_test() -> None:
    more = "".join(
        f'<definition definition_id="e{n}"><criteria><extend_definition definition_ref="{other}"/>'
        "</criteria></definition>"
        for n, other in ((1, "d2"), (2, "e1"), (3, "e2"), (3, "e3"))
    )
    text = WHOLE.replace(
        '<definition definition_id="d1">', f'{more}<definition definition_id="d1">'
    )
    text = text.replace("FLAG", "incomplete").replace(
        'href="#oval0" name="d1"', 'href="#oval0" name="e2"'
    )

    assert arf.parse([text.encode()]).rules["one"].incomplete


def test_definitions_that_extend_each_other_end() -> None:
    text = WHOLE.replace('<criterion test_ref="t1"/>', '<extend_definition definition_ref="d1"/>')

    assert arf.parse([text.encode()]).rules["one"].found == ()


@pytest.mark.parametrize("kind", REPEATED)
def test_work_is_linear_in_the_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arf, "_MAX_STEPS", 20)
    texts = [list(hostile_arf(kind, size)) for size in (24_000, 48_000, 96_000)]

    first, second, third = (count_steps(lambda t=t: _parsed(t)) for t in texts)

    # Linear: 2, with longer numbers a little more. Quadratic: 4.
    assert third - second <= 2.8 * (second - first) + 2000


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_arf_gives_bounded_evidence_or_is_refused(kind: str) -> None:
    found = _parsed(list(hostile_arf(kind, 300_000)))

    lines = [line for judged in found.rules.values() for line in judged.found] if found else []
    assert max(map(len, lines), default=0) <= MAX_LINE
    assert max((len(j.found) for j in found.rules.values()), default=0) <= 12 if found else True


def _parsed(chunks: list[bytes]) -> arf.Arf | None:
    try:
        return arf.parse(chunks)
    except ToolError:
        return None


def test_a_flood_of_references_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arf_reader, "_MAX_RECORDS", 1000)

    with pytest.raises(ToolError, match="more than 1000 rules, tests and references"):
        arf.parse(hostile_arf("items that one test looked at", 100_000))


@pytest.mark.parametrize("kind", ["one attribute", "one element name", "one comment"])
def test_a_tag_without_an_end_is_refused_before_it_is_read(kind: str) -> None:
    chunks = hostile_arf(kind, 40 << 20)

    with pytest.raises(ToolError, match="has a tag or a comment of more than 4 MiB"):
        arf.parse(chunks)
