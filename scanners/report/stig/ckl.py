"""CKL: the checklist of STIG Viewer 2, still what many tools take.

The order of elements and attributes is that of the XML Schema 2.5, which readers
rely on. No reader wants an empty ``ROLE``.
"""

from lxml import etree

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
        root = etree.Element("CHECKLIST")
        _add_text_children(etree.SubElement(root, "ASSET"), _build_asset(findings, stig))
        stig_node = etree.SubElement(etree.SubElement(root, "STIGS"), "iSTIG")
        info = etree.SubElement(stig_node, "STIG_INFO")
        for name, text in _stig_info(findings, stig):
            data = {"SID_NAME": name, "SID_DATA": text} if text else {"SID_NAME": name}
            _add_text_children(etree.SubElement(info, "SI_DATA"), data)
        for assessed in assess_requirements(findings, stig):
            _add_vulnerability(stig_node, assessed, findings, stig)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


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
    digest = f"sha256 of DISA's manual XCCDF: {stig.source_sha256}"
    return (
        ("version", stig.version),
        ("classification", "UNCLASSIFIED"),
        ("customname", ""),
        ("stigid", stig.benchmark),
        ("description", f"Filled in from a scan with {findings.content.name}; {digest}"),
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


def _add_vulnerability(
    parent: etree._Element, assessed: AssessedRequirement, findings: Findings, stig: ManualStig
) -> None:
    node = etree.SubElement(parent, "VULN")
    for name, text in _vulnerability_attributes(assessed, stig):
        data = etree.SubElement(node, "STIG_DATA")
        _add_text_children(data, {"VULN_ATTRIBUTE": name, "ATTRIBUTE_DATA": text})
    texts = {
        "STATUS": STATUS[assessed.status],
        "FINDING_DETAILS": format_finding_details(assessed, findings),
        "COMMENTS": format_comments(assessed.rules),
        # The severity is DISA's; hardpan lowers none.
        "SEVERITY_OVERRIDE": "",
        "SEVERITY_JUSTIFICATION": "",
    }
    _add_text_children(node, texts)


def _add_text_children(parent: etree._Element, text_by_tag: dict[str, str]) -> None:
    for tag, text in text_by_tag.items():
        etree.SubElement(parent, tag).text = text
