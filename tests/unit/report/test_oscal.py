import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hardpan.files import canonical_json
from hardpan.scanners.model import Scan, Verdict
from hardpan.scanners.report.base import renderer
from hardpan.scanners.report.documents import Findings
from tests.unit.evidence import samples
from tests.unit.report.test_reports import EVIL, evil, report_of

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_OSCAL = ("oscal-ar", "oscal-poam")


def _drawn(name: str, scan: Scan) -> dict[str, Any]:
    (document,) = json.loads(renderer(name).render(report_of(scan))).values()
    assert isinstance(document, dict)
    return document


def _results(scan: Scan) -> dict[str, Any]:
    (result,) = _drawn("oscal-ar", scan)["results"]
    assert isinstance(result, dict)
    return result


def _nodes(value: object) -> Iterator[tuple[str, object]]:
    """Every key and value of every object in the document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def _of(verdict: Verdict, **more: object) -> Scan:
    rule = samples.rule(1, verdict, nist=("CM-6(a)", "AC-6(1)"), **more)
    return samples.scan(
        evaluation=replace(samples.scan().evaluation, results=(rule,)),
        waivers=more.get("waivers", {}),
    )


def _waived(*, holds: bool, verdict: Verdict = Verdict.FAIL) -> Scan:
    made = _of(verdict)
    rule_id = made.evaluation.results[0].rule_id
    return replace(made, waivers={rule_id: replace(samples.WAIVER, holds=holds)})


@pytest.mark.parametrize("name", _OSCAL)
@pytest.mark.parametrize("scan", [samples.scan(), evil(), _of(Verdict.PASS)])
def test_the_file_is_its_own_canonical_form_and_keeps_oscals_patterns(
    name: str, scan: Scan
) -> None:
    drawn = renderer(name).render(report_of(scan))
    made = json.loads(drawn)

    assert drawn == canonical_json(made)
    uuids = [v for k, v in _nodes(made) if k == "uuid"]
    assert len(uuids) == len(set(map(str, uuids)))
    for key, value in _nodes(made):
        assert value != []
        assert value != ""
        if key.endswith("uuid"):
            assert _UUID.fullmatch(str(value))
        if key in ("title", "value", "version", "id"):
            assert re.fullmatch(r"\S([^\n]*\S)?", str(value))
        if key in ("control-id", "target-id", "name", "reason", "lifecycle"):
            assert _TOKEN.fullmatch(str(value))


@pytest.mark.parametrize("name", _OSCAL)
def test_findings_read_back_from_their_file_draw_the_same(name: str) -> None:
    report = report_of(samples.scan())
    read = Findings.model_validate_json(renderer("findings").render(report))

    assert renderer(name).render(replace(report, findings=read)) == renderer(name).render(report)


@pytest.mark.parametrize("name", _OSCAL)
@pytest.mark.parametrize("scan", [samples.scan(), evil(), _of(Verdict.PASS)])
def test_every_reference_leads_somewhere(name: str, scan: Scan) -> None:
    nodes = list(_nodes(_drawn(name, scan)))
    defined = {v for k, v in nodes if k == "uuid"}
    referred = {v for k, v in nodes if k.endswith("-uuid")}
    links = {str(v)[1:] for k, v in nodes if k == "href" and str(v).startswith("#")}

    assert referred
    assert referred | links <= defined
    assert {v for k, v in nodes if k == "href"} - {f"#{x}" for x in links} == {"findings.json"}


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.NOT_SELECTED])
def test_nothing_is_ever_satisfied_and_what_did_not_pass_is_a_finding(verdict: Verdict) -> None:
    made = _results(_of(verdict))
    states = [x["target"]["status"] for x in made.get("findings", [])]
    passed = verdict in (
        Verdict.PASS,
        Verdict.FIXED,
        Verdict.NOT_APPLICABLE,
        Verdict.INFORMATIONAL,
    )

    reason = "fail" if verdict is Verdict.FAIL else "other"
    assert states == ([] if passed else [{"state": "not-satisfied", "reason": reason}] * 2)
    assert {"name": "verdict", "value": verdict.value} in [
        {k: v for k, v in p.items() if k != "ns"} for p in made["observations"][0]["props"]
    ]


def test_a_finding_points_at_the_part_of_the_control_that_the_content_names() -> None:
    made = _results(_of(Verdict.FAIL))

    assert [x["target"]["target-id"] for x in made["findings"]] == ["ac-6.1_smt", "cm-6_smt.a"]
    assert {x["target"]["type"] for x in made["findings"]} == {"statement-id"}
    (selection,) = made["reviewed-controls"]["control-selections"]
    assert selection == {"include-controls": [{"control-id": "ac-6.1"}, {"control-id": "cm-6"}]}


def test_a_rule_without_a_control_is_its_own_objective_and_no_control_is_made_up() -> None:
    plain = samples.rule(1, Verdict.FAIL, nist=("made up",))
    made = _results(samples.scan(evaluation=replace(samples.scan().evaluation, results=(plain,))))

    (finding,) = made["findings"]
    assert finding["target"]["type"] == "objective-id"
    assert finding["target"]["target-id"] == f"rule_{plain.rule_id}"
    (selection,) = made["reviewed-controls"]["control-selections"]
    assert selection["include-controls"] == [{"control-id": "none"}]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN])
def test_a_waiver_that_holds_is_an_approved_deviation_until_its_last_day_is_over(
    verdict: Verdict,
) -> None:
    made = _results(_waived(holds=True, verdict=verdict))

    (risk,) = made["risks"]
    assert risk["status"] == "deviation-approved"
    assert risk["deadline"] == "2027-01-31T23:59:59Z"
    assert {p["name"]: p["value"] for p in risk["props"] if p["name"].startswith("waiver")} == {
        "waiver-reason": "needed by the build, see T-1",
        "waiver-owner": "build team",
        "waiver-expires": "2027-01-31",
        "waiver-state": "holds",
    }
    assert {x["target"]["status"]["state"] for x in made["findings"]} == {"not-satisfied"}


def test_a_waiver_that_ended_leaves_the_risk_open_and_says_so() -> None:
    (risk,) = _results(_waived(holds=False))["risks"]

    assert risk["status"] == "open"
    assert "deadline" not in risk
    assert "Waiver that does not hold: needed by the build, see T-1" in risk["description"]


def test_a_waiver_on_a_rule_that_passes_is_no_risk() -> None:
    made = _results(_waived(holds=True, verdict=Verdict.PASS))

    assert "risks" not in made
    assert "findings" not in made


def test_the_plan_has_an_item_for_each_open_or_waived_rule_that_keeps_its_name() -> None:
    first = _drawn("oscal-poam", samples.scan())
    later = _drawn("oscal-poam", samples.scan(finished="2026-11-22T04:05:00Z"))
    states = [
        next(p["value"] for p in x["props"] if p["name"] == "state") for x in first["poam-items"]
    ]

    assert states == ["open", "waived"]
    assert [x["uuid"] for x in first["poam-items"]] == [x["uuid"] for x in later["poam-items"]]
    assert [x["uuid"] for x in first["risks"]] == [x["uuid"] for x in later["risks"]]
    assert first["uuid"] != later["uuid"]
    assert first["observations"][0]["uuid"] != later["observations"][0]["uuid"]


def test_a_plan_with_nothing_to_do_says_so() -> None:
    (item,) = _drawn("oscal-poam", _of(Verdict.PASS))["poam-items"]

    assert item["title"] == "Nothing to do"
    assert item["props"][0]["value"] == "placeholder"


def test_what_was_found_is_evidence_in_code_spans() -> None:
    rule = samples.rule(1, Verdict.FAIL, found=("PermitRootLogin yes", "a\n[x](https://evil)"))
    made = _results(samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,))))

    (evidence,) = made["observations"][0]["relevant-evidence"]
    assert evidence["description"] == "- `PermitRootLogin yes`\n- `a`\n- `[x](https://evil)`"


@pytest.mark.parametrize("name", _OSCAL)
def test_hostile_words_stay_inside_code_spans(name: str) -> None:
    shown = [
        str(v)
        for k, v in _nodes(_drawn(name, evil()))
        if k in ("title", "description", "statement") and "alert" in str(v)
    ]
    spans = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")

    assert EVIL.startswith("<script>")
    assert shown
    assert not [text for text in shown if "<" in spans.sub("", text)]
