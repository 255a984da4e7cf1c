"""Names in the SCAP content of ComplianceAsCode (scap-security-guide)."""

from typing import Final

RULE_PREFIX: Final = "xccdf_org.ssgproject.content_rule_"
"""Prefix of all rule ids; profiles and reports omit it."""
