"""Waivers: documented, time-limited deviations from rules, and their location in a file."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.rule_names import IdentifiedRule, matches_rule
from hardpan.profiles.schema.types import (
    DayText,
    Prose,
    RuleSelector,
    parse_date,
    validation_error,
)


class RuleWaiver(ProfileSection):
    """A documented, time-limited deviation from one or several rules."""

    rule: RuleSelector | None = None
    """The rule: XCCDF id (short or full), STIG id, SV id, V id, CCE, or a shell pattern such as
    ``partition_for_var*``."""

    rules: tuple[RuleSelector, ...] = ()
    """Several rules with the same reason, instead of ``rule``."""

    reason: Prose
    """Why the rule is not met."""

    owner: Prose
    """Who is responsible for it."""

    expires: Annotated[date, BeforeValidator(parse_date, json_schema_input_type=DayText)]
    """Last day on which the waiver is active, until 23:59:59 UTC, e.g. 2027-11-30."""

    @model_validator(mode="after")
    def _require_rule_or_rules(self) -> Self:
        if (self.rule is None) == (not self.rules):
            raise validation_error("expected one of rule and rules")
        return self

    @property
    def selectors(self) -> tuple[str, ...]:
        """The names of its rules, as they were written."""
        return self.rules if self.rule is None else (self.rule,)

    @property
    def label(self) -> str:
        """Its rules on one line, for messages."""
        return ", ".join(self.selectors)

    def matches(self, rule: IdentifiedRule) -> bool:
        """Return whether the waiver is for ``rule``."""
        return any(matches_rule(selector, rule) for selector in self.selectors)

    def has_expired(self, day: date) -> bool:
        """Return whether it is over on ``day`` (UTC); it is active on its whole last day."""
        return self.expires < day


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedWaiver:
    """A waiver and the place in the file that has it."""

    waiver: RuleWaiver
    source: str
    """``profile NAME``, or the name of the waiver file without its folder."""

    selector_locations: tuple[str, ...]
    """One for each of its selectors: ``file:line:column``, or the path of the setting."""
