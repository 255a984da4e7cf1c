"""CKL: the checklist of STIG Viewer 2, still what many tools take.

The order of elements and attributes is that of the XML Schema 2.5, which readers
rely on. No reader wants an empty ``ROLE``. It is written as text: a tree of its 25,000 elements
took four times as long.
"""

from hardpan.core.xml_text import escape_text
from hardpan.scanners.report.model.display_text import replace_control_characters
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report
from hardpan.scanners.report.stig.checklist_model import (
    AssessedRequirement,
    ChecklistStatus,
    assess_requirements,
    format_comments,
    format_finding_details,
    format_host_name,
    format_target_comment,
    require_stig,
)
from hardpan.scanners.report.stig.cklb import derive_stig_uuid, fully_qualified_name
from hardpan.scanners.stig.manual_stig import ManualStig

STATUS = {
    ChecklistStatus.OPEN: "Open",
    ChecklistStatus.NOT_REVIEWED: "Not_Reviewed",
    ChecklistStatus.NOT_A_FINDING: "NotAFinding",
    ChecklistStatus.NOT_APPLICABLE: "Not_Applicable",
}


class Ckl:
    """``checklist.ckl``."""

    def render(self, report: Report) -> bytes:
        """The checklist as XML."""
        findings = report.findings
        stig = require_stig(findings)
        lines = [
            "<?xml version='1.0' encoding='UTF-8'?>",
            "<CHECKLIST>",
            "  <ASSET>",
            *(_format_element(4, tag, text) for tag, text in _build_asset(findings, stig).items()),
            "  </ASSET>",
            "  <STIGS>",
            "    <iSTIG>",
            "      <STIG_INFO>",
        ]
        for name, text in _stig_info(findings, stig):
            data = [_format_element(10, "SID_DATA", text)] if text else []
            name_line = _format_element(10, "SID_NAME", name)
            lines += ["        <SI_DATA>", name_line, *data, "        </SI_DATA>"]
        lines.append("      </STIG_INFO>")
        for assessed in assess_requirements(findings, stig):
            lines += _format_vulnerability(assessed, findings, stig)
        lines += ["    </iSTIG>", "  </STIGS>", "</CHECKLIST>", ""]
        return "\n".join(lines).encode()


def _build_asset(findings: Findings, stig: ManualStig) -> dict[str, str]:
    return {
        "ROLE": "None",
        "ASSET_TYPE": "Computing",
        "MARKING": "",
        "HOST_NAME": format_host_name(findings),
        "HOST_IP": "",
        "HOST_MAC": "",
        "HOST_FQDN": fully_qualified_name(findings),
        "TARGET_COMMENT": format_target_comment(findings, stig),
        "TECH_AREA": "UNIX OS",
        "TARGET_KEY": stig.target_key,
        "WEB_OR_DATABASE": "false",
        "WEB_DB_SITE": "",
        "WEB_DB_INSTANCE": "",
    }


def _stig_info(findings: Findings, stig: ManualStig) -> tuple[tuple[str, str], ...]:
    content = replace_control_characters(findings.content.name)
    digest = f"sha256 of DISA's manual XCCDF: {stig.source_sha256}"
    return (
        ("version", stig.version),
        ("classification", "UNCLASSIFIED"),
        ("customname", ""),
        ("stigid", stig.benchmark),
        ("description", f"Filled in from a scan with {content}; {digest}"),
        ("filename", stig.requirements[0].check_href),
        ("releaseinfo", stig.release_info),
        ("title", stig.title),
        ("uuid", derive_stig_uuid(stig)),
        ("notice", "terms-of-use"),
        ("source", "STIG.DOD.MIL"),
    )


def _vulnerability_attributes(
    assessed: AssessedRequirement, stig: ManualStig
) -> list[tuple[str, str]]:
    requirement = assessed.requirement
    return [
        ("Vuln_Num", requirement.group_id),
        ("Severity", requirement.severity),
        ("Group_Title", requirement.group_title),
        ("Rule_ID", requirement.rule_id),
        ("Rule_Ver", requirement.stig_id),
        ("Rule_Title", requirement.title),
        ("Vuln_Discuss", requirement.discussion),
        ("IA_Controls", ""),
        ("Check_Content", requirement.check),
        ("Fix_Text", requirement.fix),
        ("False_Positives", ""),
        ("False_Negatives", ""),
        ("Documentable", "false"),
        ("Mitigations", ""),
        ("Potential_Impact", ""),
        ("Third_Party_Tools", ""),
        ("Mitigation_Control", ""),
        ("Responsibility", ""),
        ("Security_Override_Guidance", ""),
        ("Check_Content_Ref", requirement.check_name),
        ("Weight", requirement.weight),
        ("Class", "Unclass"),
        ("STIGRef", f"{stig.title} :: Version {stig.version}, {stig.release_info}"),
        ("TargetKey", stig.target_key),
        ("STIG_UUID", derive_stig_uuid(stig)),
        *(("CCI_REF", cci) for cci in requirement.ccis),
    ]


def _format_vulnerability(
    assessed: AssessedRequirement, findings: Findings, stig: ManualStig
) -> list[str]:
    """Return the lines of a requirement."""
    texts = {
        "STATUS": STATUS[assessed.status],
        "FINDING_DETAILS": format_finding_details(assessed, findings),
        "COMMENTS": format_comments(assessed.rules),
        # The severity is DISA's; hardpan lowers none.
        "SEVERITY_OVERRIDE": "",
        "SEVERITY_JUSTIFICATION": "",
    }
    return [
        "      <VULN>",
        *(
            "        <STIG_DATA>\n"
            f"          <VULN_ATTRIBUTE>{name}</VULN_ATTRIBUTE>\n"
            f"          <ATTRIBUTE_DATA>{escape_text(text)}</ATTRIBUTE_DATA>\n"
            "        </STIG_DATA>"
            for name, text in _vulnerability_attributes(assessed, stig)
        ),
        *(_format_element(8, tag, text) for tag, text in texts.items()),
        "      </VULN>",
    ]


def _format_element(indent: int, tag: str, text: str) -> str:
    return f"{'':{indent}}<{tag}>{escape_text(text)}</{tag}>"
