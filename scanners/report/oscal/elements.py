"""The elements that both OSCAL documents share.

Prose in OSCAL is Markdown, and much of it comes from the target: text that could be markup
becomes a code span.
"""

import re
from collections.abc import Iterable
from typing import Final

from hardpan.core.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.markdown_escape import (
    escape_inline,
    escape_lines,
    format_list,
    to_line,
)
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal.nist_controls import collect_controls
from hardpan.scanners.report.oscal.oscal_ids import OscalIds

OSCAL_VERSION: Final = "1.1.2"
"""OSCAL version of the documents; later 1.x readers accept it."""

NOT_PASSED = frozenset({"fail", "error", "unknown", "notchecked"})
_MAX_EVIDENCE_LINES = 60
_NON_TOKEN_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")

Json = dict[str, object]


def build_metadata(findings: Findings, title: str) -> Json:
    """Build the metadata; the version is the time at which the scan finished."""
    hostname, profile = escape_inline(findings.host.hostname), escape_inline(findings.profile)
    return {
        "title": f"{title}: {hostname}, {profile}",
        "last-modified": findings.finished,
        "version": findings.finished,
        "oscal-version": OSCAL_VERSION,
    }


def build_props(*pairs: tuple[str, str]) -> list[Json]:
    """Build hardpan's properties; those without a value are omitted."""
    return [
        {"name": name, "ns": OSCAL_NAMESPACE, "value": to_line(value)}
        for name, value in pairs
        if value.strip()
    ]


def build_inventory_item(findings: Findings, ids: OscalIds) -> Json:
    """The host."""
    host, image = findings.host, findings.image
    return {
        "uuid": ids.stable_id("host"),
        "description": f"Host {escape_inline(host.hostname)}, {escape_inline(host.os_name)}",
        "props": build_props(
            ("hostname", host.hostname),
            ("host-key", f"{host.host_key_type} {host.host_key_sha256}".strip()),
            ("host-key-trust", host.host_key_trust),
            ("machine-id-hmac", host.machine_id_hmac),
            ("os", f"{host.os_id} {host.os_version}"),
            ("cpe", host.cpe),
            ("kernel", host.kernel),
            ("clock-warning", host.describe_clock()),
            ("fips-mode", "on" if host.fips_kernel_flag else "off"),
            ("image-sha256", image.sha256 if image else ""),
        ),
    }


def build_assessment_assets(findings: Findings, ids: OscalIds) -> Json:
    """Build the assessment assets: the engine and the platform."""
    engine = ids.scan_id("engine")
    return {
        "components": [
            {
                "uuid": engine,
                "type": "software",
                "title": "OpenSCAP, run by hardpan",
                "description": f"Engine: {escape_inline(findings.content.engine)}",
                "status": {"state": "operational"},
            }
        ],
        "assessment-platforms": [
            {
                "uuid": ids.scan_id("platform"),
                "title": "hardpan scan",
                "uses-components": [{"component-uuid": engine}],
            }
        ],
    }


def build_content_resource(findings: Findings, ids: OscalIds) -> Json:
    """Build the resource of the SCAP content, which replaces an assessment plan."""
    content = findings.content
    return {
        "uuid": ids.scan_id("content"),
        "title": f"Content {escape_inline(content.name)}",
        "description": (
            f"SCAP content {escape_inline(content.describe())}, profile "
            f"{escape_inline(content.profile_id)}. No OSCAL assessment plan was written."
        ),
        "props": build_props(
            ("benchmark", content.benchmark_id),
            ("content-choice", content.choice),
            ("version", content.version),
            ("date", content.date),
            ("origin", content.origin_kind),
            ("profile", content.profile_id),
            ("source-sha256", content.source_sha256),
            ("derived-sha256", content.derived_sha256),
        ),
    }


def build_evidence_resource(ids: OscalIds) -> Json:
    """Build the resource of findings.json in the same evidence file."""
    return {
        "uuid": ids.scan_id("findings.json"),
        "title": "Findings, rule by rule",
        "rlinks": [{"href": "findings.json", "media-type": "application/json"}],
    }


def build_observation(rule: RulePart, findings: Findings, ids: OscalIds) -> Json:
    """Build the observation of one rule, for any verdict."""
    evidence_text = (
        format_list(rule.evidence_lines, max_items=_MAX_EVIDENCE_LINES) or "No detail was recorded."
    )
    item: Json = {
        "uuid": ids.scan_id("observation", rule.rule_id),
        "title": escape_inline(rule.title),
        "description": f"Rule {escape_inline(rule.rule_id)}: {rule.verdict}",
        "props": build_props(
            ("rule", rule.rule_id),
            ("verdict", rule.verdict),
            ("severity", rule.severity),
            *(("stig-id", x) for x in rule.stig_ids),
            *(("sv-id", x) for x in rule.sv_ids),
            ("cce", rule.cce),
            *(("nist-reference", x) for x in rule.nist),
            ("check-engine", rule.engine),
        ),
        "methods": ["TEST"],
        "types": ["finding" if rule.verdict in NOT_PASSED else "control-objective"],
        "origins": ids.origins,
        "subjects": [ids.subject],
        "relevant-evidence": [
            {"href": f"#{ids.scan_id('findings.json')}", "description": evidence_text}
        ],
        "collected": findings.finished,
    }
    return item


def build_oscal_findings(rule: RulePart, ids: OscalIds) -> list[Json]:
    """One finding per control that ``rule`` speaks for; none of them satisfied.

    A rule that names no control is its own objective.
    """
    targets = [(c.control_id, "statement-id", c.statement_id) for c in collect_controls(rule.nist)]
    return [
        {
            "uuid": derive_finding_id(rule, control, ids),
            "title": escape_inline(rule.title),
            "description": _describe_rule(rule),
            "props": build_props(
                ("rule", rule.rule_id), ("control", control), ("verdict", rule.verdict)
            ),
            "origins": ids.origins,
            "target": {
                "type": kind,
                "target-id": target,
                "status": {
                    "state": "not-satisfied",
                    "reason": "fail" if rule.verdict == "fail" else "other",
                },
            },
            "related-observations": [
                {"observation-uuid": ids.scan_id("observation", rule.rule_id)}
            ],
            **(
                {"related-risks": [{"risk-uuid": ids.stable_id("risk", rule.rule_id)}]}
                if has_risk(rule)
                else {}
            ),
        }
        for control, kind, target in targets or [("", "objective-id", to_token(rule.rule_id))]
    ]


def derive_finding_id(rule: RulePart, control_id: str, ids: OscalIds) -> str:
    """The identifier of one finding."""
    return ids.scan_id("finding", f"{rule.rule_id}\n{control_id}")


def has_risk(rule: RulePart) -> bool:
    """Return whether the rule is open or waived."""
    return rule.is_open or rule.is_waived


def build_risk(rule: RulePart, ids: OscalIds) -> Json:
    """The risk of a rule that is open, or whose waiver holds: then the deviation is approved."""
    waiver = rule.waiver
    item: Json = {
        "uuid": ids.stable_id("risk", rule.rule_id),
        "title": escape_inline(rule.title),
        "description": _describe_rule(rule),
        "statement": escape_lines(rule.rationale, empty="The content gives no rationale."),
        "props": build_props(
            ("rule", rule.rule_id),
            ("severity", rule.severity),
            *(
                (
                    ("waiver-reason", waiver.reason),
                    ("waiver-owner", waiver.owner),
                    ("waiver-expires", waiver.expires),
                    ("waiver-state", "active" if waiver.is_active else "expired"),
                )
                if waiver
                else ()
            ),
        ),
        "status": "deviation-approved" if rule.is_waived else "open",
        "origins": ids.origins,
        "related-observations": [{"observation-uuid": ids.scan_id("observation", rule.rule_id)}],
    }
    if rule.is_waived and waiver is not None:
        # The last day of the waiver counts until its end, in UTC.
        item["deadline"] = f"{waiver.expires}T23:59:59Z"
    if rule.fix_text.strip():
        item["remediations"] = [
            {
                "uuid": ids.stable_id("remediation", rule.rule_id),
                "lifecycle": "recommendation",
                "title": "What the content recommends",
                "description": escape_lines(rule.fix_text),
            }
        ]
    return item


def to_token(text: str) -> str:
    """``text`` as an OSCAL token."""
    return f"rule_{_NON_TOKEN_CHARACTERS.sub('_', text)}"


def select_controls(rules: Iterable[RulePart]) -> list[Json]:
    """What was looked at of the controls: never a control whole, only what the rules test."""
    nist_controls = collect_controls(x for rule in rules for x in rule.nist)
    return [{"control-id": c.control_id} for c in nist_controls]


def _describe_rule(rule: RulePart) -> str:
    return f"Rule {escape_inline(rule.rule_id)}: {rule.verdict}{_describe_waiver(rule)}"


def _describe_waiver(rule: RulePart) -> str:
    if rule.waiver is None:
        return ""
    state = "Waiver" if rule.is_waived else "Inactive waiver"
    return f". {state}: {escape_inline(rule.waiver.describe())}"
