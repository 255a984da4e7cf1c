"""OSCAL assessment results: an observation per rule, findings and risks for what did not pass.

No control is reported as satisfied: a few automated rules cannot prove that. A rule that failed,
ended in an error, is unknown or was not checked makes its controls not-satisfied, whether it is
waived or not.
"""

from hardpan.scanners.report.model.counts import format_counts
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal import elements
from hardpan.scanners.report.oscal.elements import Json
from hardpan.scanners.report.oscal.json_text import encode_members, join_array, join_object
from hardpan.scanners.report.oscal.oscal_ids import OscalIds
from hardpan.scanners.report.oscal.rule_elements import build_shared_elements, collect_lists
from hardpan.scanners.report.oscal.tailoring import build_tailoring_resources
from hardpan.scanners.report.registry import Report

_CONTROLS_DESCRIPTION = (
    "Controls of NIST SP 800-53 that the selected rules refer to, by the identifiers that the "
    "content gives (revision 4), and those of hardpan's own checks (revision 5). The rules and "
    "checks test settings that belong to a control, never a control as a whole."
)


class AssessmentResults:
    """``assessment-results.json``."""

    def render(self, report: Report) -> bytes:
        """The document, valid OSCAL, in its RFC 8785 form."""
        findings, shared = report.findings, build_shared_elements(report)
        ids = shared.ids
        members = encode_members(
            {
                "uuid": ids.scan_id("assessment-results"),
                "metadata": elements.build_metadata(findings, "Assessment results"),
                "import-ap": {"href": f"#{ids.scan_id('content')}"},
                "back-matter": {
                    "resources": [
                        elements.build_content_resource(findings, ids),
                        *build_tailoring_resources(findings, ids),
                        elements.build_evidence_resource(ids),
                    ]
                },
            }
        )
        result = encode_members(_build_result(findings, ids)) | collect_lists(shared.rules)
        members["results"] = join_array([join_object(result)])
        return join_object({"assessment-results": join_object(members)})


def _build_result(findings: Findings, ids: OscalIds) -> Json:
    """Build the result without the lists of the elements of each rule."""
    return {
        "uuid": ids.scan_id("result"),
        "title": f"Scan of {escape_inline(findings.host.hostname)}",
        "description": (
            f"{len(findings.rules)} rules were selected: {format_counts(findings.counts)}. "
            f"hardpan ran {len(findings.check_rules)} checks of its own."
        ),
        "start": findings.started,
        "end": findings.finished,
        "props": elements.build_props(
            ("score", findings.score),
            *((f"count-{verdict}", str(n)) for verdict, n in sorted(findings.counts.items())),
        ),
        "local-definitions": {
            "inventory-items": [elements.build_inventory_item(findings, ids)],
            "assessment-assets": elements.build_assessment_assets(findings, ids),
        },
        "reviewed-controls": {
            "description": _CONTROLS_DESCRIPTION,
            "control-selections": [_build_control_selection(findings.rules_and_checks)],
        },
    }


def _build_control_selection(rules: tuple[RulePart, ...]) -> Json:
    controls = elements.select_controls(rules)
    if controls:
        return {"include-controls": controls}
    # The list may not be empty, and "all" would be false.
    return {
        "description": "No selected rule refers to a control; the identifier is none of NIST's.",
        "include-controls": [{"control-id": "none"}],
    }
