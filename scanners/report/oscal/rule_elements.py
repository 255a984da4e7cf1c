"""The elements of each rule, which the assessment results and the POA&M both contain.

They are most of both documents, so their bytes are built once.
"""

from dataclasses import dataclass

from hardpan.core.files import canonical_json
from hardpan.core.last_call import cache_last_call
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal import elements
from hardpan.scanners.report.oscal.json_text import join_array
from hardpan.scanners.report.oscal.oscal_ids import OscalIds
from hardpan.scanners.report.registry import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleElements:
    """The elements of one rule or check, as RFC 8785 bytes."""

    rule: RulePart
    observation: bytes
    risk: bytes
    """Empty if the rule is neither open nor waived."""

    findings: tuple[bytes, ...]
    """Empty if the rule passed or does not apply."""

    finding_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedElements:
    """What both documents of one scan contain."""

    ids: OscalIds
    rules: tuple[RuleElements, ...]
    """In the order of the findings."""


@cache_last_call
def build_shared_elements(report: Report) -> SharedElements:
    """Build the elements of all rules."""
    ids = OscalIds(report)
    rules = tuple(_build_elements(r, report, ids) for r in report.findings.rules_and_checks)
    return SharedElements(ids=ids, rules=rules)


def _build_elements(rule: RulePart, report: Report, ids: OscalIds) -> RuleElements:
    has_risk = elements.has_risk(rule)  # then it did not pass
    has_passed = rule.verdict not in elements.NOT_PASSED
    findings = [] if has_passed else elements.build_oscal_findings(rule, ids)
    return RuleElements(
        rule=rule,
        observation=canonical_json(elements.build_observation(rule, report.findings, ids)),
        risk=canonical_json(elements.build_risk(rule, ids)) if has_risk else b"",
        findings=tuple(map(canonical_json, findings)),
        finding_ids=tuple(str(f["uuid"]) for f in findings),
    )


def collect_lists(rules: tuple[RuleElements, ...]) -> dict[str, bytes]:
    """Return the lists of the elements of ``rules``; OSCAL allows no empty ones."""
    lists = {
        "observations": [r.observation for r in rules],
        "risks": [r.risk for r in rules if r.risk],
        "findings": [finding for r in rules for finding in r.findings],
    }
    return {name: join_array(items) for name, items in lists.items() if items}
