import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from hardpan.scanners.model import Verdict
from hardpan.scanners.report.base import Report, renderer
from tests.unit.evidence import samples
from tests.unit.report import stigs
from tests.unit.report.stigs import HIGH, LOW, MEDIUM, OTHER, report, rule

TEXT = {"type": "string"}
MANY: dict[str, Any] = {"type": "array"}
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
                "properties": {"name": TEXT, "sha256": TEXT, "groups": MANY, "supports": MANY},
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
        "refs": MANY,
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


def controls(made: Report) -> dict[str, dict[str, Any]]:
    data = json.loads(renderer("hdf").render(made))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    (profile,) = data["profiles"]
    for one in profile["controls"]:
        jsonschema.Draft202012Validator(CONTROL).validate(one)
    return {c["id"]: c for c in profile["controls"]}


def of(group: stigs.Requirement) -> str:
    return group.rule_id.removesuffix("_rule")


def heimdall(control: dict[str, Any]) -> str:
    """The status that inspecjs computes, rule for rule."""
    states = [r["status"] for r in control["results"]]
    if "error" in states:
        return "Profile Error"
    if control.get("waiver_data", {}).get("skipped_due_to_waiver") or control["impact"] == 0:
        return "Not Applicable"
    order = {"failed": "Failed", "passed": "Passed", "skipped": "Not Reviewed"}
    return next((told for state, told in order.items() if state in states), "Profile Error")


@pytest.mark.parametrize(
    ("verdicts", "told"),
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
def test_heimdall_reads_each_verdict_as_it_is(verdicts: list[str], told: str) -> None:
    made = report(*(rule(n, Verdict(v), HIGH) for n, v in enumerate(verdicts)))

    assert heimdall(controls(made)[of(HIGH)]) == told


def test_a_waiver_turns_no_failure_into_anything_else() -> None:
    fail, error = rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.ERROR, MEDIUM)
    fine = rule(3, Verdict.PASS, LOW)
    holds = dict.fromkeys([fail.rule_id, error.rule_id, fine.rule_id], samples.WAIVER)
    made = controls(report(fail, error, fine, waivers=holds))

    assert heimdall(made[of(HIGH)]) == "Failed"
    assert heimdall(made[of(MEDIUM)]) == "Profile Error"
    waiver = made[of(HIGH)]["waiver_data"]
    assert waiver["expiration_date"] == "2027-01-31"
    assert "needed by the build, see T-1" in waiver["justification"]
    assert waiver["skipped_due_to_waiver"] is False
    assert "waiver_data" not in made[of(LOW)]
    assert not any("attestation_data" in c for c in made.values())


def test_a_waiver_that_ended_says_so() -> None:
    fail = rule(1, Verdict.FAIL, HIGH)
    ended = {fail.rule_id: replace(samples.WAIVER, holds=False)}

    assert controls(report(fail, waivers=ended))[of(HIGH)]["waiver_data"]["message"] == (
        "Waiver expired; the result counts."
    )


def test_tags_carry_disas_ids_and_the_right_controls() -> None:
    made = controls(report(rule(1, Verdict.PASS, OTHER, nist=("CM-6(a)",))))
    tags = made[of(OTHER)]["tags"]

    assert tags["gid"] == "V-257779"
    assert tags["rid"] == "SV-257779r958390_rule"
    assert tags["stig_id"] == "RHEL-09-211020"
    assert tags["cci"][:2] == ["CCI-000048", "CCI-001384"]
    assert tags["nist"] == ["AC-8", "Rev_5"]
    assert made[of(OTHER)]["impact"] == 0.5
    assert made[of(HIGH)]["impact"] == 0.7


def test_a_rule_that_stands_for_no_requirement_is_a_control_of_its_own() -> None:
    alone = rule(7, Verdict.FAIL, nist=("CM-6(a)",), severity="low", found=("a: b",))
    made = controls(report(alone, rule(8, Verdict.NOT_APPLICABLE)))

    assert len(made) == 445 + 2
    assert heimdall(made["r007"]) == "Failed"
    assert made["r007"]["tags"]["nist"] == ["CM-6(a)"]
    assert made["r007"]["results"][0]["message"] == "r007: fail (OVAL)\n  a: b"
    assert heimdall(made["r008"]) == "Not Applicable"


def test_content_without_a_stig_on_record_has_its_rules_as_controls() -> None:
    found = stigs.findings(rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.NOT_CHECKED))
    content = found.content.model_copy(update={"benchmark_id": "x_benchmark_SLE-15"})
    other = found.model_copy(update={"content": content, "stig": None})
    made = controls(replace(report(), findings=other))

    assert {name: heimdall(c) for name, c in made.items()} == {
        "r001": "Failed",
        "r002": "Not Reviewed",
    }
