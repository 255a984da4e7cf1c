"""Scans whose rules implement real requirements of DISA's STIG for RHEL 9."""

from dataclasses import replace

from hardpan.scanners.model.scan import RuleResult, Scan, Verdict
from hardpan.scanners.report.model import build
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report
from hardpan.scanners.stig.manual_stig import ManualStig, StigRequirement, find_stig
from tests.unit.evidence import samples


def stig() -> ManualStig:
    match = find_stig("x_benchmark_RHEL-9")
    assert match is not None
    return match


def requirement(group: str) -> StigRequirement:
    return stig().requirements_by_group[group]


HIGH = requirement("V-257777")
"""CAT I."""

MEDIUM, OTHER = requirement("V-257778"), requirement("V-257779")
LOW = next(r for r in stig().requirements if r.severity == "low")


def rule(
    n: int, verdict: Verdict, *requirements: StigRequirement | str, **overrides: object
) -> RuleResult:
    """Return a rule that implements requirements, which are objects or ids."""
    sv_ids = tuple(r if isinstance(r, str) else r.rule_id for r in requirements)
    stig_ids = {"ccis": stig().ccis_of(sv_ids), "group_ids": stig().groups_of(sv_ids)}
    return samples.rule(n, verdict, sv_ids=sv_ids, engine="OVAL", **{**stig_ids, **overrides})


def scan(*rules: RuleResult, **overrides: object) -> Scan:
    evaluation = replace(samples.scan().evaluation, results=rules)
    return samples.scan(evaluation=evaluation, **overrides)


def findings(*rules: RuleResult, **overrides: object) -> Findings:
    return build.build_findings(scan(*rules, **overrides))


def report(*rules: RuleResult, **overrides: object) -> Report:
    return Report(
        findings=findings(*rules, **overrides),
        smoke=None,
        signer_sha256="ab" * 32,
        predicate_type="https://example.org/x",
    )
