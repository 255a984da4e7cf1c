"""SARIF 2.1.0: one run, one result per rule, waivers as suppressions.

Only a rule that failed is of kind ``fail``. One that ended in an error or stayed
unknown is ``open`` and one that was not checked is ``review``: SARIF's words for
"no answer yet", which no reader may count as a pass. Errors are told once more
as notifications of the tool.
"""

from hashlib import sha256
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from hardpan.files import canonical_json
from hardpan.identifiers import SARIF_TAXONOMY
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.controls import controls
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.literal import one_line
from hardpan.scanners.report.parts import Rule

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
_LEVELS = {"high": "error", "medium": "warning", "low": "note", "unknown": "warning"}
_SCORES = {"high": "8.0", "medium": "5.5", "low": "3.0"}
"""Middles of the bands that code-scanning services sort ``security-severity`` into."""

_MOST_FOUND = 60
_MARKS = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})

Json = dict[str, object]


class Sarif:
    """``findings.sarif``."""

    def render(self, report: Report) -> bytes:
        """The log, one run."""
        found = report.findings
        taxa = [c.control_id for c in controls(x for r in found.rules for x in r.nist)]
        index = {name: n for n, name in enumerate(taxa)}
        run: Json = {
            "tool": {"driver": _driver(found, index)},
            "invocations": [_invocation(found)],
            "automationDetails": {"id": f"hardpan/{quote(found.profile, safe='')}/"},
            "columnKind": "unicodeCodePoints",
            "artifacts": [
                {
                    "location": {"uri": _address(found), "description": _text("The host")},
                    "roles": ["analysisTarget"],
                }
            ],
            "logicalLocations": [_host(found)],
            "results": [_result(r, n, found) for n, r in enumerate(found.rules)],
            "properties": {
                "profile": found.content.profile_id,
                "benchmark": found.content.benchmark_id,
                "contentVersion": found.content.version,
                "score": found.score,
            },
        }
        if taxa:
            run["taxonomies"] = [_taxonomy(taxa)]
        return canonical_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def literal(text: str) -> str:
    """``text`` so that SARIF's messages show it: no embedded link, no placeholder."""
    return text.translate(_MARKS)


def _text(text: str) -> Json:
    return {"text": literal(text)}


def _driver(found: Findings, index: dict[str, int]) -> Json:
    driver: Json = {
        "name": "hardpan",
        "fullName": f"hardpan with {one_line(found.content.engine)}",
        "rules": [_rule(r, index) for r in found.rules],
    }
    if index:
        driver["supportedTaxonomies"] = [{"name": _TAXONOMY, "index": 0, "guid": _TAXONOMY_ID}]
    return driver


def _rule(rule: Rule, index: dict[str, int]) -> Json:
    tags = ["security", *rule.stig_ids, *rule.sv_ids, *([rule.cce] if rule.cce else [])]
    properties: Json = {"tags": list(dict.fromkeys(tags)), "severity": rule.severity}
    if rule.severity in _SCORES:
        properties["security-severity"] = _SCORES[rule.severity]
    made: Json = {
        "id": rule.rule_id,
        "name": rule.rule_id.rpartition("_rule_")[2] or rule.rule_id,
        "shortDescription": _text(one_line(rule.title)),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": properties,
    }
    if rule.rationale.strip():
        made["fullDescription"] = _text(rule.rationale)
    if rule.fix_text.strip():
        made["help"] = _text(rule.fix_text)
    named = [c.control_id for c in controls(rule.nist)]
    if named:
        component = {"name": _TAXONOMY, "index": 0, "guid": _TAXONOMY_ID}
        made["relationships"] = [
            {
                "target": {"id": name, "index": index[name], "toolComponent": component},
                "kinds": ["relevant"],
            }
            for name in named
        ]
    return made


def _invocation(found: Findings) -> Json:
    failed = [(n, r) for n, r in enumerate(found.rules) if r.verdict == "error"]
    return {
        "executionSuccessful": True,
        "startTimeUtc": found.started,
        "endTimeUtc": found.finished,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": _text("The check ended in an error, so the rule was not judged."),
                "associatedRule": {"id": r.rule_id, "index": n},
            }
            for n, r in failed
        ],
    }


def _host(found: Findings) -> Json:
    return {"name": found.host.hostname, "kind": "resource"}


def _address(found: Findings) -> str:
    return f"ssh://{quote(found.host.hostname, safe='')}/"


def _result(rule: Rule, index: int, found: Findings) -> Json:
    kind = _KINDS[rule.verdict]
    made: Json = {
        "ruleId": rule.rule_id,
        "ruleIndex": index,
        "kind": kind,
        # SARIF allows no other level where nothing failed.
        "level": _LEVELS[rule.severity] if kind == "fail" else "none",
        "message": _text(_message(rule)),
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _address(found), "index": 0}},
                "logicalLocations": [{**_host(found), "index": 0}],
            }
        ],
        "partialFingerprints": {"ruleAndHost/v1": _fingerprint(rule, found)},
        "properties": {"verdict": rule.verdict, "nist": list(rule.nist)},
    }
    if rule.is_waived and rule.waiver is not None:
        made["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": rule.waiver.said(),
                "properties": {"owner": rule.waiver.owner, "expires": rule.waiver.expires},
            }
        ]
    return made


def _message(rule: Rule) -> str:
    lines = [f"{rule.verdict}: {one_line(rule.title)}", *rule.found[:_MOST_FOUND]]
    if len(rule.found) > _MOST_FOUND:
        lines.append(f"and {len(rule.found) - _MOST_FOUND} more, in findings.json")
    if rule.waiver is not None and not rule.waiver.holds:
        lines.append(f"Waiver that does not hold: {rule.waiver.said()}")
    return "\n".join(lines)


def _fingerprint(rule: Rule, found: Findings) -> str:
    who = f"{found.host.machine_id_hmac}\n{found.host.host_key_sha256}\n{rule.rule_id}"
    return sha256(who.encode()).hexdigest()


def _taxonomy(taxa: list[str]) -> Json:
    return {
        "name": _TAXONOMY,
        "guid": _TAXONOMY_ID,
        "organization": "NIST",
        "version": "4",
        "isComprehensive": False,
        "shortDescription": _text("Controls that the content's rules refer to, in OSCAL's form"),
        "taxa": [{"id": name} for name in taxa],
    }
