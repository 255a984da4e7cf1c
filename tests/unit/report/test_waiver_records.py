"""What someone should change in the waivers is in every report that people read."""

from dataclasses import replace

import pytest
from lxml import html as parser

from hardpan.scanners.model.scan import Scan, WaiverRecord
from hardpan.scanners.model.waiver_status import WaiverStatus
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.registry import load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

UNMATCHED = WaiverRecord(
    selector="RHEL-09-000000",
    source="site.yaml",
    reason="the vendor requires it",
    owner="web team",
    expires="2027-01-31",
    rule_ids=(),
    status=WaiverStatus.UNMATCHED,
)


def _scan(*records: WaiverRecord) -> Scan:
    base = samples.scan()
    return replace(base, waiver_records=(*base.waiver_records, *records))


def test_findings_have_a_record_of_each_waiver() -> None:
    records = build_findings(_scan(UNMATCHED)).to_json()["waivers"]

    assert records == [
        {
            "selector": samples.RULES[2].rule_id,
            "source": "profile lab-stig",
            "reason": samples.WAIVER.reason,
            "owner": samples.WAIVER.owner,
            "expires": samples.WAIVER.expires,
            "ruleIds": [samples.RULES[2].rule_id],
            "status": "active",
        },
        {
            "selector": "RHEL-09-000000",
            "source": "site.yaml",
            "reason": "the vendor requires it",
            "owner": "web team",
            "expires": "2027-01-31",
            "ruleIds": [],
            "status": "unmatched",
        },
    ]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (WaiverStatus.UNMATCHED, "matches no rule of this scan"),
        (WaiverStatus.EXPIRED, "expired on 2027-01-31"),
        (WaiverStatus.STALE, "not needed any more: the rule passes"),
    ],
)
def test_waiver_to_review_is_in_summaries_and_html(status: WaiverStatus, text: str) -> None:
    report = report_of(_scan(replace(UNMATCHED, status=status)))

    summary = "\n".join(format_summary(report.findings, None))
    markdown = load_renderer("summary").render(report).decode()
    page = parser.fromstring(load_renderer("html").render(report).decode())
    section = " ".join(" ".join(page.get_element_by_id("waivers").itertext()).split())

    assert f"warning: RHEL-09-000000 (site.yaml): {text}" in summary
    assert "## Waivers to review: 1\n" in markdown
    assert f"- {text}: `RHEL-09-000000 / site.yaml / the vendor requires it" in markdown
    assert f"{text} RHEL-09-000000 site.yaml the vendor requires it web team" in section


@pytest.mark.parametrize("status", [WaiverStatus.ACTIVE, WaiverStatus.UNUSED])
def test_other_waivers_are_no_warning(status: WaiverStatus) -> None:
    report = report_of(_scan(replace(UNMATCHED, status=status)))

    assert report.findings.waiver_warnings() == ()
    assert "warning" not in "\n".join(format_summary(report.findings, None))
    assert "Waivers to review" not in load_renderer("summary").render(report).decode()


def test_long_list_of_warnings_is_cut_in_the_text_summary() -> None:
    records = tuple(replace(UNMATCHED, selector=f"rule_{n}") for n in range(25))

    lines = format_summary(build_findings(_scan(*records)), None)

    assert sum("warning: rule_" in line for line in lines) == 20
    assert any("and 5 more, in findings.json" in line for line in lines)
