import json
import re
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.model import build
from hardpan.scanners.report.registry import FORMATS, Report, load_renderer, render_attachments
from tests.unit.evidence import samples
from tests.unit.report import stig_samples
from tests.unit.report.stig_samples import HIGH, LOW, MEDIUM, OTHER, report, rule

# The published schema of CKLB 1.0, as text: field -> kind. "?" may be null.
ROOT = {
    "title": "text",
    "id": "uuid",
    "cklb_version": "1.0",
    "active": "yes/no",
    "mode": "number",
    "has_path": "yes/no",
    "target_data": "part",
    "stigs": "list",
}
TARGET = {
    "target_type": "text",
    "host_name": "text",
    "ip_address": "text",
    "mac_address": "text",
    "fqdn": "text",
    "comments": "text",
    "role": "text",
    "is_web_database": "yes/no",
    "technology_area": "text",
    "web_db_site": "text",
    "web_db_instance": "text",
}
STIG = {
    "stig_name": "text",
    "display_name": "text",
    "stig_id": "text",
    "release_info": "text",
    "uuid": "uuid",
    "reference_identifier": "text?",
    "size": "number",
    "rules": "list",
}
RULE = {
    **dict.fromkeys(
        (
            "group_id",
            "group_id_src",
            "rule_id",
            "rule_id_src",
            "weight",
            "classification",
            "rule_version",
            "rule_title",
            "fix_text",
            "group_title",
            "false_positives",
            "false_negatives",
            "discussion",
            "documentable",
            "mitigations",
            "potential_impacts",
            "third_party_tools",
            "mitigation_control",
            "responsibility",
            "security_override_guidance",
            "ia_controls",
            "createdAt",
            "updatedAt",
            "comments",
            "finding_details",
        ),
        "text",
    ),
    "uuid": "uuid",
    "stig_uuid": "uuid",
    "target_key": "text?",
    "stig_ref": "text?",
    "reference_identifier": "text?",
    "check_content": "text?",
    "severity": "unknown|low|medium|high",
    "status": "not_reviewed|not_applicable|open|not_a_finding",
    "check_content_ref": "part?",
    "legacy_ids": "list",
    "ccis": "list",
    "group_tree": "list",
    "overrides": "part",
}
ATTRIBUTES = [
    "Vuln_Num",
    "Severity",
    "Group_Title",
    "Rule_ID",
    "Rule_Ver",
    "Rule_Title",
    "Vuln_Discuss",
    "IA_Controls",
    "Check_Content",
    "Fix_Text",
    "False_Positives",
    "False_Negatives",
    "Documentable",
    "Mitigations",
    "Potential_Impact",
    "Third_Party_Tools",
    "Mitigation_Control",
    "Responsibility",
    "Security_Override_Guidance",
    "Check_Content_Ref",
    "Weight",
    "Class",
    "STIGRef",
    "TargetKey",
    "STIG_UUID",
]
ASSET = [
    "ROLE",
    "ASSET_TYPE",
    "MARKING",
    "HOST_NAME",
    "HOST_IP",
    "HOST_MAC",
    "HOST_FQDN",
    "TARGET_COMMENT",
    "TECH_AREA",
    "TARGET_KEY",
    "WEB_OR_DATABASE",
    "WEB_DB_SITE",
    "WEB_DB_INSTANCE",
]
EVERY_STATUS = (
    rule(1, Verdict.FAIL, HIGH, evidence_lines=("PermitRootLogin yes",)),
    rule(2, Verdict.PASS, MEDIUM),
    rule(3, Verdict.ERROR, OTHER),
    rule(4, Verdict.NOT_APPLICABLE, LOW),
)
HOSTILE = "]]><script>alert(1)</script>&amp;&lt;\"'\x00\x1b[2J\ud800\uffff\u202e"


def cklb(report: Report) -> dict[str, Any]:
    data = json.loads(load_renderer("cklb").render(report))
    assert isinstance(data, dict)
    return data


def ckl(report: Report) -> etree._Element:
    return etree.fromstring(load_renderer("ckl").render(report))


def vulnerability(root: etree._Element, group: str) -> etree._Element:
    nodes = root.xpath(f"//VULN[STIG_DATA[ATTRIBUTE_DATA='{group}']]")
    assert isinstance(nodes, list)
    (node,) = nodes
    assert isinstance(node, etree._Element)
    return node


def matches_kind(kind: str, value: object) -> bool:
    if value is None:
        return kind.endswith("?")
    required_kind = kind.removesuffix("?")
    if required_kind == "uuid":
        return str(uuid.UUID(str(value))) == value
    type_by_kind = {"text": str, "yes/no": bool, "number": int, "part": dict, "list": list}
    return (
        isinstance(value, type_by_kind[required_kind])
        if required_kind in type_by_kind
        else value in required_kind.split("|")
    )


def find_mismatches(fields: dict[str, str], document: dict[str, Any]) -> list[str]:
    """What is missing, too much, or of another kind."""
    mismatches = [k for k in fields if k in document and not matches_kind(fields[k], document[k])]
    return sorted({*mismatches, *(set(fields) ^ set(document))})


def test_cklb_has_exactly_the_published_fields() -> None:
    document = cklb(report(*EVERY_STATUS, waivers={EVERY_STATUS[0].rule_id: samples.WAIVER}))
    (stig,) = document["stigs"]

    assert find_mismatches(ROOT, document) == []
    assert find_mismatches(TARGET, document["target_data"]) == []
    # Written by STIG Viewer and needed by STIG Manager, though the schema lacks it: as text.
    assert isinstance(stig.pop("version"), str)
    assert find_mismatches(STIG, stig) == []
    assert {tuple(find_mismatches(RULE, r)) for r in stig["rules"]} == {()}
    for r in stig["rules"]:
        assert set(r["check_content_ref"]) == {"name", "href"}
        assert {tuple(g) for g in map(sorted, r["group_tree"])} == {("description", "id", "title")}
        assert all(isinstance(c, str) for c in r["ccis"])


def test_find_mismatches_reports_unknown_fields() -> None:
    assert find_mismatches({"a": "text", "b": "text?"}, {"a": None, "b": None, "c": ""}) == [
        "a",
        "c",
    ]
    assert find_mismatches({"s": "low|high"}, {"s": "critical"}) == ["s"]


def test_cklb_lists_every_stig_requirement() -> None:
    (stig,) = cklb(report(*EVERY_STATUS))["stigs"]

    assert stig["size"] == len(stig["rules"]) == 445
    assert (stig["stig_id"], stig["version"]) == ("RHEL_9_STIG", "2")
    assert re.search(r"Release:\s*(.+?)\s", stig["release_info"])
    assert stig["display_name"] == "Red Hat Enterprise Linux 9 STIG"
    assert Counter(r["status"] for r in stig["rules"]) == {
        "not_reviewed": 442,
        "open": 1,
        "not_a_finding": 1,
        "not_applicable": 1,
    }
    assert len({r["uuid"] for r in stig["rules"]}) == 445
    assert {r["stig_uuid"] for r in stig["rules"]} == {stig["uuid"]}


def test_ckl_and_cklb_agree_on_every_requirement() -> None:
    sample = report(*EVERY_STATUS, waivers={EVERY_STATUS[0].rule_id: samples.WAIVER})
    status_names = {"Open": "open", "NotAFinding": "not_a_finding"}
    status_names |= {"Not_Reviewed": "not_reviewed", "Not_Applicable": "not_applicable"}
    (stig,) = cklb(sample)["stigs"]
    rows = [
        (
            vuln.xpath("string(STIG_DATA[VULN_ATTRIBUTE='Rule_ID']/ATTRIBUTE_DATA)"),
            status_names[str(vuln.findtext("STATUS"))],
            vuln.findtext("FINDING_DETAILS"),
            vuln.findtext("COMMENTS") or "",
            [
                d.findtext("ATTRIBUTE_DATA")
                for d in vuln
                if d.findtext("VULN_ATTRIBUTE") == "CCI_REF"
            ],
        )
        for vuln in ckl(sample).iter("VULN")
    ]

    assert rows == [
        (r["rule_id_src"], r["status"], r["finding_details"], r["comments"], r["ccis"])
        for r in stig["rules"]
    ]


def test_waived_failure_stays_open_with_waiver_comment() -> None:
    sample = report(*EVERY_STATUS, waivers={EVERY_STATUS[0].rule_id: samples.WAIVER})
    (stig,) = cklb(sample)["stigs"]
    entry = next(r for r in stig["rules"] if r["group_id"] == HIGH.group_id)
    vuln = vulnerability(ckl(sample), HIGH.group_id)

    assert entry["status"] == "open"
    assert entry["severity"] == "high"
    assert entry["overrides"] == {}
    assert "needed by the build, see T-1 (build team, until 2027-01-31)" in entry["comments"]
    assert "PermitRootLogin yes" in entry["finding_details"]
    assert vuln.findtext("STATUS") == "Open"
    assert not vuln.findtext("SEVERITY_OVERRIDE")
    assert not vuln.findtext("SEVERITY_JUSTIFICATION")


def test_ckl_elements_follow_schema_order() -> None:
    root = ckl(report(*EVERY_STATUS))
    asset, (stig,) = root

    assert [e.tag for e in asset] == ASSET
    assert asset.findtext("ROLE") == "None"
    info, *vulns = stig
    assert [d.findtext("SID_NAME") for d in info] == [
        "version",
        "classification",
        "customname",
        "stigid",
        "description",
        "filename",
        "releaseinfo",
        "title",
        "uuid",
        "notice",
        "source",
    ]
    assert len(vulns) == 445
    for vuln in vulns:
        names = [d.findtext("VULN_ATTRIBUTE") for d in vuln.findall("STIG_DATA")]
        ccis = len(names) - len(ATTRIBUTES)
        assert names == [*ATTRIBUTES, *["CCI_REF"] * ccis]
        assert ccis > 0
        status_tags = ["STATUS", "FINDING_DETAILS", "COMMENTS", "SEVERITY_OVERRIDE"]
        assert [e.tag for e in vuln][len(names) :] == [*status_tags, "SEVERITY_JUSTIFICATION"]


def test_ckl_is_written_as_lxml_writes_it() -> None:
    hostile = report_with(build.build_findings(hostile_scan()))
    for sample in (report(*EVERY_STATUS), hostile):
        text = load_renderer("ckl").render(sample)

        root = etree.fromstring(text, etree.XMLParser(remove_blank_text=True))
        for element in root.iter():
            element.text = element.text or (None if len(element) else "")
        assert text == etree.tostring(
            root, xml_declaration=True, encoding="UTF-8", pretty_print=True
        )


@pytest.mark.parametrize("name", ["cklb", "ckl", "hdf"])
def test_checklist_ids_and_times_are_deterministic(name: str) -> None:
    first, second = (load_renderer(name).render(report(*EVERY_STATUS)) for _ in range(2))
    later = report(*EVERY_STATUS, finished="2026-11-22T05:10:00Z")

    assert first == second
    assert load_renderer(name).render(later) != first


def test_checklist_id_differs_per_scan_and_stig_id_does_not() -> None:
    first, second = (
        cklb(report(*EVERY_STATUS)),
        cklb(report(*EVERY_STATUS, finished="2026-11-22T05:10:00Z")),
    )

    assert first["id"] != second["id"]
    assert first["stigs"][0]["uuid"] == second["stigs"][0]["uuid"]
    assert first["stigs"][0]["rules"][0]["uuid"] != second["stigs"][0]["rules"][0]["uuid"]


def hostile_scan() -> Scan:
    hostile_rule = rule(
        1, Verdict.FAIL, HIGH, title=HOSTILE, evidence_lines=(HOSTILE, "x" * 100_000)
    )
    return stig_samples.scan(
        hostile_rule,
        host=replace(samples.HOST, hostname=f"<script>{HOSTILE}.example" + "h" * 300),
        waivers={hostile_rule.rule_id: replace(samples.WAIVER, reason=HOSTILE, owner=HOSTILE)},
    )


def report_with(findings: build.Findings) -> Report:
    return replace(report(), findings=findings)


def test_hostile_text_is_escaped() -> None:
    sample = report_with(build.build_findings(hostile_scan()))
    data, root = cklb(sample), ckl(sample)
    (stig,) = data["stigs"]
    vuln = vulnerability(root, HIGH.group_id)
    details = str(vuln.findtext("FINDING_DETAILS"))

    assert not list(root.iter("script"))
    assert "]]><script>alert(1)</script>&amp;&lt;\"'" in details
    assert details == stig["rules"][0]["finding_details"]
    assert len(details) <= 32767
    assert "findings.json" in details[-100:]
    assert len(str(root.findtext("ASSET/HOST_NAME"))) == 255
    assert root.findtext("ASSET/HOST_NAME") == data["target_data"]["host_name"]
    assert "]]><script>" in str(vuln.findtext("COMMENTS"))


def test_unsanitized_findings_are_sanitized() -> None:
    # Signed elsewhere: the texts did not pass through hardpan's own filling in.
    findings = build.build_findings(stig_samples.scan(*EVERY_STATUS))
    rules = (
        findings.rules[0].model_copy(update={"evidence_lines": ("\x00\x1b[2J\ufffe",)}),
        *findings.rules[1:],
    )
    host = findings.host.model_copy(update={"hostname": "\x00\n", "os_name": "\x1b"})
    content = findings.content.model_copy(update={"name": "\x1bname"})
    updates = {"rules": rules, "host": host, "content": content}
    sample = report_with(findings.model_copy(update=updates))

    assert b"Filled in from a scan with \xef\xbf\xbdname;" in load_renderer("ckl").render(sample)
    details = vulnerability(ckl(sample), HIGH.group_id).findtext("FINDING_DETAILS")
    assert "\ufffd\ufffd[2J\ufffd" in str(details)
    assert b"\x1b" not in load_renderer("cklb").render(sample)


@pytest.mark.parametrize(
    ("host_name", "expected_name", "domain"),
    [
        ("lab", "lab", ""),
        ("lab.example.org", "lab.example.org", "lab.example.org"),
        ("", "unknown", ""),
        (" \n\t", "unknown", ""),
        ("lab.", "lab.", ""),
    ],
)
def test_checklist_host_name_is_never_empty(
    host_name: str, expected_name: str, domain: str
) -> None:
    target = cklb(report(host=replace(samples.HOST, hostname=host_name)))["target_data"]

    assert (target["host_name"], target["fqdn"]) == (expected_name, domain)


def other_content() -> Report:
    findings = stig_samples.findings(*EVERY_STATUS)
    content = findings.content.model_copy(update={"benchmark_id": "x_benchmark_SLE-15"})
    return report_with(findings.model_copy(update={"content": content, "stig": None}))


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_checklist_requires_supported_stig(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_renderer(name).render(other_content())

    assert "no known STIG for the content 'x_benchmark_SLE-15'" in str(caught.value)
    assert caught.value.hint == "checklists are available for RHEL-10, RHEL-9"
    assert FORMATS[name].filename not in dict(render_attachments(other_content()))
    assert FORMATS[name].filename in dict(render_attachments(report(*EVERY_STATUS)))
