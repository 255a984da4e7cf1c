"""Decide about the rules of a profile that have no remediation."""

from collections.abc import Sequence
from dataclasses import dataclass

from hardpan.builder.stig_decisions.table import DecidedBy, DecisionTable, ExpectedVerdict
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.profiles.schema.ssg import RuleWithoutFix


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRule:
    """A rule without remediation and what a profile decides about it."""

    rule: RuleWithoutFix
    by: DecidedBy
    reason: str
    owner: str = ""
    """Who is responsible for a waiver."""

    expires: str = ""
    """Last day of a waiver, as ISO 8601."""

    verdict: ExpectedVerdict | None
    """Result of the rule in a scan of the finished image; None if it is undecided."""


def decide_rules(
    profile: Profile, rules: Sequence[RuleWithoutFix], table: DecisionTable
) -> tuple[DecidedRule, ...]:
    """Return the decision about each rule, in their order.

    A waiver of the profile takes precedence over the table, even an expired one: its day is shown.
    """
    return tuple(_decide(profile, rule, table) for rule in rules)


def _decide(profile: Profile, rule: RuleWithoutFix, table: DecisionTable) -> DecidedRule:
    waiver = next((w for w in profile.stig.waivers if w.matches(rule)), None)
    if waiver is not None:
        return DecidedRule(
            rule=rule,
            by=DecidedBy.WAIVER,
            reason=waiver.reason,
            owner=waiver.owner,
            expires=waiver.expires.isoformat(),
            verdict="fail" if rule.has_check else "notchecked",
        )
    name = shorten_id(rule.rule_id)
    for decision in table.decisions:
        if decision.rule == name and profile.stig.content in decision.products:
            alternative = next(a for a in decision.alternatives if a.when.holds(profile))
            return DecidedRule(
                rule=rule,
                by=alternative.by,
                reason=alternative.reason,
                verdict=alternative.verdict,
            )
    return DecidedRule(
        rule=rule,
        by=DecidedBy.UNDECIDED,
        reason="hardpan has no decision about this rule: decide how the site meets it.",
        verdict=None,
    )
