import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from hardpan.files import canonical_json
from hardpan.scanners.model import Scan, Verdict
from hardpan.scanners.report import documents, fill, json_documents
from hardpan.scanners.report.documents import Findings
from tests.unit.evidence import samples


def test_the_published_schema_is_the_models(request: pytest.FixtureRequest) -> None:
    published = Path(documents.__file__).with_name("findings.schema.json")

    assert published.read_bytes() == json_documents.schema()


@pytest.mark.parametrize("scan", [samples.scan(), samples.scan(paired=samples.PAIRED)])
def test_findings_match_the_published_schema(scan: Scan) -> None:
    data = json.loads(canonical_json(fill.findings(scan).data()))

    jsonschema.Draft202012Validator(json.loads(json_documents.schema())).validate(data)
    assert Findings.model_validate(data) == fill.findings(scan)


def test_findings_of_an_older_hardpan_are_read_and_match_the_schema() -> None:
    data = json.loads(canonical_json(fill.findings(samples.scan()).data()))
    del data["paired"]

    jsonschema.Draft202012Validator(json.loads(json_documents.schema())).validate(data)
    assert Findings.model_validate(data).paired is None


def test_a_waiver_that_ended_excuses_nothing() -> None:
    ended = replace(samples.WAIVER, holds=False)
    scan = replace(samples.scan(), waivers={samples.RULES[2].rule_id: ended})
    made = fill.findings(scan)
    rule = next(r for r in made.rules if r.rule_id == samples.RULES[2].rule_id)

    assert rule.is_open
    assert not rule.is_waived
    assert rule.waiver is not None
    assert "ended on 2027-01-31" in rule.waiver.said()
    assert sum(made.open_by_severity().values()) == 1 + sum(
        fill.findings(samples.scan()).open_by_severity().values()
    )


def test_a_waiver_stands_beside_the_fail_never_in_its_place() -> None:
    rules = {r.rule_id: r for r in fill.findings(samples.scan()).rules}
    waived = rules[samples.RULES[2].rule_id]

    assert waived.verdict == "fail"
    assert waived.waiver is not None
    assert waived.waiver.said() == "needed by the build, see T-1 (build team, until 2027-01-31)"
    assert not waived.is_open
    assert rules[samples.RULES[1].rule_id].is_open


def test_figures_that_are_no_numbers_become_null() -> None:
    smoke = fill.smoke(samples.SMOKE)

    assert [m.value for m in smoke.measures] == [41.2346, None]
    assert [m.minimum for m in smoke.measures] == [39, None]
    canonical_json(smoke.data())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\x00b\x7f\x85", "a\ufffdb\ufffd\ufffd"),
        ("gpj\u202eexe", "gpj\ufffdexe"),
        ("\u2066x\u2069\u200f", "\ufffdx\ufffd\ufffd"),
        ("\ud800", "\ufffd"),
        ("\uffff\ufeff", "\ufffd\ufffd"),
        ("Grüße, 東京 🙂", "Grüße, 東京 🙂"),
    ],
)
def test_characters_that_hide_or_move_text_are_shown(text: str, shown: str) -> None:
    assert fill.clean(text) == shown


def test_a_hostile_target_cannot_break_the_documents() -> None:
    host = replace(samples.HOST, hostname="\ud800\x00\u202e", kernel="\x1b[2J")
    rule = samples.rule(9, Verdict.FAIL, severity="hïgh", found=("\x00\ud83d",))
    made = replace(
        samples.scan(host=host),
        evaluation=replace(samples.scan().evaluation, results=(rule,)),
    )
    data = canonical_json(fill.findings(made).data())

    assert Findings.model_validate(json.loads(data)).rules[0].severity == "unknown"


def test_a_count_for_each_verdict_is_needed() -> None:
    data = fill.findings(samples.scan()).data()
    del data["counts"]["error"]  # type: ignore[attr-defined]

    with pytest.raises(ValidationError, match="expected a count for each of pass"):
        Findings.model_validate(data)


def test_findings_of_before_the_fips_part_are_still_read() -> None:
    data = fill.findings(samples.scan()).data()
    del data["fips"]

    assert Findings.model_validate(data).fips is None
    jsonschema.Draft202012Validator(json.loads(json_documents.schema())).validate(data)
