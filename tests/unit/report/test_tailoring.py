"""What a tailoring changed is in every report that people read, with its reasons."""

import json
from dataclasses import replace

import pytest
from lxml import html as parser

from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.registry import load_renderer
from hardpan.scanners.report.stig.checklist_model import (
    assess_requirements,
    format_finding_details,
)
from hardpan.scanners.stig.manual_stig import find_stig
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

EFFECT = "1 rule not evaluated, 1 rule added, 2 settings changed"


def _scan() -> Scan:
    return samples.tailored_scan(samples.scan())


def _with_tailoring(**changes: object) -> Scan:
    scan = _scan()
    tailoring = replace(samples.TAILORING, **changes)  # type: ignore[arg-type]
    content = replace(scan.evaluation.content, tailoring=tailoring)
    return replace(scan, evaluation=replace(scan.evaluation, content=content))


def test_findings_have_the_tailoring_with_reasons() -> None:
    tailoring = build_findings(_scan()).to_json()["content"]["tailoring"]  # type: ignore[index]

    assert {k: tailoring[k] for k in ("file", "format", "author", "sha256")} == {
        "file": "web.yaml",
        "format": "yaml",
        "author": "web team",
        "sha256": samples.TAILORING.sha256,
    }
    assert tailoring["unselected"] == [
        {
            "ruleId": "xccdf_org.ssgproject.content_rule_gone",
            "title": "A rule that is not needed",
            "severity": "high",
            "reason": "The appliance has none.",
            "svIds": [],
        }
    ]
    assert [(s["name"], s["base"], s["value"]) for s in tailoring["settings"]] == [
        ("v_limit", "3", "12"),
        ("severity", "low", "high"),
    ]
    assert "data" not in tailoring


def test_untailored_findings_have_no_tailoring() -> None:
    assert build_findings(samples.scan()).content.tailoring is None


def test_text_and_markdown_summary_name_file_author_and_effect() -> None:
    report = report_of(_scan())

    lines = [" ".join(line.split()) for line in format_summary(report.findings, None)]
    markdown = load_renderer("summary").render(report).decode()

    base = samples.TAILORING.base_profile_id
    assert f"tailoring web.yaml (by web team) of {base}: {EFFECT}" in " ".join(lines)
    assert f"sha256:{samples.TAILORING.sha256}" in lines
    assert f"## Tailoring: {EFFECT}\n" in markdown
    assert "- not evaluated: `xccdf_org.ssgproject.content_rule_gone / The appliance" in markdown
    assert f"- added: `{RULES[0].rule_id} / no reason stated`" in markdown
    assert "- changed: `v_limit: 3 -> 12 / Site rule.`" in markdown


def test_html_lists_each_change() -> None:
    page = parser.fromstring(load_renderer("html").render(report_of(_scan())).decode())

    text = " ".join(" ".join(page.get_element_by_id("tailoring").itertext()).split())
    verdict = " ".join(" ".join(page.get_element_by_id("verdict").itertext()).split())
    assert "By web team, as the file says." in text
    assert "Rules that were not evaluated 1" in text
    assert "A rule that is not needed xccdf_org.ssgproject.content_rule_gone The appliance" in text
    assert "v_limit 3 12 Site rule." in text
    assert f"Tailored profile : {EFFECT}" in verdict.replace("profile:", "profile :")


def test_tailoring_without_author_says_so() -> None:
    report = report_of(_with_tailoring(author="", base_profile_id=""))

    assert "(its author is not stated) with a profile of its own" in "\n".join(
        format_summary(report.findings, None)
    )
    assert "The file names no author." in load_renderer("html").render(report).decode()


def test_tailored_rule_that_oscap_did_not_report_is_not_listed_as_added() -> None:
    selected = (replace(samples.TAILORING.selected[0], rule_id="xccdf_x_rule_absent"),)

    tailoring = build_findings(_with_tailoring(selected=selected)).content.tailoring

    assert tailoring is not None
    assert tailoring.selected == ()


def test_hostile_tailoring_adds_no_markup() -> None:
    rule = replace(samples.TAILORING.unselected[0], reason="<script>x</script>\x1b[2J")

    page = load_renderer("html").render(report_of(_with_tailoring(unselected=(rule,)))).decode()

    assert "&lt;script&gt;x&lt;/script&gt;\ufffd[2J" in page


RULES = samples.RULES
CHANGES = (
    "not evaluated: xccdf_org.ssgproject.content_rule_gone / The appliance has none.",
    f"added: {RULES[0].rule_id} / no reason stated",
    "changed: v_limit: 3 -> 12 / Site rule.",
    f"changed: severity of {RULES[1].rule_id}: low -> high / Exposed.",
)


@pytest.mark.parametrize(
    ("name", "root"),
    [("oscal-ar", "assessment-results"), ("oscal-poam", "plan-of-action-and-milestones")],
)
def test_oscal_has_the_tailoring_as_a_resource(name: str, root: str) -> None:
    document = json.loads(load_renderer(name).render(report_of(_scan())))[root]
    untailored = json.loads(load_renderer(name).render(report_of(samples.scan())))[root]

    (resource,) = [
        r for r in document["back-matter"]["resources"] if r["title"] == "Tailoring `web.yaml`"
    ]
    digest = {"algorithm": "SHA-256", "value": samples.TAILORING.sha256}
    assert resource["rlinks"] == [{"href": "tailoring.yaml", "hashes": [digest]}]
    assert resource["remarks"].splitlines() == [f"- `{change}`" for change in CHANGES]
    assert {p["name"]: p["value"] for p in resource["props"]}["author"] == "web team"
    count = len(document["back-matter"]["resources"])
    assert len(untailored["back-matter"]["resources"]) == count - 1


def test_sarif_and_hdf_name_the_tailoring() -> None:
    report = report_of(_scan())

    run = json.loads(load_renderer("sarif").render(report))["runs"][0]
    profile = json.loads(load_renderer("hdf").render(report))["profiles"][0]

    assert run["properties"]["tailoring"] == {
        "file": "web.yaml",
        "sha256": samples.TAILORING.sha256,
        "effect": EFFECT,
        "changes": list(CHANGES),
    }
    assert profile["summary"].endswith(f", tailored by web.yaml, sha256:{samples.TAILORING.sha256}")
    untailored = report_of(samples.scan())
    assert b"tailor" not in load_renderer("sarif").render(untailored)


@pytest.mark.parametrize("name", ["ckl", "cklb"])
def test_checklists_name_the_tailoring_and_the_changes_of_a_rule(name: str) -> None:
    scan = _scan()
    stig = find_stig(scan.evaluation.benchmark_id)
    assert stig is not None
    results = tuple(
        replace(r, sv_ids=(stig.requirements[0].rule_id,)) if r.rule_id == RULES[1].rule_id else r
        for r in scan.evaluation.results
    )
    scan = replace(scan, evaluation=replace(scan.evaluation, results=results))

    text = load_renderer(name).render(report_of(scan)).decode()
    untailored = load_renderer(name).render(report_of(samples.scan())).decode()

    assert f"The profile is tailored by web.yaml, sha256:{samples.TAILORING.sha256}." in text
    changed_rule = shorten_id(RULES[1].rule_id)
    change = f"Tailoring of {changed_rule}: severity: low -> high / Exposed."
    assert change.replace(">", "&gt;" if name == "ckl" else ">") in text
    assert "tailor" not in untailored.lower()


@pytest.mark.parametrize("name", ["ckl", "cklb"])
def test_checklists_give_the_reason_of_an_unselected_rule_in_its_requirement(name: str) -> None:
    scan = _scan()
    stig = find_stig(scan.evaluation.benchmark_id)
    assert stig is not None
    requirement, other = stig.requirements[:2]
    sv_ids = (f"{requirement.rule_id}", "\x1b[2J")
    rule = replace(samples.TAILORING.unselected[0], sv_ids=sv_ids)

    findings = build_findings(_with_tailoring(unselected=(rule,)))
    text = load_renderer(name).render(report_of(_with_tailoring(unselected=(rule,)))).decode()

    reason = "Tailoring of gone: not evaluated / The appliance has none."
    details = {
        a.requirement.group_id: format_finding_details(a, findings)
        for a in assess_requirements(findings, stig)
    }
    assert reason in details[requirement.group_id].splitlines()
    assert reason not in details[other.group_id]
    assert text.count(reason) == 1
    assert findings.content.tailoring is not None
    assert findings.content.tailoring.unselected[0].sv_ids[1] == "\ufffd[2J"
