"""hardpan's own checks appear next to the rules in every format, count alike, and can be waived."""

import csv
import io
import json
import re

import jsonschema
import pytest
from lxml import etree

from hardpan.scanners.comparison.scan_diff import ScanSnapshot, compare_scans
from hardpan.scanners.evidence.policy.model import TrustPolicy
from hardpan.scanners.evidence.verify import thresholds
from hardpan.scanners.evidence.verify.consistency import _are_checks_unique
from hardpan.scanners.evidence.verify.waiver_records import are_waivers_consistent
from hardpan.scanners.ledger.entries import summary_columns
from hardpan.scanners.model.results import CheckDefinition, CheckOutcome, HostCheck
from hardpan.scanners.model.scan import Waiver, WaiverRecord
from hardpan.scanners.model.waiver_status import WaiverStatus
from hardpan.scanners.report.formats.json_documents import build_findings_schema
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.registry import Report, load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

CHECK_ID = "hardpan-check-secure-boot"
DEFINITION = CheckDefinition(
    title="UEFI Secure Boot is enabled",
    severity="high",
    nist=("SI-7(9)",),
    rationale="Firmware starts any boot loader.",
    remedy="Enable Secure Boot.",
)
WAIVER = Waiver(reason="no UEFI", owner="site", expires="2099-01-01", is_active=True)


def test_ledger_column_counts_open_checks() -> None:
    open_check, waived_check = make_report("failed"), make_report("failed", waived=True)

    open_counts, waived_counts = (
        json.loads(summary_columns(report.findings)["open_findings"])
        for report in (open_check, waived_check)
    )

    rule_counts = open_check.findings.count_open_by_severity()
    assert open_counts == rule_counts | {"high": rule_counts["high"] + 1}
    assert waived_counts == rule_counts


def make_report(outcome: CheckOutcome, *, waived: bool = False) -> Report:
    check = HostCheck(
        name=CHECK_ID,
        outcome=outcome,
        message="" if outcome == "passed" else "Secure Boot: disabled",
        observed="Secure Boot: disabled",
        duration_s=0.5,
        definition=DEFINITION,
    )
    if not waived:
        return report_of(samples.scan(checks=(check,)))
    record = WaiverRecord(
        selector=CHECK_ID,
        source="site.yaml",
        reason=WAIVER.reason,
        owner=WAIVER.owner,
        expires=WAIVER.expires,
        rule_ids=(CHECK_ID,),
        status=WaiverStatus.ACTIVE,
    )
    scan = samples.scan(checks=(check,))
    return report_of(
        samples.scan(
            checks=(check,),
            waivers={**scan.waivers, CHECK_ID: WAIVER},
            waiver_records=(*scan.waiver_records, record),
        )
    )


def render(name: str, report: Report) -> str:
    return load_renderer(name).render(report).decode()


@pytest.mark.parametrize(
    "name",
    ["findings", "html", "summary", "sarif", "csv", "hdf", "oscal-ar", "oscal-poam", "junit"],
)
def test_open_check_is_in_every_format(name: str) -> None:
    text = render(name, make_report("failed"))

    assert CHECK_ID in text
    assert "Secure Boot: disabled" in text
    assert "Enable Secure Boot" in text
    assert re.search(r"si-7\.9|SI-7\(9\)", text) is not None or name == "summary"


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_checklist_has_requirements_of_disa_only(name: str) -> None:
    assert CHECK_ID not in render(name, make_report("failed"))


@pytest.mark.parametrize(
    ("outcome", "verdict", "kinds", "state", "hdf"),
    [
        ("passed", "pass", [], "closed", "passed"),
        ("failed", "fail", ["fail"], "open", "failed"),
        ("error", "error", ["open"], "open", "error"),
        ("not_checked", "notchecked", [], "not checked", "skipped"),
        ("skipped", "notapplicable", [], "closed", "skipped"),
    ],
)
def test_outcome_maps_to_the_verdict_of_a_rule(
    outcome: CheckOutcome, verdict: str, kinds: list[str], state: str, hdf: str
) -> None:
    report = make_report(outcome)
    run = json.loads(render("sarif", report))["runs"][0]
    results = [r for r in run["results"] if r["ruleId"] == CHECK_ID]
    (row,) = (
        r for r in csv.DictReader(io.StringIO(render("csv", report))) if r["rule"] == CHECK_ID
    )
    (control,) = (
        c
        for c in json.loads(render("hdf", report))["profiles"][0]["controls"]
        if c["id"] == CHECK_ID
    )
    observations = json.loads(render("oscal-ar", report))["assessment-results"]["results"][0][
        "observations"
    ]

    rules = run["tool"]["driver"]["rules"]
    assert [rules[r["ruleIndex"]]["id"] for r in results] == [CHECK_ID] * len(kinds)
    assert [r["kind"] for r in results] == kinds
    assert (row["verdict"], row["state"], row["severity"]) == (verdict, state, "high")
    assert control["results"][0]["status"] == hdf
    assert sum(f"Rule {CHECK_ID}: {verdict}" in o["description"] for o in observations) == 1


def test_findings_with_a_check_fit_the_schema() -> None:
    document = json.loads(render("findings", make_report("failed", waived=True)))

    jsonschema.Draft202012Validator(json.loads(build_findings_schema())).validate(document)
    (check,) = document["checks"]
    assert check["severity"] == "high"
    assert check["nist"] == ["SI-7(9)"]
    assert check["waiver"]["reason"] == "no UEFI"


def test_open_check_counts_like_a_rule() -> None:
    passed, failed, waived = (
        r.findings.count_open_for_thresholds()["high"]
        for r in (make_report("passed"), make_report("failed"), make_report("failed", waived=True))
    )

    assert failed == passed + 1
    assert waived == passed
    assert make_report("failed").findings.count_open_checks_by_severity() == {"high": 1}
    assert make_report("error").findings.count_open_checks_by_severity() == {"high": 1}
    for outcome in ("passed", "not_checked", "skipped"):
        report = make_report(outcome)  # type: ignore[arg-type]
        assert report.findings.count_open_checks_by_severity() == {}


def test_policy_that_does_not_accept_the_waiver_counts_the_check() -> None:
    findings = make_report("failed", waived=True).findings
    policies = [
        TrustPolicy.model_construct(waivers=(selector,), max_open={}, max_counts={})
        for selector in ("hardpan-check-*", "some-other-rule")
    ]

    accepted, refused = (
        thresholds._drop_waivers(findings, p).count_open_checks_by_severity() for p in policies
    )

    assert accepted == {}
    assert refused == {"high": 1}


def test_waived_check_is_marked_in_formats() -> None:
    report = make_report("failed", waived=True)
    case = etree.fromstring(load_renderer("junit").render(report)).find(
        f".//testcase[@name='{CHECK_ID}']"
    )

    assert CHECK_ID not in render("sarif", report)
    assert case is not None
    assert [child.tag for child in case] == ["skipped"]
    assert "waiver: no UEFI" in (case[0].get("message") or "")
    assert are_waivers_consistent(report.findings)


def test_forged_waiver_of_a_check_is_noticed() -> None:
    findings = make_report("failed", waived=True).findings
    forged = findings.model_copy(update={"waivers": findings.waivers[:-1]})

    assert are_waivers_consistent(findings)
    assert not are_waivers_consistent(forged)


def test_text_summary_lists_open_checks_with_remedy() -> None:
    lines = format_summary(make_report("failed").findings, None)

    text = " ".join(" ".join(lines).split())
    assert f"high {CHECK_ID}: failed, Secure Boot: disabled; Enable Secure Boot." in text


def test_waived_failure_of_a_check_is_no_regression() -> None:
    baseline = ScanSnapshot(findings=make_report("passed").findings, smoke=None, packages=None)

    def regressions_of(report: Report) -> list[str]:
        current = ScanSnapshot(findings=report.findings, smoke=None, packages=None)
        return [r.name for r in compare_scans(baseline, current).regressions]

    assert regressions_of(make_report("failed")) == [CHECK_ID]
    assert regressions_of(make_report("failed", waived=True)) == []


def test_duplicate_or_foreign_check_id_is_noticed() -> None:
    findings = make_report("failed").findings
    (check,) = findings.checks

    assert _are_checks_unique(findings)
    for checks in ((check, check), (check.model_copy(update={"name": "aide"}),)):
        assert not _are_checks_unique(findings.model_copy(update={"checks": checks}))
