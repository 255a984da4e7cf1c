"""Names and fixes in the SCAP content of ComplianceAsCode (scap-security-guide)."""

from dataclasses import dataclass
from typing import Final

RULE_PREFIX: Final = "xccdf_org.ssgproject.content_rule_"
"""Prefix of all rule ids; profiles and reports omit it."""

SEVERITIES: Final = ("high", "medium", "low")
"""Severities of the content's rules, the highest first; a rule may also have none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """The content's own fix for a rule."""

    rule_id: str
    """Full XCCDF id."""

    severity: str
    script: str
    """The fix as bash, with the profile's values; empty if the content has none."""

    stig_ids: tuple[str, ...] = ()
    sv_ids: tuple[str, ...] = ()
    cce: str = ""
    """These three name the rule in waivers, like ``rule_id``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWithoutFix:
    """A rule for which the content has no fix in bash."""

    rule_id: str
    """Full XCCDF id."""

    title: str
    severity: str
    has_check: bool
    """False if a person has to decide the rule."""

    stig_ids: tuple[str, ...] = ()
    sv_ids: tuple[str, ...] = ()
    cce: str = ""
    """These three name the rule in waivers, like ``rule_id``."""
