"""CKLB: the checklist of STIG Viewer 3, which STIG Manager and eMASS load too.

Field by field the published schema (DISA, 2024-01-09), and ``version`` on the STIG,
which the schema lacks but STIG Viewer writes and STIG Manager needs: a text, since
an integer broke other readers. Ids are derived from the checklist's subject, so
the same findings give the same bytes.
"""

import uuid

from hardpan.core.files import canonical_json
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report
from hardpan.scanners.report.stig.checklist_model import (
    AssessedRequirement,
    assess_requirements,
    format_comments,
    format_finding_details,
    format_host_name,
    format_target_comment,
    require_stig,
)
from hardpan.scanners.stig.manual_stig import ManualStig, StigRequirement

UUID_NAMESPACE = uuid.UUID("0d9f3f5e-6a0b-5a3c-9c8b-7f2d1b1c4a11")
"""Ours alone; what is hashed below it says what an id is of."""

_TITLE_ABBREVIATION = ("Security Technical Implementation Guide", "STIG")
_EMPTY_FIELDS = (
    "false_positives",
    "false_negatives",
    "mitigations",
    "potential_impacts",
    "third_party_tools",
    "mitigation_control",
    "responsibility",
    "security_override_guidance",
    "ia_controls",
)
"""Fields of a rule that DISA leaves empty in these STIGs; the schema wants texts, not null."""


class Cklb:
    """``checklist.cklb``."""

    def render(self, report: Report) -> bytes:
        """The checklist as canonical JSON."""
        findings = report.findings
        stig = require_stig(findings)
        checklist_id = derive_uuid(
            "checklist", findings.started, findings.finished, findings.host.identity
        )
        return canonical_json(
            {
                "title": f"{format_host_name(findings)} {stig.benchmark} {stig.revision}",
                "id": checklist_id,
                "cklb_version": "1.0",
                "active": False,
                "mode": 1,
                "has_path": False,
                "target_data": _build_target(findings, stig),
                "stigs": [_build_stig(findings, stig, checklist_id)],
            }
        )


def derive_uuid(*identity: str) -> str:
    """A UUID that depends on its words alone."""
    return str(uuid.uuid5(UUID_NAMESPACE, "\n".join(identity)))


def derive_stig_uuid(stig: ManualStig) -> str:
    """The UUID of a release of a STIG; CKL and CKLB share it."""
    return derive_uuid("stig", stig.benchmark, stig.revision, stig.source_sha256)


def fully_qualified_name(findings: Findings) -> str:
    """The host's name where it is a fully qualified one, else empty."""
    name = format_host_name(findings)
    return name if "." in name.strip(".") else ""


def _build_target(findings: Findings, stig: ManualStig) -> dict[str, object]:
    return {
        "target_type": "Computing",
        "host_name": format_host_name(findings),
        "ip_address": "",
        "mac_address": "",
        "fqdn": fully_qualified_name(findings),
        "comments": format_target_comment(findings, stig),
        "role": "None",
        "is_web_database": False,
        "technology_area": "UNIX OS",
        "web_db_site": "",
        "web_db_instance": "",
    }


def _build_stig(findings: Findings, stig: ManualStig, checklist_id: str) -> dict[str, object]:
    stig_uuid = derive_stig_uuid(stig)
    return {
        "stig_name": stig.title,
        "display_name": stig.title.replace(*_TITLE_ABBREVIATION),
        "stig_id": stig.benchmark,
        "release_info": stig.release_info,
        "version": stig.version,
        "uuid": stig_uuid,
        "reference_identifier": stig.target_key,
        "size": len(stig.requirements),
        "rules": [
            _build_rule(assessed, findings, stig, checklist_id, stig_uuid)
            for assessed in assess_requirements(findings, stig)
        ],
    }


def _build_rule(
    assessed: AssessedRequirement,
    findings: Findings,
    stig: ManualStig,
    checklist_id: str,
    stig_uuid: str,
) -> dict[str, object]:
    return {
        **_requirement_fields(assessed.requirement, stig),
        "uuid": derive_uuid("rule", checklist_id, assessed.requirement.group_id),
        "stig_uuid": stig_uuid,
        "createdAt": findings.finished,
        "updatedAt": findings.finished,
        "status": assessed.status.value,
        "overrides": {},
        "comments": format_comments(assessed.rules),
        "finding_details": format_finding_details(assessed, findings),
    }


def _requirement_fields(requirement: StigRequirement, stig: ManualStig) -> dict[str, object]:
    """What is copied from the STIG."""
    group = {
        "id": requirement.group_id,
        "title": requirement.group_title,
        "description": "<GroupDescription></GroupDescription>",
    }
    return {
        "group_id": requirement.group_id,
        "group_id_src": requirement.group_id,
        "rule_id": requirement.rule_id.removesuffix("_rule"),
        "rule_id_src": requirement.rule_id,
        "target_key": stig.target_key,
        "stig_ref": f"{stig.title} :: Version {stig.version}, {stig.release_info}",
        "weight": requirement.weight,
        "classification": "Unclassified",
        "severity": requirement.severity,
        "rule_version": requirement.stig_id,
        "rule_title": requirement.title,
        "fix_text": requirement.fix,
        "reference_identifier": stig.target_key,
        "group_title": requirement.group_title,
        "discussion": requirement.discussion,
        "check_content": requirement.check,
        "documentable": "false",
        **dict.fromkeys(_EMPTY_FIELDS, ""),
        "check_content_ref": {"name": requirement.check_name, "href": requirement.check_href},
        "legacy_ids": [],
        "ccis": list(requirement.ccis),
        "group_tree": [group],
    }
