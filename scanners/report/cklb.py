"""CKLB: the checklist of STIG Viewer 3, which STIG Manager and eMASS load too.

Field by field the published schema (DISA, 2024-01-09), and ``version`` on the STIG,
which the schema lacks but STIG Viewer writes and STIG Manager needs: a text, since
an integer broke other readers. Ids are made from what the checklist is about, so
the same findings give the same bytes.
"""

import uuid

from hardpan.files import canonical_json
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.requirements import (
    Judged,
    about,
    comments,
    details,
    host_name,
    judged,
    known_stig,
)
from hardpan.scanners.stig.table import Requirement, Stig

NAMESPACE = uuid.UUID("0d9f3f5e-6a0b-5a3c-9c8b-7f2d1b1c4a11")
"""Ours alone; what is hashed below it says what an id is of."""

_SHORT = ("Security Technical Implementation Guide", "STIG")
_EMPTY = (
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
        found = report.findings
        stig = known_stig(found)
        checklist = ident("checklist", found.started, found.finished, found.host.host_key_sha256)
        return canonical_json(
            {
                "title": f"{host_name(found)} {stig.benchmark} {stig.revision}",
                "id": checklist,
                "cklb_version": "1.0",
                "active": False,
                "mode": 1,
                "has_path": False,
                "target_data": _target(found, stig),
                "stigs": [_stig(found, stig, checklist)],
            }
        )


def ident(*about_what: str) -> str:
    """A UUID that depends on its words alone."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(about_what)))


def stig_ident(stig: Stig) -> str:
    """The UUID of a release of a STIG; CKL and CKLB share it."""
    return ident("stig", stig.benchmark, stig.revision, stig.source_sha256)


def domain_name(found: Findings) -> str:
    """The host's name where it is a fully qualified one, else empty."""
    name = host_name(found)
    return name if "." in name.strip(".") else ""


def _target(found: Findings, stig: Stig) -> dict[str, object]:
    return {
        "target_type": "Computing",
        "host_name": host_name(found),
        "ip_address": "",
        "mac_address": "",
        "fqdn": domain_name(found),
        "comments": about(found, stig),
        "role": "None",
        "is_web_database": False,
        "technology_area": "UNIX OS",
        "web_db_site": "",
        "web_db_instance": "",
    }


def _stig(found: Findings, stig: Stig, checklist: str) -> dict[str, object]:
    stig_id = stig_ident(stig)
    return {
        "stig_name": stig.title,
        "display_name": stig.title.replace(*_SHORT),
        "stig_id": stig.benchmark,
        "release_info": stig.release_info,
        "version": stig.version,
        "uuid": stig_id,
        "reference_identifier": stig.target_key,
        "size": len(stig.requirements),
        "rules": [_rule(one, found, stig, checklist, stig_id) for one in judged(found, stig)],
    }


def _rule(
    one: Judged, found: Findings, stig: Stig, checklist: str, stig_id: str
) -> dict[str, object]:
    return {
        **_origin(one.requirement, stig),
        "uuid": ident("rule", checklist, one.requirement.group_id),
        "stig_uuid": stig_id,
        "createdAt": found.finished,
        "updatedAt": found.finished,
        "status": one.status.value,
        "overrides": {},
        "comments": comments(one.rules),
        "finding_details": details(one, found),
    }


def _origin(r: Requirement, stig: Stig) -> dict[str, object]:
    """What is copied from the STIG."""
    group = {
        "id": r.group_id,
        "title": r.group_title,
        "description": "<GroupDescription></GroupDescription>",
    }
    return {
        "group_id": r.group_id,
        "group_id_src": r.group_id,
        "rule_id": r.rule_id.removesuffix("_rule"),
        "rule_id_src": r.rule_id,
        "target_key": stig.target_key,
        "stig_ref": f"{stig.title} :: Version {stig.version}, {stig.release_info}",
        "weight": r.weight,
        "classification": "Unclassified",
        "severity": r.severity,
        "rule_version": r.stig_id,
        "rule_title": r.title,
        "fix_text": r.fix,
        "reference_identifier": stig.target_key,
        "group_title": r.group_title,
        "discussion": r.discussion,
        "check_content": r.check,
        "documentable": "false",
        **dict.fromkeys(_EMPTY, ""),
        "check_content_ref": {"name": r.check_name, "href": r.check_href},
        "legacy_ids": [],
        "ccis": list(r.ccis),
        "group_tree": [group],
    }
