import json
import re
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from hardpan.errors import InputError
from hardpan.scanners.model import Scan, Verdict
from hardpan.scanners.report import fill
from hardpan.scanners.report.base import FORMATS, Report, attached, renderer
from tests.unit.evidence import samples
from tests.unit.report import stigs
from tests.unit.report.stigs import HIGH, LOW, MEDIUM, OTHER, report, rule

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
EVERY = (
    rule(1, Verdict.FAIL, HIGH, found=("PermitRootLogin yes",)),
    rule(2, Verdict.PASS, MEDIUM),
    rule(3, Verdict.ERROR, OTHER),
    rule(4, Verdict.NOT_APPLICABLE, LOW),
)
HOSTILE = "]]><script>alert(1)</script>&amp;&lt;\"'\x00\x1b[2J\ud800\uffff\u202e"


def cklb(made: Report) -> dict[str, Any]:
    data = json.loads(renderer("cklb").render(made))
    assert isinstance(data, dict)
    return data


def ckl(made: Report) -> etree._Element:
    return etree.fromstring(renderer("ckl").render(made))


def vulnerability(root: etree._Element, group: str) -> etree._Element:
    found = root.xpath(f"//VULN[STIG_DATA[ATTRIBUTE_DATA='{group}']]")
    assert isinstance(found, list)
    (one,) = found
    assert isinstance(one, etree._Element)
    return one


def fits(kind: str, value: object) -> bool:
    if value is None:
        return kind.endswith("?")
    bare = kind.removesuffix("?")
    if bare == "uuid":
        return str(uuid.UUID(str(value))) == value
    kinds = {"text": str, "yes/no": bool, "number": int, "part": dict, "list": list}
    return isinstance(value, kinds[bare]) if bare in kinds else value in bare.split("|")


def unfit(fields: dict[str, str], made: dict[str, Any]) -> list[str]:
    """What is missing, too much, or of another kind."""
    wrong = [k for k in fields if k in made and not fits(fields[k], made[k])]
    return sorted({*wrong, *(set(fields) ^ set(made))})


def test_a_cklb_has_the_published_fields_and_no_other() -> None:
    made = cklb(report(*EVERY, waivers={EVERY[0].rule_id: samples.WAIVER}))
    (stig,) = made["stigs"]

    assert unfit(ROOT, made) == []
    assert unfit(TARGET, made["target_data"]) == []
    # Written by STIG Viewer and needed by STIG Manager, though the schema lacks it: as text.
    assert isinstance(stig.pop("version"), str)
    assert unfit(STIG, stig) == []
    assert {tuple(unfit(RULE, r)) for r in stig["rules"]} == {()}
    for r in stig["rules"]:
        assert set(r["check_content_ref"]) == {"name", "href"}
        assert {tuple(g) for g in map(sorted, r["group_tree"])} == {("description", "id", "title")}
        assert all(isinstance(c, str) for c in r["ccis"])


def test_a_field_that_the_schema_does_not_know_would_be_seen() -> None:
    assert unfit({"a": "text", "b": "text?"}, {"a": None, "b": None, "c": ""}) == ["a", "c"]
    assert unfit({"s": "low|high"}, {"s": "critical"}) == ["s"]


def test_a_checklist_holds_every_requirement_of_the_stig() -> None:
    (stig,) = cklb(report(*EVERY))["stigs"]

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


def test_both_checklists_say_the_same_of_each_requirement() -> None:
    made = report(*EVERY, waivers={EVERY[0].rule_id: samples.WAIVER})
    names = {"Open": "open", "NotAFinding": "not_a_finding"}
    names |= {"Not_Reviewed": "not_reviewed", "Not_Applicable": "not_applicable"}
    (stig,) = cklb(made)["stigs"]
    rows = [
        (
            vuln.xpath("string(STIG_DATA[VULN_ATTRIBUTE='Rule_ID']/ATTRIBUTE_DATA)"),
            names[str(vuln.findtext("STATUS"))],
            vuln.findtext("FINDING_DETAILS"),
            vuln.findtext("COMMENTS") or "",
            [
                d.findtext("ATTRIBUTE_DATA")
                for d in vuln
                if d.findtext("VULN_ATTRIBUTE") == "CCI_REF"
            ],
        )
        for vuln in ckl(made).iter("VULN")
    ]

    assert rows == [
        (r["rule_id_src"], r["status"], r["finding_details"], r["comments"], r["ccis"])
        for r in stig["rules"]
    ]


def test_a_waived_failure_is_open_with_the_waiver_beside_it() -> None:
    made = report(*EVERY, waivers={EVERY[0].rule_id: samples.WAIVER})
    (stig,) = cklb(made)["stigs"]
    one = next(r for r in stig["rules"] if r["group_id"] == HIGH.group_id)
    vuln = vulnerability(ckl(made), HIGH.group_id)

    assert one["status"] == "open"
    assert one["severity"] == "high"
    assert one["overrides"] == {}
    assert "needed by the build, see T-1 (build team, until 2027-01-31)" in one["comments"]
    assert "PermitRootLogin yes" in one["finding_details"]
    assert vuln.findtext("STATUS") == "Open"
    assert not vuln.findtext("SEVERITY_OVERRIDE")
    assert not vuln.findtext("SEVERITY_JUSTIFICATION")


def test_a_ckl_has_the_schemas_elements_in_their_order() -> None:
    root = ckl(report(*EVERY))
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
        told = ["STATUS", "FINDING_DETAILS", "COMMENTS", "SEVERITY_OVERRIDE"]
        assert [e.tag for e in vuln][len(names) :] == [*told, "SEVERITY_JUSTIFICATION"]


@pytest.mark.parametrize("name", ["cklb", "ckl", "hdf"])
def test_ids_and_times_depend_on_the_findings_alone(name: str) -> None:
    first, again = (renderer(name).render(report(*EVERY)) for _ in range(2))
    later = report(*EVERY, finished="2026-11-22T05:10:00Z")

    assert first == again
    assert renderer(name).render(later) != first


def test_another_scan_has_another_checklist_of_the_same_stig() -> None:
    one, two = cklb(report(*EVERY)), cklb(report(*EVERY, finished="2026-11-22T05:10:00Z"))

    assert one["id"] != two["id"]
    assert one["stigs"][0]["uuid"] == two["stigs"][0]["uuid"]
    assert one["stigs"][0]["rules"][0]["uuid"] != two["stigs"][0]["rules"][0]["uuid"]


def hostile() -> Scan:
    evil = rule(1, Verdict.FAIL, HIGH, title=HOSTILE, found=(HOSTILE, "x" * 100_000))
    return stigs.scan(
        evil,
        host=replace(samples.HOST, hostname=f"<script>{HOSTILE}.example" + "h" * 300),
        waivers={evil.rule_id: replace(samples.WAIVER, reason=HOSTILE, owner=HOSTILE)},
    )


def drawn_of(found: fill.Findings) -> Report:
    return replace(report(), findings=found)


def test_hostile_texts_stay_texts() -> None:
    made = drawn_of(fill.findings(hostile()))
    data, root = cklb(made), ckl(made)
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


def test_findings_that_nobody_cleaned_are_cleaned() -> None:
    # Signed elsewhere: the texts did not pass through hardpan's own filling in.
    found = fill.findings(stigs.scan(*EVERY))
    rules = (found.rules[0].model_copy(update={"found": ("\x00\x1b[2J\ufffe",)}), *found.rules[1:])
    host = found.host.model_copy(update={"hostname": "\x00\n", "os_name": "\x1b"})
    made = drawn_of(found.model_copy(update={"rules": rules, "host": host}))

    details = vulnerability(ckl(made), HIGH.group_id).findtext("FINDING_DETAILS")
    assert "\ufffd\ufffd[2J\ufffd" in str(details)
    assert b"\x1b" not in renderer("cklb").render(made)


@pytest.mark.parametrize(
    ("host_name", "told", "domain"),
    [
        ("lab", "lab", ""),
        ("lab.example.org", "lab.example.org", "lab.example.org"),
        ("", "unknown", ""),
        (" \n\t", "unknown", ""),
        ("lab.", "lab.", ""),
    ],
)
def test_a_checklist_never_lacks_a_host_name(host_name: str, told: str, domain: str) -> None:
    target = cklb(report(host=replace(samples.HOST, hostname=host_name)))["target_data"]

    assert (target["host_name"], target["fqdn"]) == (told, domain)


def other_content() -> Report:
    found = stigs.findings(*EVERY)
    content = found.content.model_copy(update={"benchmark_id": "x_benchmark_SLE-15"})
    return drawn_of(found.model_copy(update={"content": content, "stig": None}))


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_without_a_stig_on_record_there_is_no_checklist(name: str) -> None:
    with pytest.raises(InputError) as caught:
        renderer(name).render(other_content())

    assert "no STIG is on record for the content 'x_benchmark_SLE-15'" in str(caught.value)
    assert caught.value.hint == "checklists are written for RHEL-10, RHEL-9"
    assert FORMATS[name].file not in dict(attached(other_content()))
    assert FORMATS[name].file in dict(attached(report(*EVERY)))
