"""The rules whose verdict differs in two scans, and those that fail in both."""

from collections.abc import Iterable, Mapping

from hardpan.scanners.report.model.scan_changes import RuleChange
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import OPEN_VERDICTS, SEVERITIES


def find_rule_changes(
    baseline_rules: Mapping[str, RulePart], current_rules: Mapping[str, RulePart]
) -> tuple[RuleChange, ...]:
    """Return the rules with different verdicts, or in one of the scans only."""
    rule_changes = []
    for rule_id in baseline_rules.keys() | current_rules.keys():
        baseline_rule, current_rule = baseline_rules.get(rule_id), current_rules.get(rule_id)
        rule = current_rule or baseline_rule
        if rule is None or (
            baseline_rule and current_rule and baseline_rule.verdict == current_rule.verdict
        ):
            continue
        rule_changes.append(_make_change(rule, baseline_rule, current_rule))
    return _sort(rule_changes)


def find_still_failing(
    baseline_rules: Mapping[str, RulePart], current_rules: Mapping[str, RulePart]
) -> tuple[RuleChange, ...]:
    """Return the rules that fail, or have an error or no known result, in both scans."""
    return _sort(
        _make_change(rule, baseline_rules[rule_id], rule)
        for rule_id, rule in current_rules.items()
        if rule_id in baseline_rules
        and {rule.verdict, baseline_rules[rule_id].verdict} <= OPEN_VERDICTS
    )


def _make_change(rule: RulePart, baseline: RulePart | None, current: RulePart | None) -> RuleChange:
    return RuleChange(
        rule_id=rule.rule_id,
        title=rule.title,
        severity=rule.severity,
        stig_ids=rule.stig_ids,
        baseline=baseline.verdict if baseline else None,
        current=current.verdict if current else None,
        waived=current.is_waived if current else False,
    )


def _sort(changes: Iterable[RuleChange]) -> tuple[RuleChange, ...]:
    return tuple(sorted(changes, key=lambda c: (SEVERITIES.index(c.severity), c.rule_id)))
