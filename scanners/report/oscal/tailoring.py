"""The tailoring of the SCAP content as a back-matter resource of the OSCAL documents."""

from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.markdown_escape import escape_inline, format_list
from hardpan.scanners.report.oscal.elements import Json, build_props
from hardpan.scanners.report.oscal.oscal_ids import OscalIds

_MAX_CHANGES = 200


def build_tailoring_resources(findings: Findings, ids: OscalIds) -> list[Json]:
    """Build the resource of the tailoring file, with every change and its reason; empty without."""
    tailoring = findings.content.tailoring
    if tailoring is None:
        return []
    resource: Json = {
        "uuid": ids.scan_id("tailoring"),
        "title": f"Tailoring {escape_inline(tailoring.file)}",
        "description": escape_inline(tailoring.describe()),
        "props": build_props(
            ("profile", tailoring.profile_id),
            ("base-profile", tailoring.base_profile_id),
            ("author", tailoring.author),
            ("version", tailoring.version),
        ),
        "rlinks": [
            {
                "href": tailoring.attached_name,
                "hashes": [{"algorithm": "SHA-256", "value": tailoring.sha256}],
            }
        ],
    }
    if changes := tailoring.list_changes():
        resource["remarks"] = format_list(changes, max_items=_MAX_CHANGES)
    return [resource]
