import pytest

from hardpan.errors import ToolError
from hardpan.packed import pack
from hardpan.scanners import arf, arf_reader
from hardpan.scanners.arf_reading import MAX_LINE
from hardpan.scanners.model import Verdict
from tests.unit.evaluate.arfs import ARF

WHOLE = ARF.replace("\x85", " ")
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
