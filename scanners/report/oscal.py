"""The parts that both OSCAL documents are made of.

OSCAL's prose is Markdown and much of ours comes from a target: whatever is not
harmless goes into code spans. Identifiers are version-5 UUIDs: those of the host,
of a risk and of a plan's item hold from scan to scan, the others belong to one
scan.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Final

from hardpan.files import canonical_json, sha256_bytes
from hardpan.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.controls import controls
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.literal import inline, items, one_line
from hardpan.scanners.report.parts import Rule

OSCAL_VERSION: Final = "1.1.2"
"""What it is valid for, and later ones of the line too; most readers know it."""

NOT_PASSED = frozenset({"fail", "error", "unknown", "notchecked"})
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, OSCAL_NAMESPACE)
_MOST_FOUND = 60
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9._-]+")

Json = dict[str, object]


class Ids:
    """Makes the identifiers of one scan's documents."""

    def __init__(self, report: Report) -> None:
        found = report.findings
        host = f"{found.host.machine_id_hmac}\n{found.host.host_key_sha256}\n{found.host.hostname}"
        self._host = uuid.uuid5(_NAMESPACE, host)
        self._scan = uuid.uuid5(self._host, sha256_bytes(report.findings_json))
        self._made: dict[tuple[uuid.UUID, str, str], str] = {}

    def lasting(self, kind: str, name: str = "") -> str:
        """The same for every scan of the host."""
        return self._id(self._host, kind, name)

    def of_scan(self, kind: str, name: str = "") -> str:
        """Of this scan alone."""
        return self._id(self._scan, kind, name)

    def _id(self, of: uuid.UUID, kind: str, name: str) -> str:
        key = (of, kind, name)
        if key not in self._made:
            self._made[key] = str(uuid.uuid5(of, f"{kind}\n{name}"))
        return self._made[key]


def document(root: str, body: Mapping[str, object]) -> bytes:
    """The whole file as RFC 8785 bytes, so that a digest of either form is the same."""
    return canonical_json({root: body})


def metadata(found: Findings, title: str) -> Json:
    """About the document; its version is the moment the scan ended."""
    return {
        "title": f"{title}: {inline(found.host.hostname)}, {inline(found.profile)}",
        "last-modified": found.finished,
        "version": found.finished,
        "oscal-version": OSCAL_VERSION,
    }


def props(*pairs: tuple[str, str]) -> list[Json]:
    """Properties of ours; those without a value are left out."""
    return [
        {"name": name, "ns": OSCAL_NAMESPACE, "value": one_line(value)}
        for name, value in pairs
        if value.strip()
    ]


def inventory(found: Findings, ids: Ids) -> Json:
    """The host."""
    host, image = found.host, found.image
    return {
        "uuid": ids.lasting("host"),
        "description": f"Host {inline(host.hostname)}, {inline(host.os_name)}",
        "props": props(
            ("hostname", host.hostname),
            ("host-key", f"{host.host_key_type} {host.host_key_sha256}"),
            ("host-key-trust", host.host_key_trust),
            ("machine-id-hmac", host.machine_id_hmac),
            ("os", f"{host.os_id} {host.os_version}"),
            ("cpe", host.cpe),
            ("kernel", host.kernel),
            ("fips-mode", "on" if host.fips_kernel_flag else "off"),
            ("image-sha256", image.sha256 if image else ""),
        ),
    }


def assets(found: Findings, ids: Ids) -> Json:
    """What the scan was made with."""
    engine = ids.of_scan("engine")
    return {
        "components": [
            {
                "uuid": engine,
                "type": "software",
                "title": "OpenSCAP, run by hardpan",
                "description": f"Engine: {inline(found.content.engine)}",
                "status": {"state": "operational"},
            }
        ],
        "assessment-platforms": [
            {
                "uuid": ids.of_scan("platform"),
                "title": "hardpan scan",
                "uses-components": [{"component-uuid": engine}],
            }
        ],
    }


def content_resource(found: Findings, ids: Ids) -> Json:
    """What the host was compared with: it stands in for an assessment plan."""
    content = found.content
    return {
        "uuid": ids.of_scan("content"),
        "title": f"Content {inline(content.name)}",
        "description": (
            f"SCAP content {inline(content.said())}, profile "
            f"{inline(content.profile_id)}. No OSCAL assessment plan was written."
        ),
        "props": props(
            ("benchmark", content.benchmark_id),
            ("version", content.version),
            ("date", content.date),
            ("origin", content.origin_kind),
            ("profile", content.profile_id),
            ("source-sha256", content.source_sha256),
            ("derived-sha256", content.derived_sha256),
        ),
    }


def evidence_resource(ids: Ids) -> Json:
    """The findings that lie in the same evidence file."""
    return {
        "uuid": ids.of_scan("findings.json"),
        "title": "Findings, rule by rule",
        "rlinks": [{"href": "findings.json", "media-type": "application/json"}],
    }


def subject(found: Findings, ids: Ids) -> Json:
    """The host, referred to."""
    return {
        "subject-uuid": ids.lasting("host"),
        "type": "inventory-item",
        "title": inline(found.host.hostname),
    }


def observation(rule: Rule, found: Findings, ids: Ids) -> Json:
    """What was looked at and found for one rule, whatever its verdict."""
    told = items(rule.found, most=_MOST_FOUND) or "No detail was recorded."
    made: Json = {
        "uuid": ids.of_scan("observation", rule.rule_id),
        "title": inline(rule.title),
        "description": f"Rule {inline(rule.rule_id)}: {rule.verdict}",
        "props": props(
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
        "origins": origins(ids),
        "subjects": [subject(found, ids)],
        "relevant-evidence": [{"href": f"#{ids.of_scan('findings.json')}", "description": told}],
        "collected": found.finished,
    }
    return made


def findings_of(rule: Rule, ids: Ids) -> list[Json]:
    """One finding per control that ``rule`` speaks for; none of them satisfied.

    A rule that names no control is its own objective.
    """
    targets = [(c.control_id, "statement-id", c.statement_id) for c in controls(rule.nist)]
    return [
        {
            "uuid": finding_id(rule, control, ids),
            "title": inline(rule.title),
            "description": f"Rule {inline(rule.rule_id)}: {rule.verdict}{_waiver_words(rule)}",
            "props": props(("rule", rule.rule_id), ("control", control), ("verdict", rule.verdict)),
            "origins": origins(ids),
            "target": {
                "type": kind,
                "target-id": target,
                "status": {
                    "state": "not-satisfied",
                    "reason": "fail" if rule.verdict == "fail" else "other",
                },
            },
            "related-observations": [
                {"observation-uuid": ids.of_scan("observation", rule.rule_id)}
            ],
            **(
                {"related-risks": [{"risk-uuid": ids.lasting("risk", rule.rule_id)}]}
                if has_risk(rule)
                else {}
            ),
        }
        for control, kind, target in targets or [("", "objective-id", token(rule.rule_id))]
    ]


def finding_id(rule: Rule, control_id: str, ids: Ids) -> str:
    """The identifier of one finding."""
    return ids.of_scan("finding", f"{rule.rule_id}\n{control_id}")


def has_risk(rule: Rule) -> bool:
    """True for what is open or waived."""
    return rule.is_open or rule.is_waived


def risk(rule: Rule, ids: Ids) -> Json:
    """The risk of a rule that is open, or whose waiver holds: then the deviation is approved."""
    waiver = rule.waiver
    made: Json = {
        "uuid": ids.lasting("risk", rule.rule_id),
        "title": inline(rule.title),
        "description": f"Rule {inline(rule.rule_id)}: {rule.verdict}{_waiver_words(rule)}",
        "statement": inline(rule.rationale, empty="The content gives no rationale."),
        "props": props(
            ("rule", rule.rule_id),
            ("severity", rule.severity),
            *(
                (
                    ("waiver-reason", waiver.reason),
                    ("waiver-owner", waiver.owner),
                    ("waiver-expires", waiver.expires),
                    ("waiver-state", "holds" if waiver.holds else "ended"),
                )
                if waiver
                else ()
            ),
        ),
        "status": "deviation-approved" if rule.is_waived else "open",
        "origins": origins(ids),
        "related-observations": [{"observation-uuid": ids.of_scan("observation", rule.rule_id)}],
    }
    if rule.is_waived and waiver is not None:
        # The waiver's last day counts whole, in UTC.
        made["deadline"] = f"{waiver.expires}T23:59:59Z"
    if rule.fix_text.strip():
        made["remediations"] = [
            {
                "uuid": ids.lasting("remediation", rule.rule_id),
                "lifecycle": "recommendation",
                "title": "What the content recommends",
                "description": inline(rule.fix_text),
            }
        ]
    return made


def origins(ids: Ids) -> list[Json]:
    """Who says so: the scan's engine."""
    return [{"actors": [{"type": "tool", "actor-uuid": ids.of_scan("engine")}]}]


def token(text: str) -> str:
    """``text`` as an OSCAL token."""
    return f"rule_{_NOT_TOKEN.sub('_', text)}"


def selected_controls(rules: Iterable[Rule]) -> list[Json]:
    """What was looked at of the controls: never a control whole, only what the rules test."""
    named = controls(x for rule in rules for x in rule.nist)
    return [{"control-id": c.control_id} for c in named]


def _waiver_words(rule: Rule) -> str:
    if rule.waiver is None:
        return ""
    state = "Waiver on record" if rule.is_waived else "Waiver that does not hold"
    return f". {state}: {inline(rule.waiver.said())}"
