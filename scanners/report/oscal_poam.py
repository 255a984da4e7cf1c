"""OSCAL plan of action and milestones: one item per rule that is open or waived.

Items and risks keep their identifiers from scan to scan of a host, so that a
tracker knows them again. The plan sets no milestones: those are the owner's.
"""

from hardpan.scanners.report import oscal
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.literal import inline
from hardpan.scanners.report.oscal import Ids, Json
from hardpan.scanners.report.parts import Rule

_RFC4122 = "https://ietf.org/rfc/rfc4122"


class Poam:
    """``poam.json``."""

    def render(self, report: Report) -> bytes:
        """The document, valid OSCAL, in its RFC 8785 form."""
        found, ids = report.findings, Ids(report)
        rules = [r for r in found.rules if oscal.has_risk(r)]
        by_rule = {r.rule_id: oscal.findings_of(r, ids) for r in rules}
        lists = {
            "observations": [oscal.observation(r, found, ids) for r in rules],
            "risks": [oscal.risk(r, ids) for r in rules],
            "findings": [x for r in rules for x in by_rule[r.rule_id]],
        }
        return oscal.document(
            "plan-of-action-and-milestones",
            {
                "uuid": ids.of_scan("poam"),
                "metadata": oscal.metadata(found, "Plan of action and milestones"),
                "system-id": {"identifier-type": _RFC4122, "id": ids.lasting("host")},
                "local-definitions": {
                    "inventory-items": [oscal.inventory(found, ids)],
                    "assessment-assets": oscal.assets(found, ids),
                },
                **{name: made for name, made in lists.items() if made},
                "poam-items": [_item(r, by_rule[r.rule_id], ids) for r in rules]
                or [_nothing_open(ids)],
                "back-matter": {
                    "resources": [
                        oscal.content_resource(found, ids),
                        oscal.evidence_resource(ids),
                    ]
                },
            },
        )


def _item(rule: Rule, findings: list[Json], ids: Ids) -> Json:
    state = "waived" if rule.is_waived else "open"
    return {
        "uuid": ids.lasting("poam-item", rule.rule_id),
        "title": inline(rule.title),
        "description": (
            f"Rule {inline(rule.rule_id)}, severity {rule.severity}: {rule.verdict}, {state}."
        ),
        "props": oscal.props(("rule", rule.rule_id), ("severity", rule.severity), ("state", state)),
        "related-findings": [{"finding-uuid": x["uuid"]} for x in findings],
        "related-observations": [{"observation-uuid": ids.of_scan("observation", rule.rule_id)}],
        "related-risks": [{"risk-uuid": ids.lasting("risk", rule.rule_id)}],
    }


def _nothing_open(ids: Ids) -> Json:
    # A plan without an item is not valid OSCAL.
    return {
        "uuid": ids.lasting("poam-item"),
        "title": "Nothing to do",
        "description": "The scan left no rule open and none waived; this item stands for that.",
        "props": oscal.props(("state", "placeholder")),
    }
