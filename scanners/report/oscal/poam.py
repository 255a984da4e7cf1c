"""OSCAL plan of action and milestones: one item per rule that is open or waived.

Items and risks keep their identifiers from scan to scan of a host, so that a
tracker can match them. The plan sets no milestones: the owner does.
"""

from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.oscal import elements
from hardpan.scanners.report.oscal.elements import Json
from hardpan.scanners.report.oscal.json_text import encode_members, join_object
from hardpan.scanners.report.oscal.oscal_ids import OscalIds
from hardpan.scanners.report.oscal.rule_elements import (
    RuleElements,
    build_shared_elements,
    collect_lists,
)
from hardpan.scanners.report.oscal.tailoring import build_tailoring_resources
from hardpan.scanners.report.registry import Report

_RFC4122 = "https://ietf.org/rfc/rfc4122"


class Poam:
    """``poam.json``."""

    def render(self, report: Report) -> bytes:
        """The document, valid OSCAL, in its RFC 8785 form."""
        findings, shared = report.findings, build_shared_elements(report)
        ids = shared.ids
        open_rules = tuple(r for r in shared.rules if r.risk)
        members = encode_members(
            {
                "uuid": ids.scan_id("poam"),
                "metadata": elements.build_metadata(findings, "Plan of action and milestones"),
                "system-id": {"identifier-type": _RFC4122, "id": ids.stable_id("host")},
                "local-definitions": {
                    "inventory-items": [elements.build_inventory_item(findings, ids)],
                    "assessment-assets": elements.build_assessment_assets(findings, ids),
                },
                "poam-items": [_build_item(r, ids) for r in open_rules]
                or [_build_placeholder_item(ids)],
                "back-matter": {
                    "resources": [
                        elements.build_content_resource(findings, ids),
                        *build_tailoring_resources(findings, ids),
                        elements.build_evidence_resource(ids),
                    ]
                },
            }
        )
        document = join_object(members | collect_lists(open_rules))
        return join_object({"plan-of-action-and-milestones": document})


def _build_item(open_rule: RuleElements, ids: OscalIds) -> Json:
    rule = open_rule.rule
    name, state = escape_inline(rule.rule_id), "waived" if rule.is_waived else "open"
    return {
        "uuid": ids.stable_id("poam-item", rule.rule_id),
        "title": escape_inline(rule.title),
        "description": f"Rule {name}, severity {rule.severity}: {rule.verdict}, {state}.",
        "props": elements.build_props(
            ("rule", rule.rule_id), ("severity", rule.severity), ("state", state)
        ),
        "related-findings": [{"finding-uuid": finding_id} for finding_id in open_rule.finding_ids],
        "related-observations": [{"observation-uuid": ids.scan_id("observation", rule.rule_id)}],
        "related-risks": [{"risk-uuid": ids.stable_id("risk", rule.rule_id)}],
    }


def _build_placeholder_item(ids: OscalIds) -> Json:
    # A plan without an item is not valid OSCAL.
    return {
        "uuid": ids.stable_id("poam-item"),
        "title": "No open or waived rules",
        "description": "No rule of the scan is open or waived. OSCAL requires at least one item.",
        "props": elements.build_props(("state", "placeholder")),
    }
