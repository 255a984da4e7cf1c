"""OSCAL plan of action and milestones: one item per rule that is open or waived.

Items and risks keep their identifiers from scan to scan of a host, so that a
tracker can match them. The plan sets no milestones: the owner does.
"""

from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal import elements
from hardpan.scanners.report.oscal.elements import Json
from hardpan.scanners.report.oscal.oscal_ids import OscalIds
from hardpan.scanners.report.oscal.tailoring import build_tailoring_resources
from hardpan.scanners.report.registry import Report

_RFC4122 = "https://ietf.org/rfc/rfc4122"


class Poam:
    """``poam.json``."""

    def render(self, report: Report) -> bytes:
        """The document, valid OSCAL, in its RFC 8785 form."""
        findings, ids = report.findings, OscalIds(report)
        rules = [r for r in findings.rules_and_checks if elements.has_risk(r)]
        findings_by_rule = {r.rule_id: elements.build_oscal_findings(r, ids) for r in rules}
        lists = {
            "observations": [elements.build_observation(r, findings, ids) for r in rules],
            "risks": [elements.build_risk(r, ids) for r in rules],
            "findings": [x for r in rules for x in findings_by_rule[r.rule_id]],
        }
        return elements.serialize_document(
            "plan-of-action-and-milestones",
            {
                "uuid": ids.scan_id("poam"),
                "metadata": elements.build_metadata(findings, "Plan of action and milestones"),
                "system-id": {"identifier-type": _RFC4122, "id": ids.stable_id("host")},
                "local-definitions": {
                    "inventory-items": [elements.build_inventory_item(findings, ids)],
                    "assessment-assets": elements.build_assessment_assets(findings, ids),
                },
                **{name: items for name, items in lists.items() if items},
                "poam-items": [_build_item(r, findings_by_rule[r.rule_id], ids) for r in rules]
                or [_build_placeholder_item(ids)],
                "back-matter": {
                    "resources": [
                        elements.build_content_resource(findings, ids),
                        *build_tailoring_resources(findings, ids),
                        elements.build_evidence_resource(ids),
                    ]
                },
            },
        )


def _build_item(rule: RulePart, findings: list[Json], ids: OscalIds) -> Json:
    name, state = escape_inline(rule.rule_id), "waived" if rule.is_waived else "open"
    return {
        "uuid": ids.stable_id("poam-item", rule.rule_id),
        "title": escape_inline(rule.title),
        "description": f"Rule {name}, severity {rule.severity}: {rule.verdict}, {state}.",
        "props": elements.build_props(
            ("rule", rule.rule_id), ("severity", rule.severity), ("state", state)
        ),
        "related-findings": [{"finding-uuid": x["uuid"]} for x in findings],
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
