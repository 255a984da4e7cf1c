"""Damaged ARFs: none gives a rule a better verdict than its own words, none is read slowly."""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.scanners.arf import parse
from hardpan.scanners.arf_reader import MAX_FOUND
from hardpan.scanners.arf_reading import MAX_LINE
from hardpan.scanners.evaluate import evaluation
from hardpan.scanners.model import Verdict
from tests.fuzz.target import FuzzTarget, mutated
from tests.tooling.hostile_arfs import KINDS, hostile_arf
from tests.unit.evaluate.arfs import ARF, prepared, rule

_WHOLE = ARF.replace("\x85", " ").encode()
_RULES = ("one", "two", "three")
_PIECES = (
    *(bytes([c]) for c in b"<>/=\"'& \0\n\xff-!?"),
    b"<result>pass</result>",
    b'<rule-result idref="one">',
    b"</rule-result>",
    b'<criterion test_ref="t1"/>',
    b'<extend_definition definition_ref="d1"/>',
    b'<test test_id="t1" result="true">',
    b'<tested_item item_id="7"/>',
    b'<file_item id="7">',
    b"<!--",
    b"]]>",
    b"<![CDATA[",
    b"&#120;",
    b"&#0;",
    b"&lt;",
    b"<!DOCTYPE x>",
    b'xmlns="http://checklists.nist.gov/xccdf/1.2"',
    b"1e400",
    b"9" * 400,
    "\u202e\ud7ff".encode(),
)


def target(folder: Path) -> FuzzTarget:
    """Damaged ARFs, and small ones of each hostile kind."""
    content = prepared(tuple(rule(name, "a") for name in _RULES), _RULES)
    samples = [_WHOLE, *(b"".join(hostile_arf(kind, 4000)) for kind in KINDS)]

    def judge(data: bytes) -> str:
        found = parse([data])
        for judged in found.rules.values():
            assert judged.verdict is not Verdict.PASS or b"pass" in data
            assert len(judged.found) <= MAX_FOUND
            assert all(len(x) <= MAX_LINE and x.isprintable() for x in judged.found)
        made = evaluation(content, [found], engine="", os_name="", os_cpe="")
        verdicts = {r.rule_id: r.verdict for r in made.results}
        assert set(verdicts) == set(_RULES)
        for name, verdict in verdicts.items():
            known = found.rules.get(name)
            assert verdict is not Verdict.PASS or (known and known.verdict is Verdict.PASS)
        return "read"

    return FuzzTarget(
        name="arf",
        inputs=st.one_of(mutated(samples[:1], _PIECES), mutated(samples, _PIECES)),
        judge=judge,
    )
