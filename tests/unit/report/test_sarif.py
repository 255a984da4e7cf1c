import gzip
import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.model.scan import RuleResult, Scan, Verdict
from hardpan.scanners.report.formats import sarif, sarif_limits
from hardpan.scanners.report.formats.sarif_rules import escape_message, to_message
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


def _scan_of(*rules: RuleResult, **overrides: object) -> Scan:
    return samples.scan(evaluation=replace(samples.scan().evaluation, results=rules), **overrides)


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
        (Verdict.FAIL, "fail", "warning"),
        (Verdict.ERROR, "open", "none"),
        (Verdict.UNKNOWN, "open", "none"),
    ],
)
def test_open_verdict_maps_to_kind_and_level(verdict: Verdict, kind: str, level: str) -> None:
    result = _render_result(verdict)

    assert (result["kind"], result["level"]) == (kind, level)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict.PASS,
        Verdict.FIXED,
        Verdict.NOT_CHECKED,
        Verdict.NOT_APPLICABLE,
        Verdict.INFORMATIONAL,
    ],
)
def test_rule_that_is_not_open_has_no_result(verdict: Verdict) -> None:
    rules = (samples.rule(1, verdict), samples.rule(2, Verdict.FAIL))
    run = _render_run(_scan_of(*rules))

    assert [r["ruleId"] for r in run["results"]] == [rules[1].rule_id]
    assert [r["id"] for r in run["tool"]["driver"]["rules"]] == [rules[1].rule_id]


def test_unscored_rule_has_no_result() -> None:
    assert _render_run(_scan_of(samples.rule(1, Verdict.FAIL, role="unscored")))["results"] == []


@pytest.mark.parametrize(
    ("severity", "level"),
    [("high", "error"), ("medium", "warning"), ("low", "note"), ("odd", "warning")],
)
def test_fail_level_follows_severity(severity: str, level: str) -> None:
    assert _render_result(Verdict.FAIL, severity)["level"] == level


def test_level_is_that_of_the_higher_severity() -> None:
    rule = samples.rule(1, Verdict.FAIL, severity="low", disa_severity="high")
    run = _render_run(_scan_of(rule))
    (descriptor,) = run["tool"]["driver"]["rules"]

    assert (run["results"][0]["level"], descriptor["defaultConfiguration"]["level"]) == (
        "error",
        "error",
    )
    assert descriptor["properties"]["security-severity"] == "8.0"
    assert (descriptor["properties"]["severity"], descriptor["properties"]["disaSeverity"]) == (
        "low",
        "high",
    )


def test_error_is_also_a_notification() -> None:
    (notification,) = _render_run(_ERROR_SCAN)["invocations"][0]["toolExecutionNotifications"]

    assert notification["level"] == "error"
    assert notification["associatedRule"] == {"id": samples.RULES[0].rule_id, "index": 0}


def test_only_active_waiver_leaves_a_rule_out() -> None:
    rule_id = samples.RULES[2].rule_id
    expired = replace(samples.WAIVER, is_active=False)
    waived_run = _render_run(samples.scan())
    expired_run = _render_run(samples.scan(waivers={rule_id: expired}))
    by_id = {r["ruleId"]: r for r in expired_run["results"]}

    assert rule_id not in {r["ruleId"] for r in waived_run["results"]}
    assert "Inactive waiver: needed by the build, see T-1" in by_id[rule_id]["message"]["text"]


def test_notifications_count_unlisted_rules() -> None:
    invocation = _render_run(samples.scan())["invocations"][0]
    texts = {
        n["message"]["text"]: (n["level"], n["properties"]["count"])
        for n in invocation["toolExecutionNotifications"]
    }

    assert texts == {
        "Not listed: 1 rules with an active waiver. findings.csv has them.": ("note", 1),
        "Not listed: 1 rules without an automated check, which need a manual review. "
        "findings.csv has them.": ("note", 1),
    }


def test_rules_reference_their_controls() -> None:
    run = _render_run(samples.scan())
    (target,) = [x["target"] for x in run["tool"]["driver"]["rules"][0]["relationships"]]

    assert run["taxonomies"][0]["taxa"][target["index"]] == {"id": "cm-6"}
    assert target["toolComponent"]["guid"] == run["taxonomies"][0]["guid"]


def test_evidence_is_escaped_in_messages() -> None:
    assert escape_message(r"[a](https://evil) {0} \[") == r"\[a\](https://evil) {{0}} \\\["
    rule = samples.rule(1, Verdict.FAIL, evidence_lines=("[log in](https://evil.example)",))
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))

    assert r"\[log in\](https://evil.example)" in _render_run(scan)["results"][0]["message"]["text"]


def test_category_is_the_percent_encoded_host() -> None:
    host = replace(samples.HOST, hostname="a/../b?c#d@evil.example:22")
    category = _render_run(samples.scan(host=host))["automationDetails"]["id"]

    assert category == "hardpan/a%2F..%2Fb%3Fc%23d%40evil.example%3A22/"
    long_host = replace(samples.HOST, hostname="a" * 10_000)
    assert _render_run(samples.scan(host=long_host))["automationDetails"]["id"] == (
        f"hardpan/{'a' * sarif_limits.MAX_CATEGORY_CHARACTERS}/"
    )


@pytest.mark.parametrize("lines", [("one",), ("one", "two", "three"), ("x" * 200_000, '"\r\n"')])
def test_region_is_the_row_of_the_rule(lines: tuple[str, ...]) -> None:
    rules = (
        samples.rule(1, Verdict.PASS, evidence_lines=lines),
        samples.rule(2, Verdict.FAIL, evidence_lines=lines, severity="low"),
        samples.rule(3, Verdict.NOT_CHECKED, fix_text="first\nsecond\r\nthird"),
        samples.rule(4, Verdict.FAIL, severity="high"),
    )
    report = report_of(_scan_of(*rules))
    table = load_renderer("csv").render(report)
    (run,) = json.loads(load_renderer("sarif").render(report))["runs"]
    table_lines = table.decode().split("\n")
    (artifact,) = run["artifacts"]

    assert artifact["hashes"] == {"sha-256": sha256_bytes(table)}
    assert artifact["length"] == len(table)
    assert [r["ruleId"] for r in run["results"]] == [rules[3].rule_id, rules[1].rule_id]
    for result in run["results"]:
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {
            "uri": "findings.csv",
            "index": 0,
        }
        region = location["physicalLocation"]["region"]
        line = table_lines[region["startLine"] - 1]
        assert f'"{result["ruleId"]}"' in line
        assert region["endColumn"] == len(line.removesuffix("\r")) + 1
        assert (region["startColumn"], region["endLine"]) == (1, region["startLine"])


def test_fingerprint_is_stable_across_scans() -> None:
    first = _render_run(samples.scan())["results"]
    later = _render_run(samples.scan(finished="2026-11-22T00:00:00Z"))["results"]
    prints = [x["partialFingerprints"]["ruleAndHost/v1"] for x in first]

    assert prints == [x["partialFingerprints"]["ruleAndHost/v1"] for x in later]
    assert len(set(prints)) == len(prints)


def test_fingerprints_of_two_hosts_differ() -> None:
    unidentified = replace(samples.HOST, host_key_sha256="", machine_id_hmac="")
    hosts = (
        samples.HOST,
        replace(samples.HOST, host_key_sha256="SHA256:other"),
        unidentified,
        replace(unidentified, hostname="other"),
    )
    results = [_render_run(samples.scan(host=host))["results"][0] for host in hosts]

    for name in ("ruleAndHost/v1", "primaryLocationLineHash"):
        assert len({r["partialFingerprints"][name] for r in results}) == len(hosts)


def test_results_above_the_limit_are_the_least_severe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sarif_limits.MAX_RESULTS == 25_000  # a hundredth of it takes a hundredth of the time
    monkeypatch.setattr(sarif, "MAX_RESULTS", 250)
    template = samples.rule(1, Verdict.FAIL, severity="low")
    many = tuple(
        replace(template, rule_id=f"{template.rule_id}_{n}", severity="high" if n % 3 else "medium")
        for n in range(300)
    )
    log = load_renderer("sarif").render(report_of(_scan_of(*many)))
    (run,) = json.loads(log)["runs"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert len(run["results"]) == len(run["tool"]["driver"]["rules"]) == 250
    assert [r["level"] for r in run["results"]] == ["error"] * 200 + ["warning"] * 50
    assert (notification["level"], notification["properties"]["count"]) == ("warning", 50)
    assert 100 * len(gzip.compress(log, 6)) < 10_000_000


def test_results_are_left_out_until_the_compressed_log_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sarif_limits, "MAX_COMPRESSED_BYTES", 40_000)
    template = samples.rule(1, Verdict.FAIL)
    noise = random.Random(1)  # noqa: S311
    rules = tuple(
        replace(
            template,
            rule_id=f"{template.rule_id}_{n}",
            severity="high" if n == 399 else "low",
            evidence_lines=(noise.randbytes(200).hex(),),
        )
        for n in range(400)
    )
    log = load_renderer("sarif").render(report_of(_scan_of(*rules)))
    (run,) = json.loads(log)["runs"]
    count = len(run["results"])
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert 30_000 < len(gzip.compress(log, 6)) <= 40_000
    assert run["results"][0]["ruleId"] == rules[399].rule_id
    assert notification["properties"]["count"] == 400 - count > 0


@pytest.mark.parametrize("text", ["[" * 5_000, "a" * 5_000, "{]" * 900])
def test_long_text_is_cut_between_escapes(text: str) -> None:
    message = to_message(text, 1024)["text"]

    assert isinstance(message, str)
    assert 1015 < len(message) <= 1024
    assert message.endswith(" …")
    prefix = message.removesuffix(" …")
    assert prefix == escape_message(text)[: len(prefix)]
    assert to_message("[x]", 1024) == {"text": "\\[x\\]"}


def test_rule_name_never_repeats_the_id() -> None:
    rules = (samples.rule(1, Verdict.FAIL), samples.rule(2, Verdict.FAIL, rule_id="plain"))
    first, second = _render_run(_scan_of(*rules))["tool"]["driver"]["rules"]

    assert (first["name"], second["id"]) == ("r001", "plain")
    assert "name" not in second


def test_rule_has_at_most_twenty_tags() -> None:
    ids = tuple(f"RHEL-09-2110{n}" for n in range(10, 50))
    (rule,) = _render_run(_scan_of(samples.rule(1, Verdict.FAIL, stig_ids=ids)))["tool"]["driver"][
        "rules"
    ]

    assert rule["properties"]["tags"] == ["security", *ids[:19]]
