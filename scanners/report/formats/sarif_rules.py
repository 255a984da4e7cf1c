"""The rules of a SARIF log, and the controls of NIST SP 800-53 that they refer to."""

from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from hardpan.core.identifiers import SARIF_TAXONOMY
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.report.formats.sarif_limits import (
    MAX_MESSAGE_CHARACTERS,
    MAX_SUMMARY_CHARACTERS,
    MAX_TAGS,
)
from hardpan.scanners.report.model.markdown_escape import to_line
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.oscal.nist_controls import collect_controls

_NAME: Final = "NIST SP 800-53"
_GUID: Final = str(uuid5(NAMESPACE_URL, SARIF_TAXONOMY))

LEVELS = {
    "high": "error",
    "medium": "warning",
    "low": "note",
    "unknown": "warning",
    "info": "note",
}
"""Severity -> level of a result and of its rule."""

_SECURITY_SEVERITIES = {"high": "8.0", "medium": "5.5", "low": "3.0"}
"""Middles of the bands that code-scanning services sort ``security-severity`` into."""

_TRUNCATION_NOTE = " …"
_ESCAPES = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})

Json = dict[str, object]


def escape_message(text: str) -> str:
    """``text`` so that SARIF's messages show it: no embedded link, no placeholder."""
    return text.translate(_ESCAPES)


def to_message(text: str, max_characters: int = MAX_MESSAGE_CHARACTERS) -> Json:
    """Return a message object with ``text``, escaped; a long one ends in an ellipsis."""
    escaped = escape_message(text)
    if len(escaped) > max_characters:
        # Cut between characters of the text, so that no escape sequence is cut in two.
        ends = accumulate(len(escape_message(character)) for character in text)
        end = max_characters - len(_TRUNCATION_NOTE)
        escaped = escaped[: max(takewhile(end.__ge__, ends), default=0)] + _TRUNCATION_NOTE
    return {"text": escaped}


def build_rule(rule: RulePart, index_by_control: dict[str, int]) -> Json:
    """Build the descriptor of a rule; GitHub requires all three descriptions."""
    severity = rule.gate_severity
    tags = ("security", *rule.stig_ids, *rule.sv_ids, *rule.ccis, *([rule.cce] if rule.cce else []))
    properties: Json = {
        "tags": list(dict.fromkeys(tags))[:MAX_TAGS],
        "severity": rule.severity,
    }
    if rule.disa_severity:
        properties["disaSeverity"] = rule.disa_severity
    if severity in _SECURITY_SEVERITIES:
        properties["security-severity"] = _SECURITY_SEVERITIES[severity]
    title = to_line(rule.title)
    descriptor: Json = {
        "id": rule.rule_id,
        "shortDescription": to_message(title, MAX_SUMMARY_CHARACTERS),
        "fullDescription": to_message(rule.rationale.strip() or title, MAX_SUMMARY_CHARACTERS),
        "help": to_message(rule.fix_text.strip() or title),
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": properties,
    }
    # A name that repeats the id says nothing: SARIF's validators object to it.
    if (name := shorten_id(rule.rule_id)) != rule.rule_id:
        descriptor["name"] = name
    relationships = _build_relationships(rule, index_by_control)
    if relationships:
        descriptor["relationships"] = relationships
    return descriptor


def list_controls(rules: Sequence[RulePart]) -> list[str]:
    """List the controls that the rules refer to, as OSCAL names them, sorted."""
    return [c.control_id for c in collect_controls(x for r in rules for x in r.nist)]


def build_supported_taxonomy() -> Json:
    """Build the driver's reference to the taxonomy."""
    return {"name": _NAME, "index": 0, "guid": _GUID}


def _build_relationships(rule: RulePart, index_by_control: dict[str, int]) -> list[Json]:
    return [
        {
            "target": {
                "id": c.control_id,
                "index": index_by_control[c.control_id],
                "toolComponent": build_supported_taxonomy(),
            },
            "kinds": ["relevant"],
        }
        for c in collect_controls(rule.nist)
    ]


def build_taxonomy(controls: list[str]) -> Json:
    """Build the taxonomy with these controls."""
    text = "Controls that the content's rules refer to, in OSCAL's form"
    return {
        "name": _NAME,
        "guid": _GUID,
        "organization": "NIST",
        "version": "4",
        "isComprehensive": False,
        "shortDescription": {"text": text},
        "taxa": [{"id": name} for name in controls],
    }
