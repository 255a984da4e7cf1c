import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hardpan.core.files import canonical_json
from hardpan.core.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.oscal.oscal_ids import OscalIds
from hardpan.scanners.report.registry import load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import EVIL, hostile_scan, report_of

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_OSCAL = ("oscal-ar", "oscal-poam")


def _render_document(name: str, scan: Scan) -> dict[str, Any]:
    (document,) = json.loads(load_renderer(name).render(report_of(scan))).values()
    assert isinstance(document, dict)
    return document


def _render_result(scan: Scan) -> dict[str, Any]:
    (result,) = _render_document("oscal-ar", scan)["results"]
    assert isinstance(result, dict)
    return result


def _walk_nodes(value: object) -> Iterator[tuple[str, object]]:
    """Every key and value of every object in the document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk_nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk_nodes(inner)


def _scan_with_verdict(verdict: Verdict, **overrides: object) -> Scan:
    rule = samples.rule(1, verdict, nist=("CM-6(a)", "AC-6(1)"), **overrides)
    return samples.scan(
        evaluation=replace(samples.scan().evaluation, results=(rule,)),
        waivers=overrides.get("waivers", {}),
    )


def _waived_scan(*, active: bool, verdict: Verdict = Verdict.FAIL) -> Scan:
    scan = _scan_with_verdict(verdict)
    rule_id = scan.evaluation.results[0].rule_id
    return replace(scan, waivers={rule_id: replace(samples.WAIVER, is_active=active)})


def test_identifiers_are_version_5_uuids_of_the_host() -> None:
    report = report_of(samples.scan())
    host = report.findings.host
    identity = f"{host.machine_id_hmac}\n{host.host_key_sha256}\n{host.hostname}"
    host_id = uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, OSCAL_NAMESPACE), identity)

    assert OscalIds(report).stable_id("risk", "é") == str(uuid.uuid5(host_id, "risk\né"))


@pytest.mark.parametrize("name", _OSCAL)
@pytest.mark.parametrize("scan", [samples.scan(), hostile_scan(), _scan_with_verdict(Verdict.PASS)])
def test_document_is_canonical_json_with_valid_oscal_values(name: str, scan: Scan) -> None:
    rendered = load_renderer(name).render(report_of(scan))
    document = json.loads(rendered)

    assert rendered == canonical_json(document)
    uuids = [v for k, v in _walk_nodes(document) if k == "uuid"]
    assert len(uuids) == len(set(map(str, uuids)))
    for key, value in _walk_nodes(document):
        assert value != []
        assert value != ""
        if key.endswith("uuid"):
            assert _UUID.fullmatch(str(value))
        if key in ("title", "value", "version", "id"):
            assert re.fullmatch(r"\S([^\n]*\S)?", str(value))
        if key in ("control-id", "target-id", "name", "reason", "lifecycle"):
            assert _TOKEN.fullmatch(str(value))


@pytest.mark.parametrize("name", _OSCAL)
def test_findings_from_file_render_identically(name: str) -> None:
    report = report_of(samples.scan())
    parsed = Findings.model_validate_json(load_renderer("findings").render(report))

    assert load_renderer(name).render(replace(report, findings=parsed)) == load_renderer(
        name
    ).render(report)


@pytest.mark.parametrize("name", _OSCAL)
@pytest.mark.parametrize("scan", [samples.scan(), hostile_scan(), _scan_with_verdict(Verdict.PASS)])
def test_every_reference_resolves(name: str, scan: Scan) -> None:
    nodes = list(_walk_nodes(_render_document(name, scan)))
    defined = {v for k, v in nodes if k == "uuid"}
    references = {v for k, v in nodes if k.endswith("-uuid")}
    links = {str(v)[1:] for k, v in nodes if k == "href" and str(v).startswith("#")}

    assert references
    assert references | links <= defined
    assert {v for k, v in nodes if k == "href"} - {f"#{x}" for x in links} == {"findings.json"}


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.NOT_SELECTED])
def test_only_non_passing_verdicts_become_findings(verdict: Verdict) -> None:
    result = _render_result(_scan_with_verdict(verdict))
    states = [x["target"]["status"] for x in result.get("findings", [])]
    has_passed = verdict in (
        Verdict.PASS,
        Verdict.FIXED,
        Verdict.NOT_APPLICABLE,
        Verdict.INFORMATIONAL,
    )

    reason = "fail" if verdict is Verdict.FAIL else "other"
    assert states == ([] if has_passed else [{"state": "not-satisfied", "reason": reason}] * 2)
    assert {"name": "verdict", "value": verdict.value} in [
        {k: v for k, v in p.items() if k != "ns"} for p in result["observations"][0]["props"]
    ]


def test_finding_targets_control_statement() -> None:
    result = _render_result(_scan_with_verdict(Verdict.FAIL))

    assert [x["target"]["target-id"] for x in result["findings"]] == ["ac-6.1_smt", "cm-6_smt.a"]
    assert {x["target"]["type"] for x in result["findings"]} == {"statement-id"}
    (selection,) = result["reviewed-controls"]["control-selections"]
    assert selection == {"include-controls": [{"control-id": "ac-6.1"}, {"control-id": "cm-6"}]}


def test_rule_without_control_is_a_separate_objective() -> None:
    rule = samples.rule(1, Verdict.FAIL, nist=("made up",))
    result = _render_result(
        samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))
    )

    (finding,) = result["findings"]
    assert finding["target"]["type"] == "objective-id"
    assert finding["target"]["target-id"] == f"rule_{rule.rule_id}"
    (selection,) = result["reviewed-controls"]["control-selections"]
    assert selection["include-controls"] == [{"control-id": "none"}]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN])
def test_active_waiver_is_approved_deviation_with_deadline(
    verdict: Verdict,
) -> None:
    result = _render_result(_waived_scan(active=True, verdict=verdict))

    (risk,) = result["risks"]
    assert risk["status"] == "deviation-approved"
    assert risk["deadline"] == "2027-01-31T23:59:59Z"
    assert {p["name"]: p["value"] for p in risk["props"] if p["name"].startswith("waiver")} == {
        "waiver-reason": "needed by the build, see T-1",
        "waiver-owner": "build team",
        "waiver-expires": "2027-01-31",
        "waiver-state": "active",
    }
    assert {x["target"]["status"]["state"] for x in result["findings"]} == {"not-satisfied"}


def test_expired_waiver_leaves_risk_open() -> None:
    (risk,) = _render_result(_waived_scan(active=False))["risks"]

    assert risk["status"] == "open"
    assert "deadline" not in risk
    assert "Inactive waiver: needed by the build, see T-1" in risk["description"]


def test_waiver_on_passing_rule_is_no_risk() -> None:
    result = _render_result(_waived_scan(active=True, verdict=Verdict.PASS))

    assert "risks" not in result
    assert "findings" not in result


def test_poam_items_keep_their_ids_across_scans() -> None:
    first = _render_document("oscal-poam", samples.scan())
    later = _render_document("oscal-poam", samples.scan(finished="2026-11-22T04:05:00Z"))
    states = [
        next(p["value"] for p in x["props"] if p["name"] == "state") for x in first["poam-items"]
    ]

    assert states == ["open", "waived"]
    assert [x["uuid"] for x in first["poam-items"]] == [x["uuid"] for x in later["poam-items"]]
    assert [x["uuid"] for x in first["risks"]] == [x["uuid"] for x in later["risks"]]
    assert first["uuid"] != later["uuid"]
    assert first["observations"][0]["uuid"] != later["observations"][0]["uuid"]


def test_poam_without_open_rules_has_placeholder() -> None:
    (item,) = _render_document("oscal-poam", _scan_with_verdict(Verdict.PASS))["poam-items"]

    assert item["title"] == "No open or waived rules"
    assert item["props"][0]["value"] == "placeholder"


def test_evidence_lines_are_code_spans() -> None:
    rule = samples.rule(
        1, Verdict.FAIL, evidence_lines=("PermitRootLogin yes", "a\n[x](https://evil)")
    )
    result = _render_result(
        samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))
    )

    (evidence,) = result["observations"][0]["relevant-evidence"]
    assert evidence["description"] == "- `PermitRootLogin yes`\n- `a`\n- `[x](https://evil)`"


@pytest.mark.parametrize("name", _OSCAL)
def test_hostile_text_stays_inside_code_spans(name: str) -> None:
    texts = [
        str(v)
        for k, v in _walk_nodes(_render_document(name, hostile_scan()))
        if k in ("title", "description", "statement") and "alert" in str(v)
    ]
    spans = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")

    assert EVIL.startswith("<script>")
    assert texts
    assert not [text for text in texts if "<" in spans.sub("", text)]
