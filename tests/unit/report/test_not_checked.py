"""A part that was not checked is never a pass, in any format."""

import json

from hardpan.scanners.comparison.scan_diff import ScanSnapshot, compare_scans
from hardpan.scanners.evidence.predicates.test_result import build_statement
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.report.registry import Report, load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

REASON = "auditctl is not installed; install audit"


def report_with(outcome: str) -> Report:
    check = HostCheck(
        name="test_services::test_audit",
        outcome=outcome,  # type: ignore[arg-type]
        message="" if outcome == "passed" else REASON,
        duration_s=0,
    )
    return report_of(samples.scan(checks=(check,)))


def test_junit_skips_a_check_without_precondition() -> None:
    text = load_renderer("junit").render(report_with("not_checked")).decode()

    assert 'tests="1" failures="0" errors="0" skipped="1"' in text
    assert REASON in text


def test_html_and_summary_name_the_reason() -> None:
    report = report_with("not_checked")

    for name in ("html", "summary"):
        text = load_renderer(name).render(report).decode()
        assert "1 not checked" in text or "not checked 1" in text
        assert REASON in text


def test_test_result_warns() -> None:
    findings = report_with("not_checked").findings
    predicate = json.loads(json.dumps(build_statement(findings, None, {})))["predicate"]

    assert predicate["warnedTests"].count("check test_services::test_audit") == 1
    assert "check test_services::test_audit" not in predicate["passedTests"]


def test_pass_that_is_no_longer_checked_is_a_regression() -> None:
    baseline, current = (
        ScanSnapshot(findings=report_with(o).findings, smoke=None, packages=None)
        for o in ("passed", "not_checked")
    )

    regressions = compare_scans(baseline, current).regressions

    assert [(r.kind, r.baseline, r.current) for r in regressions] == [
        ("check", "passed", "not_checked")
    ]
