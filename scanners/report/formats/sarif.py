"""SARIF 2.1.0: one run for the host, one result for each open rule, the most severe first.

Code-scanning services read a subset of SARIF, which decides what is written:

- They ignore ``kind`` and ``suppressions`` and show each result as an alert that somebody has to
  close. So a rule that passed, is waived or was not checked has no result; notifications report
  how many these are.
- They need a relative URI and a region: those of the rule's row in ``findings.csv``, which the
  evidence has next to the log.
- A log replaces the earlier one with the same ``automationDetails.id``, which therefore names
  the host. GitHub shows results of the same fingerprint as one alert: it includes the host, too.
- They reject a log above their limits (``sarif_limits``).

Only a rule that failed is of kind ``fail``. One that ended in an error or stayed unknown is
``open``, SARIF's kind for "no result yet".
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.report.formats.csv import render_rows
from hardpan.scanners.report.formats.sarif_limits import (
    MAX_CATEGORY_CHARACTERS,
    MAX_EVIDENCE_LINES,
    MAX_RESULTS,
    estimate_count,
)
from hardpan.scanners.report.formats.sarif_rules import (
    LEVELS,
    Json,
    build_rule,
    build_supported_taxonomy,
    build_taxonomy,
    list_controls,
    to_message,
)
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.markdown_escape import to_line
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import SEVERITIES
from hardpan.scanners.report.registry import FORMATS, Report

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_KINDS = {"fail": "fail", "error": "open", "unknown": "open"}


_MAX_TAILORING_CHANGES = 200
"""The others are in findings.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenRule:
    """An open rule and its row in the table."""

    rule: RulePart
    line: int
    """Number of the row's first line, from 1."""

    line_length: int
    """Characters of that line, without its end."""


class Sarif:
    """``findings.sarif``."""

    def render(self, report: Report) -> bytes:
        """Render the log: one run, with as many results as the limits allow."""
        findings = report.findings
        rows = render_rows(findings)
        open_rules = _list_open_rules(findings, rows)
        artifact = _build_artifact("".join(rows).encode("utf-8"))
        count = min(len(open_rules), MAX_RESULTS)
        while True:
            run = _build_run(findings, open_rules[:count], len(open_rules), artifact)
            log = canonical_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})
            remaining = estimate_count(log, count)
            if remaining == count:
                return log
            count = remaining


def _list_open_rules(findings: Findings, rows: tuple[str, ...]) -> list[_OpenRule]:
    """List the open rules, the most severe first; failures before those without an answer."""
    open_rules = []
    header, *rule_rows = rows  # in the order of the rules
    line = 1 + header.count("\n")
    for rule, row in zip(findings.rules_and_checks, rule_rows, strict=True):
        if rule.is_open:
            length = len(row.partition("\n")[0].removesuffix("\r"))
            open_rules.append(_OpenRule(rule=rule, line=line, line_length=length))
        line += row.count("\n")
    order = list(_KINDS)
    return sorted(
        open_rules,
        key=lambda x: (SEVERITIES.index(x.rule.gate_severity), order.index(x.rule.verdict)),
    )


def _build_run(
    findings: Findings, listed: list[_OpenRule], open_count: int, artifact: Json
) -> Json:
    controls = list_controls([x.rule for x in listed])
    run: Json = {
        "tool": {"driver": _build_driver(findings, listed, controls)},
        "invocations": [_build_invocation(findings, listed, open_count)],
        "automationDetails": {"id": _build_category(findings.host.hostname)},
        "columnKind": "unicodeCodePoints",
        "artifacts": [artifact],
        "logicalLocations": [_build_logical_location(findings)],
        "results": [_build_result(x, n, findings) for n, x in enumerate(listed)],
        "properties": {
            "profile": findings.content.profile_id,
            "benchmark": findings.content.benchmark_id,
            "contentVersion": findings.content.version,
            "score": findings.score,
            **_build_tailoring(findings.content),
        },
    }
    if controls:
        run["taxonomies"] = [build_taxonomy(controls)]
    return run


def _build_tailoring(content: ContentPart) -> dict[str, object]:
    """Return the property of the tailoring; empty without one."""
    tailoring = content.tailoring
    if tailoring is None:
        return {}
    return {
        "tailoring": {
            "file": tailoring.file,
            "sha256": tailoring.sha256,
            "effect": tailoring.describe_effect(),
            "changes": list(tailoring.list_changes()[:_MAX_TAILORING_CHANGES]),
        }
    }


def _build_category(hostname: str) -> str:
    """Return the id of the run's category; the empty run id after the last slash is no part."""
    return f"hardpan/{quote(hostname[:MAX_CATEGORY_CHARACTERS], safe='') or 'unknown'}/"


def _build_artifact(table: bytes) -> Json:
    return {
        "location": {"uri": FORMATS["csv"].filename},
        "roles": ["analysisTarget"],
        "mimeType": "text/csv",
        "encoding": "UTF-8",
        "length": len(table),
        "hashes": {"sha-256": sha256_bytes(table)},
    }


def _build_driver(findings: Findings, listed: list[_OpenRule], controls: list[str]) -> Json:
    index_by_control = {control: n for n, control in enumerate(controls)}
    driver: Json = {
        "name": "hardpan",
        "fullName": f"hardpan with {to_line(findings.content.engine)}",
        "rules": [build_rule(x.rule, index_by_control) for x in listed],
    }
    if controls:
        driver["supportedTaxonomies"] = [build_supported_taxonomy()]
    return driver


def _build_invocation(findings: Findings, listed: list[_OpenRule], open_count: int) -> Json:
    rules = findings.rules_and_checks
    omitted = (
        ("warning", open_count - len(listed), "less severe open rules, above the services' limits"),
        ("note", sum(r.is_waived for r in rules), "rules with an active waiver"),
        (
            "note",
            sum(r.verdict == "notchecked" for r in rules),
            "rules without an automated check, which need a manual review",
        ),
    )
    notifications: list[Json] = [
        {
            "level": level,
            "message": to_message(
                f"Not listed: {count} {subject}. {FORMATS['csv'].filename} has them."
            ),
            "properties": {"count": count},
        }
        for level, count, subject in omitted
        if count
    ]
    notifications += [
        {
            "level": "error",
            "message": to_message("The check ended in an error; the rule was not evaluated."),
            "associatedRule": {"id": x.rule.rule_id, "index": n},
        }
        for n, x in enumerate(listed)
        if x.rule.verdict == "error"
    ]
    return {
        "executionSuccessful": True,
        "startTimeUtc": findings.started,
        "endTimeUtc": findings.finished,
        "toolExecutionNotifications": notifications,
    }


def _build_logical_location(findings: Findings) -> Json:
    return {"name": findings.host.hostname, "kind": "resource"}


def _build_result(listed: _OpenRule, index: int, findings: Findings) -> Json:
    rule = listed.rule
    kind = _KINDS[rule.verdict]
    fingerprint = _compute_fingerprint(rule, findings)
    return {
        "ruleId": rule.rule_id,
        "ruleIndex": index,
        "kind": kind,
        # SARIF allows no other level where nothing failed.
        "level": LEVELS[rule.gate_severity] if kind == "fail" else "none",
        "message": to_message(_format_message_text(rule)),
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": FORMATS["csv"].filename, "index": 0},
                    "region": {
                        "startLine": listed.line,
                        "startColumn": 1,
                        "endLine": listed.line,
                        "endColumn": listed.line_length + 1,
                    },
                },
                "logicalLocations": [{**_build_logical_location(findings), "index": 0}],
            }
        ],
        "partialFingerprints": {
            "ruleAndHost/v1": fingerprint,
            # The only one that GitHub reads; it is of the form that GitHub's own tools write.
            "primaryLocationLineHash": f"{fingerprint[:16]}:1",
        },
        "properties": {"verdict": rule.verdict, "nist": list(rule.nist)},
    }


def _format_message_text(rule: RulePart) -> str:
    lines = [
        f"{rule.verdict}: {to_line(rule.title)}",
        *rule.evidence_lines[:MAX_EVIDENCE_LINES],
    ]
    if len(rule.evidence_lines) > MAX_EVIDENCE_LINES:
        lines.append(f"and {len(rule.evidence_lines) - MAX_EVIDENCE_LINES} more, in findings.json")
    if rule.waiver is not None and not rule.waiver.is_active:
        lines.append(f"Inactive waiver: {rule.waiver.describe()}")
    return "\n".join(lines)


def _compute_fingerprint(rule: RulePart, findings: Findings) -> str:
    host = findings.host
    # A host with neither would share its fingerprints with all others without.
    host_id = f"{host.machine_id_hmac}\n{host.host_key_sha256}".strip() or host.hostname
    return sha256(f"{host_id}\n{rule.rule_id}".encode()).hexdigest()
