import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from hardpan.core.files import canonical_json
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.formats.sarif import escape_message
from hardpan.scanners.report.registry import load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import hostile_scan, report_of

_SCHEMA = Path(__file__).parents[2] / "data" / "sarif" / "sarif-schema-2.1.0.json"
_ERROR_SCAN = samples.scan(
    evaluation=replace(samples.scan().evaluation, results=(samples.rule(1, Verdict.ERROR),))
)


@cache
def _schema() -> Draft4Validator:
    return Draft4Validator(json.loads(_SCHEMA.read_text("utf-8")))


def _render_run(scan: Scan) -> dict[str, Any]:
    (run,) = json.loads(load_renderer("sarif").render(report_of(scan)))["runs"]
    assert isinstance(run, dict)
    return run


def _render_result(verdict: Verdict, severity: str = "medium") -> dict[str, Any]:
    rule = samples.rule(1, verdict, severity=severity)
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))
    (result,) = _render_run(scan)["results"]
    assert isinstance(result, dict)
    return result


def test_driver_has_no_information_uri() -> None:
    driver = _render_run(samples.scan())["tool"]["driver"]

    assert driver["name"] == "hardpan"
    assert "informationUri" not in driver


@pytest.mark.parametrize("scan", [samples.scan(), hostile_scan(), _ERROR_SCAN])
def test_log_is_valid_canonical_json(scan: Scan) -> None:
    rendered = load_renderer("sarif").render(report_of(scan))
    log = json.loads(rendered)

    assert [e.message for e in _schema().iter_errors(log)] == []
    assert log["$schema"] == _schema().schema["id"]
    assert rendered == canonical_json(log)


def test_schema_rejects_invalid_kind() -> None:
    log = json.loads(load_renderer("sarif").render(report_of(samples.scan())))
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
def test_verdict_maps_to_kind_and_level(verdict: Verdict, kind: str, level: str) -> None:
    result = _render_result(verdict)

    assert (result["kind"], result["level"]) == (kind, level)


@pytest.mark.parametrize(
    ("severity", "level"),
    [("high", "error"), ("medium", "warning"), ("low", "note"), ("odd", "warning")],
)
def test_fail_level_follows_severity(severity: str, level: str) -> None:
    assert _render_result(Verdict.FAIL, severity)["level"] == level


def test_error_is_also_a_notification() -> None:
    (notification,) = _render_run(_ERROR_SCAN)["invocations"][0]["toolExecutionNotifications"]

    assert notification["level"] == "error"
    assert notification["associatedRule"] == {"id": samples.RULES[0].rule_id, "index": 0}
    assert _render_run(samples.scan())["invocations"][0]["toolExecutionNotifications"] == []


def test_only_active_waiver_suppresses() -> None:
    waived = _render_run(samples.scan())["results"][2]
    expired = replace(samples.WAIVER, is_active=False)
    expired_result = _render_run(samples.scan(waivers={samples.RULES[2].rule_id: expired}))[
        "results"
    ][2]

    (suppression,) = waived["suppressions"]
    assert (waived["kind"], suppression["kind"], suppression["status"]) == (
        "fail",
        "external",
        "accepted",
    )
    assert suppression["justification"] == (
        "needed by the build, see T-1 (build team, until 2027-01-31)"
    )
    assert "suppressions" not in expired_result
    assert "Inactive waiver: needed by the build, see T-1" in expired_result["message"]["text"]


def test_rules_reference_their_controls() -> None:
    run = _render_run(samples.scan())
    (target,) = [x["target"] for x in run["tool"]["driver"]["rules"][1]["relationships"]]

    assert run["taxonomies"][0]["taxa"][target["index"]] == {"id": "cm-6"}
    assert target["toolComponent"]["guid"] == run["taxonomies"][0]["guid"]


def test_evidence_is_escaped_in_messages() -> None:
    assert escape_message(r"[a](https://evil) {0} \[") == r"\[a\](https://evil) {{0}} \\\["
    rule = samples.rule(1, Verdict.FAIL, evidence_lines=("[log in](https://evil.example)",))
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))

    assert r"\[log in\](https://evil.example)" in _render_run(scan)["results"][0]["message"]["text"]


def test_hostile_host_name_is_percent_encoded() -> None:
    host = replace(samples.HOST, hostname="a/../b?c#d@evil.example:22")
    (location,) = _render_run(samples.scan(host=host))["results"][0]["locations"]

    address = location["physicalLocation"]["artifactLocation"]["uri"]
    assert address == "ssh://a%2F..%2Fb%3Fc%23d%40evil.example%3A22/"


def test_fingerprint_is_stable_across_scans() -> None:
    first = _render_run(samples.scan())["results"]
    later = _render_run(samples.scan(finished="2026-11-22T00:00:00Z"))["results"]
    prints = [x["partialFingerprints"]["ruleAndHost/v1"] for x in first]

    assert prints == [x["partialFingerprints"]["ruleAndHost/v1"] for x in later]
    assert len(set(prints)) == len(prints)
