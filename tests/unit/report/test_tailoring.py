"""What a tailoring changed is in every report that people read, with its reasons."""

from dataclasses import replace

from lxml import html as parser

from hardpan.scanners.model.scan import Scan
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.registry import load_renderer
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
    assert f"- added: `{samples.RULES[0].rule_id} / no reason stated`" in markdown
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
