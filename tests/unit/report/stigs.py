"""Scans whose rules stand for real requirements of DISA's STIG for RHEL 9."""

from dataclasses import replace

from hardpan.scanners.model import RuleResult, Scan, Verdict
from hardpan.scanners.report import fill
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.stig.table import Requirement, Stig, stig_for
from tests.unit.evidence import samples


def stig() -> Stig:
    found = stig_for("x_benchmark_RHEL-9")
    assert found is not None
    return found


def requirement(group: str) -> Requirement:
    return stig().by_group[group]


HIGH = requirement("V-257777")
"""CAT I."""

MEDIUM, OTHER = requirement("V-257778"), requirement("V-257779")
LOW = next(r for r in stig().requirements if r.severity == "low")


def rule(n: int, verdict: Verdict, *of: Requirement | str, **more: object) -> RuleResult:
    """A rule that stands for requirements, or for the ids that are given."""
    sv_ids = tuple(r if isinstance(r, str) else r.rule_id for r in of)
    joined = {"ccis": stig().ccis_of(sv_ids), "group_ids": stig().groups_of(sv_ids)}
    return samples.rule(n, verdict, sv_ids=sv_ids, engine="OVAL", **{**joined, **more})


def scan(*rules: RuleResult, **more: object) -> Scan:
    made = replace(samples.scan().evaluation, results=rules)
    return samples.scan(evaluation=made, **more)


def findings(*rules: RuleResult, **more: object) -> Findings:
    return fill.findings(scan(*rules, **more))


def report(*rules: RuleResult, **more: object) -> Report:
    return Report(
        findings=findings(*rules, **more),
        smoke=None,
        signer_sha256="ab" * 32,
        predicate_type="https://example.org/x",
    )
