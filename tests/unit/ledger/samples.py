"""Scans that differ from the sample in what a test says."""

from dataclasses import replace

from hardpan.scanners.comparison.scan_diff import ScanSnapshot
from hardpan.scanners.model.scan import RuleResult, Scan, Verdict, Waiver
from hardpan.scanners.report.model import build
from tests.unit.evidence import samples

RULE_ID = "xccdf_org.ssgproject.content_rule_r{:03}"


def snapshot(scan: Scan, *, packages: bool = True) -> ScanSnapshot:
    """What is compared of ``scan``."""
    return ScanSnapshot(
        findings=build.build_findings(scan),
        smoke=None if scan.smoke is None else build.build_smoke_document(scan.smoke),
        packages=scan.packages if packages else None,
    )


def scan_of_rules(
    *rules: RuleResult, waivers: dict[str, Waiver] | None = None, **overrides: object
) -> Scan:
    """A scan with just these rules."""
    score = overrides.pop("score", 61.0)
    evaluation = replace(samples.slim_scan().evaluation, results=rules, score=score)  # type: ignore[arg-type]
    return samples.scan(evaluation=evaluation, waivers=waivers or {}, **overrides)


def scan_of_verdict(verdict: Verdict | None, *, waived: bool | None = None) -> Scan:
    """A scan whose rule 7 has ``verdict`` (None: is not selected); rule 1 always passes.

    ``waived``: a waiver is on record for rule 7, and holds or does not.
    """
    rules = [samples.rule(1, Verdict.PASS)]
    if verdict is not None:
        rules.append(samples.rule(7, verdict))
    waivers = (
        {} if waived is None else {RULE_ID.format(7): replace(samples.WAIVER, is_active=waived)}
    )
    return scan_of_rules(*rules, waivers=waivers)
