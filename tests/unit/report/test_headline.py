"""The headline: DISA's counts, what was not checked, and the gate, the same in all formats."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hardpan.profiles.schema.ssg import SEVERITIES
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.formats import pdf, text_summary
from hardpan.scanners.report.headline import Headline, HeadlineState, build_headline
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.registry import load_renderer
from hardpan.scanners.report.stig.checklist_model import find_content_stig
from tests.tools import report_sample
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of


def _headline(*results: Any, waived: dict[int, str] | None = None, **changes: Any) -> Headline:
    """The headline of rules without a STIG; ``waived`` maps rule numbers to last days."""
    waivers = {
        results[n - 1].rule_id: replace(samples.WAIVER, expires=day)
        for n, day in (waived or {}).items()
    }
    evaluation = replace(samples.scan().evaluation, results=results, benchmark_id="x")
    scan = samples.scan(evaluation=evaluation, waivers=waivers, checks=(), **changes)
    return build_headline(build_findings(scan))


def _rule(n: int, verdict: Verdict, severity: str = "medium", **changes: Any) -> Any:
    return samples.rule(n, verdict, severity=severity, **changes)


def test_waived_cat_i_is_open_but_passes_the_gate() -> None:
    headline = _headline(
        _rule(1, Verdict.FAIL, "high"), _rule(2, Verdict.PASS), waived={1: "2027-01-31"}
    )

    assert headline.describe() == "1 open (all waived until 2027-01-31)"
    assert headline.describe_categories() == "CAT I 1 (1 waived), CAT II 0, CAT III 0"
    assert headline.state is HeadlineState.OPEN
    assert headline.describe_gate("high") == ("passed (--fail-on high, 1 waived rule not counted)")
    assert headline.describe_gates() == "high, medium and low pass"


def test_first_of_several_waivers_to_end_is_named() -> None:
    headline = _headline(
        _rule(1, Verdict.FAIL), _rule(2, Verdict.ERROR), _rule(3, Verdict.FAIL, "low"),
        waived={1: "2027-03-01", 2: "2027-01-31"},
    )  # fmt: skip

    assert headline.describe_open() == "3 open (2 waived, the first until 2027-01-31)"
    assert headline.remarks == ("1 rule in error or unknown",)
    assert headline.describe_gates() == "high and medium pass; low fails"
    assert headline.describe_gate("low") == "failed (--fail-on low, 2 waived rules not counted)"
    assert headline.describe_gate("none") == "not evaluated (--fail-on none)"


def test_category_is_of_disas_severity() -> None:
    headline = _headline(
        _rule(1, Verdict.FAIL, "medium", disa_severity="high"),
        _rule(2, Verdict.FAIL, "high", disa_severity="low"),
        _rule(3, Verdict.FAIL, "unknown"),
    )

    assert headline.describe_categories() == ("CAT I 1, CAT II 0, CAT III 1, severity unknown 1")


@pytest.mark.parametrize(
    ("verdict", "role", "state"),
    [
        (Verdict.PASS, "full", HeadlineState.COMPLIANT),
        (Verdict.FIXED, "full", HeadlineState.COMPLIANT),
        (Verdict.NOT_APPLICABLE, "full", HeadlineState.COMPLIANT),
        (Verdict.FAIL, "unscored", HeadlineState.COMPLIANT),
        (Verdict.NOT_CHECKED, "full", HeadlineState.INCOMPLETE),
        (Verdict.ERROR, "full", HeadlineState.OPEN),
        (Verdict.UNKNOWN, "full", HeadlineState.OPEN),
        (Verdict.FAIL, "full", HeadlineState.OPEN),
    ],
)
def test_state_follows_from_every_verdict(
    verdict: Verdict, role: str, state: HeadlineState
) -> None:
    headline = _headline(_rule(1, Verdict.PASS), _rule(2, verdict, role=role))

    assert headline.state is state
    assert bool(headline.remarks) == (
        verdict in (Verdict.NOT_CHECKED, Verdict.ERROR, Verdict.UNKNOWN)
    )


@pytest.mark.parametrize(
    ("name", "outcome", "remark"),
    [
        ("a::b", "failed", "1 system check failed"),
        ("a::b", "error", "1 system check in error"),
        ("collect::privileges", "not_checked", "scanned without root rights"),
        ("collect::hostfacts", "not_checked", None),
        ("a::b", "skipped", None),
    ],
)
def test_failed_checks_and_missing_rights_are_remarks(
    name: str, outcome: Any, remark: str | None
) -> None:
    check = HostCheck(name=name, outcome=outcome, message="x", duration_s=0)
    evaluation = replace(samples.scan().evaluation, results=samples.RULES[:1], benchmark_id="x")
    headline = build_headline(
        build_findings(samples.scan(evaluation=evaluation, checks=(check,), waivers={}))
    )

    assert headline.remarks == (() if remark is None else (remark,))
    assert headline.state is (
        HeadlineState.COMPLIANT if remark is None else HeadlineState.INCOMPLETE
    )


def test_stig_scan_counts_the_requirements_of_its_checklist() -> None:
    report = report_sample.load_sample()
    headline = build_headline(report.findings)
    checklist = json.loads(load_renderer("cklb").render(report))
    rules = [r for s in checklist["stigs"] for r in s["rules"] if r["status"] == "open"]
    by_severity = {s: sum(r["severity"] == s for r in rules) for s in SEVERITIES}
    stig = find_content_stig(report.findings)

    assert stig is not None
    assert headline.unit == f"requirements of {stig.benchmark} {stig.revision}"
    assert {c.severity: c.open for c in headline.counts} == by_severity
    assert by_severity["high"] > 0
    assert 0 < headline.waived < headline.open


def test_open_check_with_a_severity_is_counted_by_category() -> None:
    check = HostCheck(name="a::b", outcome="failed", message="x", duration_s=0)
    evaluation = replace(samples.scan().evaluation, results=samples.RULES[:1], benchmark_id="x")
    findings = build_findings(samples.scan(evaluation=evaluation, checks=(check,), waivers={}))
    part = findings.checks[0].model_copy(update={"severity": "high", "title": "A check"})
    headline = build_headline(findings.model_copy(update={"checks": (part,)}))

    assert headline.describe_categories() == "CAT I 1, CAT II 0, CAT III 0"
    assert headline.state is HeadlineState.OPEN
    assert headline.describe_gate("high") == "failed (--fail-on high)"
    assert headline.remarks == ()


def test_other_profile_of_the_same_content_counts_rules() -> None:
    findings = report_sample.load_sample().findings
    content = findings.content.model_copy(
        update={"profile_id": "xccdf_org.ssgproject.content_profile_cis"}
    )
    headline = build_headline(findings.model_copy(update={"content": content}))

    assert headline.unit == "rules and checks"
    assert headline.open == sum(r.is_finding for r in findings.rules)
    assert f"{findings.counts['notchecked']} rules not checked" in headline.remarks


def test_every_format_with_a_headline_shows_the_same_text() -> None:
    report = report_of(samples.scan())
    headline = build_headline(report.findings)
    text = "2 open (1 waived until 2027-01-31)"

    assert headline.describe_open() == text
    assert headline.to_json()["text"] == headline.describe()
    assert text in load_renderer("html").render(report).decode()
    assert headline.describe() in load_renderer("summary").render(report).decode()
    assert headline.describe() in pdf.render_html(report)
    lines = " ".join(" ".join(text_summary.format_summary(report.findings, None)).split())
    assert headline.describe() in lines
