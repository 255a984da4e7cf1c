import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.registry import Report, load_renderer
from tests.unit.evidence import samples
from tests.unit.report import stig_samples
from tests.unit.report.stig_samples import HIGH, LOW, MEDIUM, OTHER, report, rule

TEXT = {"type": "string"}
ARRAY: dict[str, Any] = {"type": "array"}
# What exec-json 1.0 asks for; everything else in it may be there or not.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["platform", "profiles", "statistics", "version"],
    "properties": {
        "platform": {"required": ["name", "release"], "additionalProperties": TEXT},
        "version": TEXT,
        "statistics": {"type": "object"},
        "profiles": {
            "minItems": 1,
            "items": {
                "required": ["name", "sha256", "supports", "attributes", "groups", "controls"],
                "properties": {"name": TEXT, "sha256": TEXT, "groups": ARRAY, "supports": ARRAY},
            },
        },
    },
}
CONTROL: dict[str, Any] = {
    "required": ["id", "impact", "refs", "tags", "source_location", "results"],
    "properties": {
        "id": TEXT,
        "title": TEXT,
        "desc": TEXT,
        "impact": {"type": "number", "minimum": 0, "maximum": 1},
        "refs": ARRAY,
        "tags": {"type": "object"},
        "source_location": {"type": "object"},
        "descriptions": {"items": {"required": ["label", "data"], "additionalProperties": TEXT}},
        "results": {
            "minItems": 1,
            "items": {
                "required": ["code_desc", "start_time", "status"],
                "properties": {"status": {"enum": ["passed", "failed", "skipped", "error"]}},
                "additionalProperties": TEXT,
            },
        },
        "waiver_data": {
            "properties": {
                "expiration_date": TEXT,
                "justification": TEXT,
                "run": {"const": True},
                "skipped_due_to_waiver": {"const": False},
                "message": TEXT,
            },
            "additionalProperties": False,
        },
    },
}


def render_controls(sample: Report) -> dict[str, dict[str, Any]]:
    data = json.loads(load_renderer("hdf").render(sample))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    (profile,) = data["profiles"]
    for control in profile["controls"]:
        jsonschema.Draft202012Validator(CONTROL).validate(control)
    return {c["id"]: c for c in profile["controls"]}


def control_id(group: stig_samples.StigRequirement) -> str:
    return group.group_id


def heimdall_status(control: dict[str, Any]) -> str:
    """The status that inspecjs computes, rule for rule."""
    states = [r["status"] for r in control["results"]]
    if "error" in states:
        return "Profile Error"
    if control.get("waiver_data", {}).get("skipped_due_to_waiver") or control["impact"] == 0:
        return "Not Applicable"
    order = {"failed": "Failed", "passed": "Passed", "skipped": "Not Reviewed"}
    return next((label for state, label in order.items() if state in states), "Profile Error")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass"], "Passed"),
        (["fixed"], "Passed"),
        (["fail", "pass"], "Failed"),
        (["fail", "error"], "Failed"),
        (["error", "pass"], "Profile Error"),
        (["unknown"], "Profile Error"),
        (["notchecked", "pass"], "Not Reviewed"),
        (["informational"], "Not Reviewed"),
        (["notapplicable"], "Not Applicable"),
        (["notapplicable", "pass"], "Passed"),
        ([], "Not Reviewed"),
    ],
)
def test_heimdall_status_matches_each_verdict(verdicts: list[str], expected: str) -> None:
    sample = report(*(rule(n, Verdict(v), HIGH) for n, v in enumerate(verdicts)))

    assert heimdall_status(render_controls(sample)[control_id(HIGH)]) == expected


def test_waiver_does_not_change_failure() -> None:
    fail, error = rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.ERROR, MEDIUM)
    passing = rule(3, Verdict.PASS, LOW)
    active_waivers = dict.fromkeys([fail.rule_id, error.rule_id, passing.rule_id], samples.WAIVER)
    controls_by_id = render_controls(report(fail, error, passing, waivers=active_waivers))

    assert heimdall_status(controls_by_id[control_id(HIGH)]) == "Failed"
    assert heimdall_status(controls_by_id[control_id(MEDIUM)]) == "Profile Error"
    waiver = controls_by_id[control_id(HIGH)]["waiver_data"]
    assert waiver["expiration_date"] == "2027-01-31"
    assert "needed by the build, see T-1" in waiver["justification"]
    assert waiver["skipped_due_to_waiver"] is False
    assert "waiver_data" not in controls_by_id[control_id(LOW)]
    assert not any("attestation_data" in c for c in controls_by_id.values())


def test_expired_waiver_is_reported() -> None:
    fail = rule(1, Verdict.FAIL, HIGH)
    expired = {fail.rule_id: replace(samples.WAIVER, is_active=False)}

    assert render_controls(report(fail, waivers=expired))[control_id(HIGH)]["waiver_data"][
        "message"
    ] == ("Waiver expired; the result counts.")


def test_tags_contain_stig_ids_and_nist_controls() -> None:
    controls_by_id = render_controls(report(rule(1, Verdict.PASS, OTHER, nist=("CM-6(a)",))))
    tags = controls_by_id[control_id(OTHER)]["tags"]

    assert tags["gid"] == "V-257779"
    assert tags["rid"] == "SV-257779r958390_rule"
    assert tags["stig_id"] == "RHEL-09-211020"
    assert tags["cci"][:2] == ["CCI-000048", "CCI-001384"]
    assert tags["nist"] == ["AC-8", "Rev_5"]
    assert controls_by_id[control_id(OTHER)]["impact"] == 0.5
    assert controls_by_id[control_id(HIGH)]["impact"] == 0.7


def test_unassigned_rule_becomes_a_control() -> None:
    unassigned = rule(7, Verdict.FAIL, nist=("CM-6(a)",), severity="low", evidence_lines=("a: b",))
    controls_by_id = render_controls(report(unassigned, rule(8, Verdict.NOT_APPLICABLE)))

    assert len(controls_by_id) == 445 + 2
    assert heimdall_status(controls_by_id["r007"]) == "Failed"
    assert controls_by_id["r007"]["tags"]["nist"] == ["CM-6(a)"]
    assert controls_by_id["r007"]["results"][0]["message"] == "r007: fail (engine: OVAL)\n  a: b"
    assert heimdall_status(controls_by_id["r008"]) == "Not Applicable"


def test_content_without_supported_stig_lists_rules_as_controls() -> None:
    findings = stig_samples.findings(rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.NOT_CHECKED))
    content = findings.content.model_copy(update={"benchmark_id": "x_benchmark_SLE-15"})
    other = findings.model_copy(update={"content": content, "stig": None})
    controls_by_id = render_controls(replace(report(), findings=other))

    assert {name: heimdall_status(c) for name, c in controls_by_id.items()} == {
        "r001": "Failed",
        "r002": "Not Reviewed",
    }
