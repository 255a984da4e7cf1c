import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from hardpan.core.files import canonical_json
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.formats import json_documents
from hardpan.scanners.report.model import build, display_text, documents
from hardpan.scanners.report.model.documents import Findings
from tests.unit.evidence import samples


def test_published_schema_matches_model(request: pytest.FixtureRequest) -> None:
    published = Path(documents.__file__).with_name("findings.schema.json")

    assert published.read_bytes() == json_documents.build_findings_schema()


@pytest.mark.parametrize(
    "scan", [samples.scan(), samples.scan(compatibility=samples.COMPATIBILITY)]
)
def test_findings_match_the_published_schema(scan: Scan) -> None:
    data = json.loads(canonical_json(build.build_findings(scan).to_json()))

    jsonschema.Draft202012Validator(json.loads(json_documents.build_findings_schema())).validate(
        data
    )
    assert Findings.model_validate(data) == build.build_findings(scan)


def test_findings_without_compatibility_match_the_schema() -> None:
    data = json.loads(canonical_json(build.build_findings(samples.scan()).to_json()))
    del data["compatibility"]

    jsonschema.Draft202012Validator(json.loads(json_documents.build_findings_schema())).validate(
        data
    )
    assert Findings.model_validate(data).compatibility is None


def test_expired_waiver_leaves_rule_open() -> None:
    expired = replace(samples.WAIVER, is_active=False)
    scan = replace(samples.scan(), waivers={samples.RULES[2].rule_id: expired})
    findings = build.build_findings(scan)
    rule = next(r for r in findings.rules if r.rule_id == samples.RULES[2].rule_id)

    assert rule.is_open
    assert not rule.is_waived
    assert rule.waiver is not None
    assert "expired on 2027-01-31" in rule.waiver.describe()
    assert sum(findings.count_open_by_severity().values()) == 1 + sum(
        build.build_findings(samples.scan()).count_open_by_severity().values()
    )


@pytest.mark.parametrize(
    ("open_severity", "severities_that_fail"),
    [
        ("high", {"high", "medium", "low"}),
        ("medium", {"medium", "low"}),
        ("low", {"low"}),
        ("unknown", {"medium", "low"}),
        ("info", set()),
    ],
)
def test_open_rule_counts_from_its_severity_down(
    open_severity: str, severities_that_fail: set[str]
) -> None:
    results = (samples.rule(1, Verdict.FAIL, severity=open_severity),)
    evaluation = replace(samples.scan().evaluation, results=results)
    findings = build.build_findings(replace(samples.scan(), evaluation=evaluation, waivers={}))

    assert {
        s for s in ("high", "medium", "low", "none") if findings.has_open_rules(s)
    } == severities_that_fail


@pytest.mark.parametrize(
    ("severity", "disa_severity", "expected"),
    [
        ("unknown", "high", "high"),
        ("unknown", "low", "medium"),
        ("low", "medium", "medium"),
        ("high", "low", "high"),
        ("info", "low", "low"),
        ("info", "", "info"),
    ],
)
def test_gate_counts_the_higher_of_both_severities(
    severity: str, disa_severity: str, expected: str
) -> None:
    rule = samples.rule(1, Verdict.FAIL, severity=severity, disa_severity=disa_severity)
    evaluation = replace(samples.scan().evaluation, results=(rule,))
    findings = build.build_findings(replace(samples.scan(), evaluation=evaluation, waivers={}))

    assert findings.rules[0].gate_severity == expected
    counts = {s: n for s, n in findings.count_open_for_thresholds().items() if n}
    assert counts == {expected: 1} | ({severity: 1} if severity in ("unknown", "info") else {})


@pytest.mark.parametrize("role", ["unscored", "unchecked"])
def test_rule_without_the_role_full_is_not_open(role: str) -> None:
    rules = (samples.rule(1, Verdict.FAIL, role=role), samples.rule(2, Verdict.PASS))
    evaluation = replace(samples.scan().evaluation, results=rules)
    findings = build.build_findings(replace(samples.scan(), evaluation=evaluation, waivers={}))

    assert not findings.has_open_rules("low")
    assert (findings.pass_ratio, findings.coverage) == ("100.00", "100.00")


def test_waiver_keeps_fail_verdict() -> None:
    rules = {r.rule_id: r for r in build.build_findings(samples.scan()).rules}
    waived = rules[samples.RULES[2].rule_id]

    assert waived.verdict == "fail"
    assert waived.waiver is not None
    assert waived.waiver.describe() == "needed by the build, see T-1 (build team, until 2027-01-31)"
    assert not waived.is_open
    assert rules[samples.RULES[1].rule_id].is_open


def test_non_finite_measures_become_null() -> None:
    smoke = build.build_smoke_document(samples.SMOKE)

    assert [m.value for m in smoke.measures] == [41.2346, None]
    assert [m.minimum for m in smoke.measures] == [39, None]
    canonical_json(smoke.to_json())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\x00b\x7f\x85", "a\ufffdb\ufffd\ufffd"),
        ("gpj\u202eexe", "gpj\ufffdexe"),
        ("\u2066x\u2069\u200f", "\ufffdx\ufffd\ufffd"),
        ("a\u200bb\u200dc\u2060d\U000e0041", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("\ud800", "\ufffd"),
        ("\uffff\ufeff", "\ufffd\ufffd"),
        ("Grüße, 東京 🙂", "Grüße, 東京 🙂"),
    ],
)
def test_control_characters_are_replaced(text: str, expected: str) -> None:
    assert display_text.replace_control_characters(text) == expected


def test_hostile_host_facts_are_sanitized() -> None:
    host = replace(samples.HOST, hostname="\ud800\x00\u202e", kernel="\x1b[2J")
    rule = samples.rule(9, Verdict.FAIL, severity="hïgh", evidence_lines=("\x00\ud83d",))
    scan = replace(
        samples.scan(host=host),
        evaluation=replace(samples.scan().evaluation, results=(rule,)),
    )
    data = canonical_json(build.build_findings(scan).to_json())

    assert Findings.model_validate(json.loads(data)).rules[0].severity == "unknown"


def test_counts_require_every_verdict() -> None:
    data = build.build_findings(samples.scan()).to_json()
    del data["counts"]["error"]  # type: ignore[attr-defined]

    with pytest.raises(ValidationError, match="expected a count for each of pass"):
        Findings.model_validate(data)


def test_findings_without_fips_are_accepted() -> None:
    data = build.build_findings(samples.scan()).to_json()
    del data["fips"]

    assert Findings.model_validate(data).fips is None
    jsonschema.Draft202012Validator(json.loads(json_documents.build_findings_schema())).validate(
        data
    )
