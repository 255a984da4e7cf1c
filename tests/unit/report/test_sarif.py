import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from hardpan.files import canonical_json
from hardpan.scanners.model import Scan, Verdict
from hardpan.scanners.report.base import renderer
from hardpan.scanners.report.sarif import literal
from tests.unit.evidence import samples
from tests.unit.report.test_reports import evil, report_of

_SCHEMA = Path(__file__).parents[2] / "data" / "sarif" / "sarif-schema-2.1.0.json"
_ERROR = samples.scan(
    evaluation=replace(samples.scan().evaluation, results=(samples.rule(1, Verdict.ERROR),))
)


@cache
def _schema() -> Draft4Validator:
    return Draft4Validator(json.loads(_SCHEMA.read_text("utf-8")))


def _run(scan: Scan) -> dict[str, Any]:
    (run,) = json.loads(renderer("sarif").render(report_of(scan)))["runs"]
    assert isinstance(run, dict)
    return run


def _one(verdict: Verdict, severity: str = "medium") -> dict[str, Any]:
    rule = samples.rule(1, verdict, severity=severity)
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))
    (result,) = _run(scan)["results"]
    assert isinstance(result, dict)
    return result


def test_driver_has_no_link_that_leads_nowhere() -> None:
    driver = _run(samples.scan())["tool"]["driver"]

    assert driver["name"] == "hardpan"
    assert "informationUri" not in driver


@pytest.mark.parametrize("scan", [samples.scan(), evil(), _ERROR])
def test_the_log_is_valid_and_its_own_canonical_form(scan: Scan) -> None:
    drawn = renderer("sarif").render(report_of(scan))
    log = json.loads(drawn)

    assert [e.message for e in _schema().iter_errors(log)] == []
    assert log["$schema"] == _schema().schema["id"]
    assert drawn == canonical_json(log)


def test_the_schema_can_say_no() -> None:
    log = json.loads(renderer("sarif").render(report_of(samples.scan())))
    log["runs"][0]["results"][0]["kind"] = "passed"

    assert [e.validator for e in _schema().iter_errors(log)] == ["enum"]


@pytest.mark.parametrize(
    ("verdict", "kind", "level"),
    [
        (Verdict.PASS, "pass", "none"),
        (Verdict.FIXED, "pass", "none"),
        (Verdict.FAIL, "fail", "warning"),
        (Verdict.ERROR, "open", "none"),
        (Verdict.UNKNOWN, "open", "none"),
        (Verdict.NOT_CHECKED, "review", "none"),
        (Verdict.NOT_APPLICABLE, "notApplicable", "none"),
        (Verdict.INFORMATIONAL, "informational", "none"),
    ],
)
def test_a_verdict_has_one_kind_and_only_a_fail_has_a_level(
    verdict: Verdict, kind: str, level: str
) -> None:
    made = _one(verdict)

    assert (made["kind"], made["level"]) == (kind, level)


@pytest.mark.parametrize(
    ("severity", "level"),
    [("high", "error"), ("medium", "warning"), ("low", "note"), ("odd", "warning")],
)
def test_the_level_of_a_fail_is_its_severity(severity: str, level: str) -> None:
    assert _one(Verdict.FAIL, severity)["level"] == level


def test_an_error_is_told_as_a_notification_too() -> None:
    (told,) = _run(_ERROR)["invocations"][0]["toolExecutionNotifications"]

    assert told["level"] == "error"
    assert told["associatedRule"] == {"id": samples.RULES[0].rule_id, "index": 0}
    assert _run(samples.scan())["invocations"][0]["toolExecutionNotifications"] == []


def test_a_waiver_suppresses_only_while_it_holds() -> None:
    waived = _run(samples.scan())["results"][2]
    ended = replace(samples.WAIVER, holds=False)
    after = _run(samples.scan(waivers={samples.RULES[2].rule_id: ended}))["results"][2]

    (made,) = waived["suppressions"]
    assert (waived["kind"], made["kind"], made["status"]) == ("fail", "external", "accepted")
    assert made["justification"] == ("needed by the build, see T-1 (build team, until 2027-01-31)")
    assert "suppressions" not in after
    assert "Waiver that does not hold: needed by the build, see T-1" in after["message"]["text"]


def test_rules_point_at_the_controls_they_refer_to() -> None:
    run = _run(samples.scan())
    (target,) = [x["target"] for x in run["tool"]["driver"]["rules"][1]["relationships"]]

    assert run["taxonomies"][0]["taxa"][target["index"]] == {"id": "cm-6"}
    assert target["toolComponent"]["guid"] == run["taxonomies"][0]["guid"]


def test_what_was_found_makes_no_link_and_no_placeholder() -> None:
    assert literal(r"[a](https://evil) {0} \[") == r"\[a\](https://evil) {{0}} \\\["
    rule = samples.rule(1, Verdict.FAIL, found=("[log in](https://evil.example)",))
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))

    assert r"\[log in\](https://evil.example)" in _run(scan)["results"][0]["message"]["text"]


def test_a_hostile_host_name_stays_inside_its_address() -> None:
    host = replace(samples.HOST, hostname="a/../b?c#d@evil.example:22")
    (place,) = _run(samples.scan(host=host))["results"][0]["locations"]

    address = place["physicalLocation"]["artifactLocation"]["uri"]
    assert address == "ssh://a%2F..%2Fb%3Fc%23d%40evil.example%3A22/"


def test_the_fingerprint_is_of_rule_and_host_and_no_time() -> None:
    first = _run(samples.scan())["results"]
    later = _run(samples.scan(finished="2026-11-22T00:00:00Z"))["results"]
    prints = [x["partialFingerprints"]["ruleAndHost/v1"] for x in first]

    assert prints == [x["partialFingerprints"]["ruleAndHost/v1"] for x in later]
    assert len(set(prints)) == len(prints)
