"""Check the counts and the score of the findings against the policy's thresholds."""

from hardpan.profiles.schema.rule_names import RuleNames, matches_rule
from hardpan.scanners.evidence.policy.model import TrustPolicy
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Exceeded,
    Passed,
    Skipped,
)
from hardpan.scanners.report.model.documents import Findings


def check_thresholds(context: VerificationContext) -> CheckOutcome:
    """Check that counts and score are within the policy's thresholds; more is ``Exceeded``."""
    findings, policy = context.evidence.findings, context.policy
    if exceeded := _find_exceeded(findings, policy):
        return Exceeded("; ".join(exceeded))
    if not any(
        (policy.max_counts, policy.max_open, policy.max_compatibility, policy.min_score is not None)
    ):
        return Skipped("the policy sets no thresholds")
    return Passed()


def _find_exceeded(findings: Findings, policy: TrustPolicy) -> list[str]:
    """Describe each exceeded threshold."""
    open_counts = _drop_waivers(findings, policy).count_open_for_thresholds()
    thresholds = [(str(v), findings.counts[v], maximum) for v, maximum in policy.max_counts.items()]
    thresholds += [(f"open {s}", open_counts[s], maximum) for s, maximum in policy.max_open.items()]
    exceeded = [f"{name}: {n}, at most {maximum}" for name, n, maximum in thresholds if n > maximum]
    exceeded += _find_exceeded_compatibility(findings, policy)
    if policy.min_score is not None and float(findings.score) < policy.min_score:
        exceeded.append(f"score: {findings.score}, at least {policy.min_score:g}")
    return exceeded


def _drop_waivers(findings: Findings, policy: TrustPolicy) -> Findings:
    """Return the findings without the waivers that the policy does not accept."""
    accepted = policy.waivers
    if accepted is None:
        return findings
    rules = tuple(
        rule
        if rule.waiver is None or any(matches_rule(selector, rule) for selector in accepted)
        else rule.model_copy(update={"waiver": None})
        for rule in findings.rules
    )
    checks = tuple(
        check
        if check.waiver is None
        or any(matches_rule(selector, RuleNames(rule_id=check.name)) for selector in accepted)
        else check.model_copy(update={"waiver": None})
        for check in findings.checks
    )
    return findings.model_copy(update={"rules": rules, "checks": checks})


def _find_exceeded_compatibility(findings: Findings, policy: TrustPolicy) -> list[str]:
    if not policy.max_compatibility:
        return []
    if findings.compatibility is None:
        return ["compatibility checks: none ran, the policy limits them"]
    counts = findings.compatibility.count_verdicts()
    thresholds = [
        (name, counts[name], maximum) for name, maximum in policy.max_compatibility.items()
    ]
    return [
        f"compatibility {name}: {n}, at most {maximum}"
        for name, n, maximum in thresholds
        if n > maximum
    ]
