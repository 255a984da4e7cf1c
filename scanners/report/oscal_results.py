"""OSCAL assessment results: an observation per rule, findings and risks for what did not pass.

No control is ever called satisfied: a few automated rules cannot show that. What
failed, ended in an error, stayed unknown or was not checked makes the controls it
speaks for not satisfied, a waiver or none.
"""

from hardpan.scanners.report import oscal
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.literal import inline
from hardpan.scanners.report.oscal import Ids, Json
from hardpan.scanners.report.parts import Rule
from hardpan.scanners.report.summary import counts

_ABOUT_CONTROLS = (
    "Controls of NIST SP 800-53 that the selected rules refer to, by the identifiers that the "
    "content gives (revision 4). The rules test settings that belong to a control, never a "
    "control as a whole."
)


class AssessmentResults:
    """``assessment-results.json``."""

    def render(self, report: Report) -> bytes:
        """The document, valid OSCAL, in its RFC 8785 form."""
        found, ids = report.findings, Ids(report)
        return oscal.document(
            "assessment-results",
            {
                "uuid": ids.of_scan("assessment-results"),
                "metadata": oscal.metadata(found, "Assessment results"),
                "import-ap": {"href": f"#{ids.of_scan('content')}"},
                "results": [_result(found, ids)],
                "back-matter": {
                    "resources": [
                        oscal.content_resource(found, ids),
                        oscal.evidence_resource(ids),
                    ]
                },
            },
        )


def _result(found: Findings, ids: Ids) -> Json:
    rules = found.rules
    made: Json = {
        "uuid": ids.of_scan("result"),
        "title": f"Scan of {inline(found.host.hostname)}",
        "description": f"{len(rules)} rules were selected: {counts(found.counts)}.",
        "start": found.started,
        "end": found.finished,
        "props": oscal.props(
            ("score", found.score),
            *((f"count-{verdict}", str(n)) for verdict, n in sorted(found.counts.items())),
        ),
        "local-definitions": {
            "inventory-items": [oscal.inventory(found, ids)],
            "assessment-assets": oscal.assets(found, ids),
        },
        "reviewed-controls": {
            "description": _ABOUT_CONTROLS,
            "control-selections": [_selection(rules)],
        },
    }
    lists = {
        "observations": [oscal.observation(r, found, ids) for r in rules],
        "risks": [oscal.risk(r, ids) for r in rules if oscal.has_risk(r)],
        "findings": [
            x for r in rules if r.verdict in oscal.NOT_PASSED for x in oscal.findings_of(r, ids)
        ],
    }
    # OSCAL knows no empty lists.
    return {**made, **{name: made for name, made in lists.items() if made}}


def _selection(rules: tuple[Rule, ...]) -> Json:
    named = oscal.selected_controls(rules)
    if named:
        return {"include-controls": named}
    # The list may not be empty, and "all" would be a lie.
    return {
        "description": "No selected rule refers to a control; the identifier is none of NIST's.",
        "include-controls": [{"control-id": "none"}],
    }
