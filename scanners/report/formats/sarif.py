"""SARIF 2.1.0: one run, one result per rule, waivers as suppressions.

Only a rule that failed is of kind ``fail``. One that ended in an error or stayed
unknown is ``open`` and one that was not checked is ``review``: SARIF's kinds
for "no result yet", which no reader may count as a pass. Errors are also
notifications of the tool.
"""

from hashlib import sha256
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from hardpan.core.files import canonical_json
from hardpan.core.identifiers import SARIF_TAXONOMY
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.markdown_escape import to_line
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal.nist_controls import collect_controls
from hardpan.scanners.report.registry import Report

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_TAXONOMY: Final = "NIST SP 800-53"
_TAXONOMY_ID: Final = str(uuid5(NAMESPACE_URL, SARIF_TAXONOMY))

_KINDS = {
    "pass": "pass",
    "fixed": "pass",
    "fail": "fail",
    "error": "open",
    "unknown": "open",
    "notchecked": "review",
    "notapplicable": "notApplicable",
    "informational": "informational",
}
_LEVELS = {
    "high": "error",
    "medium": "warning",
    "low": "note",
    "unknown": "warning",
    "info": "note",
}
_SECURITY_SEVERITIES = {"high": "8.0", "medium": "5.5", "low": "3.0"}
"""Middles of the bands that code-scanning services sort ``security-severity`` into."""

_MAX_EVIDENCE_LINES = 60
_ESCAPES = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})

Json = dict[str, object]


class Sarif:
    """``findings.sarif``."""

    def render(self, report: Report) -> bytes:
        """The log, one run."""
        findings = report.findings
        taxa = [c.control_id for c in collect_controls(x for r in findings.rules for x in r.nist)]
        index_by_control = {name: n for n, name in enumerate(taxa)}
        run: Json = {
            "tool": {"driver": _build_driver(findings, index_by_control)},
            "invocations": [_build_invocation(findings)],
            "automationDetails": {"id": f"hardpan/{quote(findings.profile, safe='')}/"},
            "columnKind": "unicodeCodePoints",
            "artifacts": [
                {
                    "location": {
                        "uri": _build_host_uri(findings),
                        "description": _to_message("The host"),
                    },
                    "roles": ["analysisTarget"],
                }
            ],
            "logicalLocations": [_build_logical_location(findings)],
            "results": [_build_result(r, n, findings) for n, r in enumerate(findings.rules)],
            "properties": {
                "profile": findings.content.profile_id,
                "benchmark": findings.content.benchmark_id,
                "contentVersion": findings.content.version,
                "score": findings.score,
            },
        }
        if taxa:
            run["taxonomies"] = [_build_taxonomy(taxa)]
        return canonical_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def escape_message(text: str) -> str:
    """``text`` so that SARIF's messages show it: no embedded link, no placeholder."""
    return text.translate(_ESCAPES)


def _to_message(text: str) -> Json:
    return {"text": escape_message(text)}


def _build_driver(findings: Findings, index_by_control: dict[str, int]) -> Json:
    driver: Json = {
        "name": "hardpan",
        "fullName": f"hardpan with {to_line(findings.content.engine)}",
        "rules": [_build_rule(r, index_by_control) for r in findings.rules],
    }
    if index_by_control:
        driver["supportedTaxonomies"] = [{"name": _TAXONOMY, "index": 0, "guid": _TAXONOMY_ID}]
    return driver


def _build_rule(rule: RulePart, index_by_control: dict[str, int]) -> Json:
    tags = ["security", *rule.stig_ids, *rule.sv_ids, *([rule.cce] if rule.cce else [])]
    properties: Json = {"tags": list(dict.fromkeys(tags)), "severity": rule.severity}
    if rule.severity in _SECURITY_SEVERITIES:
        properties["security-severity"] = _SECURITY_SEVERITIES[rule.severity]
    descriptor: Json = {
        "id": rule.rule_id,
        "name": shorten_id(rule.rule_id),
        "shortDescription": _to_message(to_line(rule.title)),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": properties,
    }
    if rule.rationale.strip():
        descriptor["fullDescription"] = _to_message(rule.rationale)
    if rule.fix_text.strip():
        descriptor["help"] = _to_message(rule.fix_text)
    control_ids = [c.control_id for c in collect_controls(rule.nist)]
    if control_ids:
        component = {"name": _TAXONOMY, "index": 0, "guid": _TAXONOMY_ID}
        descriptor["relationships"] = [
            {
                "target": {"id": name, "index": index_by_control[name], "toolComponent": component},
                "kinds": ["relevant"],
            }
            for name in control_ids
        ]
    return descriptor


def _build_invocation(findings: Findings) -> Json:
    failed = [(n, r) for n, r in enumerate(findings.rules) if r.verdict == "error"]
    return {
        "executionSuccessful": True,
        "startTimeUtc": findings.started,
        "endTimeUtc": findings.finished,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": _to_message("The check ended in an error; the rule was not evaluated."),
                "associatedRule": {"id": r.rule_id, "index": n},
            }
            for n, r in failed
        ],
    }


def _build_logical_location(findings: Findings) -> Json:
    return {"name": findings.host.hostname, "kind": "resource"}


def _build_host_uri(findings: Findings) -> str:
    return f"ssh://{quote(findings.host.hostname, safe='')}/"


def _build_result(rule: RulePart, index: int, findings: Findings) -> Json:
    kind = _KINDS[rule.verdict]
    result: Json = {
        "ruleId": rule.rule_id,
        "ruleIndex": index,
        "kind": kind,
        # SARIF allows no other level where nothing failed.
        "level": _LEVELS[rule.severity] if kind == "fail" else "none",
        "message": _to_message(_format_message_text(rule)),
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _build_host_uri(findings), "index": 0}
                },
                "logicalLocations": [{**_build_logical_location(findings), "index": 0}],
            }
        ],
        "partialFingerprints": {"ruleAndHost/v1": _compute_fingerprint(rule, findings)},
        "properties": {"verdict": rule.verdict, "nist": list(rule.nist)},
    }
    if rule.is_waived and rule.waiver is not None:
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": rule.waiver.describe(),
                "properties": {"owner": rule.waiver.owner, "expires": rule.waiver.expires},
            }
        ]
    return result


def _format_message_text(rule: RulePart) -> str:
    lines = [
        f"{rule.verdict}: {to_line(rule.title)}",
        *rule.evidence_lines[:_MAX_EVIDENCE_LINES],
    ]
    if len(rule.evidence_lines) > _MAX_EVIDENCE_LINES:
        lines.append(f"and {len(rule.evidence_lines) - _MAX_EVIDENCE_LINES} more, in findings.json")
    if rule.waiver is not None and not rule.waiver.is_active:
        lines.append(f"Inactive waiver: {rule.waiver.describe()}")
    return "\n".join(lines)


def _compute_fingerprint(rule: RulePart, findings: Findings) -> str:
    identity = f"{findings.host.machine_id_hmac}\n{findings.host.host_key_sha256}\n{rule.rule_id}"
    return sha256(identity.encode()).hexdigest()


def _build_taxonomy(taxa: list[str]) -> Json:
    return {
        "name": _TAXONOMY,
        "guid": _TAXONOMY_ID,
        "organization": "NIST",
        "version": "4",
        "isComprehensive": False,
        "shortDescription": _to_message(
            "Controls that the content's rules refer to, in OSCAL's form"
        ),
        "taxa": [{"id": name} for name in taxa],
    }
