"""CKL: the checklist of STIG Viewer 2, still what many tools take.

The order of elements and attributes is that of the XML Schema 2.5, which readers
rely on. No reader wants an empty ``ROLE``.
"""

from lxml import etree

from hardpan.scanners.report.base import Report
from hardpan.scanners.report.cklb import domain_name, stig_ident
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.requirements import (
    Judged,
    Status,
    about,
    comments,
    details,
    host_name,
    judged,
    known_stig,
)
from hardpan.scanners.stig.table import Stig

STATUS = {
    Status.OPEN: "Open",
    Status.NOT_REVIEWED: "Not_Reviewed",
    Status.NOT_A_FINDING: "NotAFinding",
    Status.NOT_APPLICABLE: "Not_Applicable",
}


class Ckl:
    """``checklist.ckl``."""

    def render(self, report: Report) -> bytes:
        """The checklist as XML."""
        found = report.findings
        stig = known_stig(found)
        root = etree.Element("CHECKLIST")
        _texts(etree.SubElement(root, "ASSET"), _asset(found, stig))
        stigs = etree.SubElement(etree.SubElement(root, "STIGS"), "iSTIG")
        info = etree.SubElement(stigs, "STIG_INFO")
        for name, text in _facts(found, stig):
            data = {"SID_NAME": name, "SID_DATA": text} if text else {"SID_NAME": name}
            _texts(etree.SubElement(info, "SI_DATA"), data)
        for one in judged(found, stig):
            _add_vulnerability(stigs, one, found, stig)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _asset(found: Findings, stig: Stig) -> dict[str, str]:
    return {
        "ROLE": "None",
        "ASSET_TYPE": "Computing",
        "MARKING": "",
        "HOST_NAME": host_name(found),
        "HOST_IP": "",
        "HOST_MAC": "",
        "HOST_FQDN": domain_name(found),
        "TARGET_COMMENT": about(found, stig),
        "TECH_AREA": "UNIX OS",
        "TARGET_KEY": stig.target_key,
        "WEB_OR_DATABASE": "false",
        "WEB_DB_SITE": "",
        "WEB_DB_INSTANCE": "",
    }


def _facts(found: Findings, stig: Stig) -> tuple[tuple[str, str], ...]:
    digest = f"sha256 of DISA's manual XCCDF: {stig.source_sha256}"
    return (
        ("version", stig.version),
        ("classification", "UNCLASSIFIED"),
        ("customname", ""),
        ("stigid", stig.benchmark),
        ("description", f"Filled in from a scan with {found.content.name}; {digest}"),
        ("filename", stig.requirements[0].check_href),
        ("releaseinfo", stig.release_info),
        ("title", stig.title),
        ("uuid", stig_ident(stig)),
        ("notice", "terms-of-use"),
        ("source", "STIG.DOD.MIL"),
    )


def _attributes(one: Judged, stig: Stig) -> list[tuple[str, str]]:
    r = one.requirement
    return [
        ("Vuln_Num", r.group_id),
        ("Severity", r.severity),
        ("Group_Title", r.group_title),
        ("Rule_ID", r.rule_id),
        ("Rule_Ver", r.stig_id),
        ("Rule_Title", r.title),
        ("Vuln_Discuss", r.discussion),
        ("IA_Controls", ""),
        ("Check_Content", r.check),
        ("Fix_Text", r.fix),
        ("False_Positives", ""),
        ("False_Negatives", ""),
        ("Documentable", "false"),
        ("Mitigations", ""),
        ("Potential_Impact", ""),
        ("Third_Party_Tools", ""),
        ("Mitigation_Control", ""),
        ("Responsibility", ""),
        ("Security_Override_Guidance", ""),
        ("Check_Content_Ref", r.check_name),
        ("Weight", r.weight),
        ("Class", "Unclass"),
        ("STIGRef", f"{stig.title} :: Version {stig.version}, {stig.release_info}"),
        ("TargetKey", stig.target_key),
        ("STIG_UUID", stig_ident(stig)),
        *(("CCI_REF", cci) for cci in r.ccis),
    ]


def _add_vulnerability(parent: etree._Element, one: Judged, found: Findings, stig: Stig) -> None:
    node = etree.SubElement(parent, "VULN")
    for name, text in _attributes(one, stig):
        data = etree.SubElement(node, "STIG_DATA")
        _texts(data, {"VULN_ATTRIBUTE": name, "ATTRIBUTE_DATA": text})
    told = {
        "STATUS": STATUS[one.status],
        "FINDING_DETAILS": details(one, found),
        "COMMENTS": comments(one.rules),
        # The severity is DISA's; hardpan lowers none.
        "SEVERITY_OVERRIDE": "",
        "SEVERITY_JUSTIFICATION": "",
    }
    _texts(node, told)


def _texts(parent: etree._Element, texts: dict[str, str]) -> None:
    for tag, text in texts.items():
        etree.SubElement(parent, tag).text = text
