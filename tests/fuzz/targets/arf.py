"""Damaged ARFs: none gives a rule a better verdict than its own words, none is read slowly."""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap.arf.parser import MAX_EVIDENCE_LINES
from hardpan.scanners.openscap.arf.results import parse_arf
from hardpan.scanners.openscap.arf.state import MAX_LINE
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.tools.hostile_arfs import KINDS, generate_hostile_arf
from tests.unit.openscap.samples import ARF, make_prepared, make_rule

_SAMPLE = ARF.replace("\x85", " ").encode()
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
    content = make_prepared(tuple(make_rule(name, "a") for name in _RULES), _RULES)
    samples = [_SAMPLE, *(b"".join(generate_hostile_arf(kind, 4000)) for kind in KINDS)]

    def check(data: bytes) -> str:
        report = parse_arf([data])
        for rule_result in report.rules.values():
            assert rule_result.verdict is not Verdict.PASS or b"pass" in data
            assert len(rule_result.evidence_lines) <= MAX_EVIDENCE_LINES
            assert all(len(x) <= MAX_LINE and x.isprintable() for x in rule_result.evidence_lines)
        merged = merge_results(
            content, EvaluatedParts(arfs=(report,)), engine="", os_name="", os_cpe=""
        )
        verdicts = {r.rule_id: r.verdict for r in merged.results}
        assert set(verdicts) == set(_RULES)
        for name, verdict in verdicts.items():
            parsed_result = report.rules.get(name)
            assert verdict is not Verdict.PASS or (
                parsed_result and parsed_result.verdict is Verdict.PASS
            )
        return "read"

    return FuzzTarget(
        name="arf",
        inputs=st.one_of(mutate_samples(samples[:1], _PIECES), mutate_samples(samples, _PIECES)),
        check=check,
    )
