"""Rule results and evidence from a target's ARF.

The file comes from the target and is hostile: no entities, and limits on bytes, depth and text
(``parser``).
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from hardpan.scanners.model.verdict import Verdict
from hardpan.scanners.openscap.arf.evidence import EvidenceCollector
from hardpan.scanners.openscap.arf.parser import parse_elements
from hardpan.scanners.openscap.arf.state import ParserState, RawRuleResult, invalid_arf
from hardpan.scanners.openscap.arf.verdicts import combine_verdicts

_MAX_SCORE = 100.0
XSD_DATETIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
"""XML Schema's form of a date and time."""

SEVERITIES = ("high", "medium", "low", "unknown", "info")
"""Severities of XCCDF, the highest first, except that ``unknown`` may be any."""

MAX_VALUE_IDS = 200
"""Values of one rule."""

ROLES = ("full", "unscored", "unchecked")
"""Roles of XCCDF, the one that counts most first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArfRuleResult:
    """The result of one rule in one ARF: its rule-results, combined with AND."""

    rule_id: str
    verdict: Verdict
    severity: str = "unknown"
    """``high``, ``medium``, ``low``, ``unknown`` or ``info``, as the profile refines it."""

    role: str = "full"
    """``full``, ``unscored`` or ``unchecked``."""

    weight: float = 1.0
    result_count: int = 1
    """How many rule-results the ARF has for the rule."""

    engine: str
    """``OVAL``, ``SCE``, ``OVAL, SCE`` or empty when nothing was checked."""

    value_ids: tuple[str, ...] = ()
    """XCCDF values that its checks used."""

    evidence_lines: tuple[str, ...]
    """One line per collected item or message; bounded and printable."""

    incomplete: bool
    """True if oscap stopped collecting (a memory limit): the verdict is not reliable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arf:
    """The results that one oscap process reported."""

    benchmark_version: str
    profile_id: str
    started: str
    finished: str
    score: float
    """oscap's own score, over the rules of this process."""

    rules: dict[str, ArfRuleResult]
    """Rule id -> result; rules that were not selected are omitted."""

    not_selected: tuple[str, ...]
    """Rules that oscap did not select."""

    values: dict[str, str]
    """Value id -> the value that oscap evaluated with; long ones are cut to ``MAX_TEXT``."""

    platforms: tuple[str, ...]
    """CPE names that matched the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableArf:
    """Takes the place of an ``Arf`` if no verdict could be read."""

    reason: str
    is_due_to_content: bool = False
    """True if oscap refused the content or crashed on it: other content may be evaluated."""


def parse_arf(chunks: Iterable[bytes], *, name: str = "arf.xml") -> Arf:
    """Parse an ARF from its bytes in order.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
        MemoryError: the process may not use as much memory as parsing needs.
    """
    state = parse_elements(chunks, name)
    metadata = state.metadata
    score = _parse_score(metadata)
    if "profile" not in metadata or not metadata.get("end-time") or score is None:
        raise invalid_arf(name, "has no finished XCCDF result")
    rules = dict(_convert_rules(state, name))
    return Arf(
        benchmark_version=metadata.get("version", ""),
        profile_id=metadata["profile"],
        started=_parse_time(metadata, "start-time", name),
        finished=_parse_time(metadata, "end-time", name),
        score=score,
        rules=rules,
        not_selected=tuple(rule_id for rule_id in state.rules if rule_id not in rules),
        values=state.values,
        platforms=tuple(state.platforms),
    )


def _parse_score(metadata: dict[str, str]) -> float | None:
    try:
        score = float(metadata["score"] or "0")
    except (KeyError, ValueError):
        return None
    return score if 0 <= score <= _MAX_SCORE else None  # nor is nan


def _parse_time(metadata: dict[str, str], attribute: str, name: str) -> str:
    """Return the time of the attribute ``attribute``; empty if it is missing."""
    text = metadata.get(attribute, "")
    try:
        if not re.fullmatch(XSD_DATETIME_PATTERN, text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError as e:
        if text:
            raise invalid_arf(name, f"has the {attribute} {text[:40]!a}") from e
    return text


def _convert_rules(state: ParserState, name: str) -> Iterator[tuple[str, ArfRuleResult]]:
    evidence = EvidenceCollector(state)
    for rule_id, raw_results in state.rules.items():
        verdict = combine_verdicts(_parse_verdict(raw, name) for raw in raw_results)
        if verdict is not Verdict.NOT_SELECTED:
            yield rule_id, _convert_rule(evidence, raw_results, verdict, name)


def _convert_rule(
    evidence: EvidenceCollector, raw_results: list[RawRuleResult], verdict: Verdict, name: str
) -> ArfRuleResult:
    checks = [check for raw in raw_results for check in raw.checks]
    not_evaluated = verdict in (Verdict.NOT_CHECKED, Verdict.NOT_APPLICABLE)
    engines = sorted({check.engine for check in checks if check.engine})
    value_ids = dict.fromkeys(value_id for check in checks for value_id in check.value_ids)
    return ArfRuleResult(
        rule_id=raw_results[0].rule_id,
        verdict=verdict,
        severity=_parse_name(raw_results, "severity", SEVERITIES, "unknown", name),
        role=_parse_name(raw_results, "role", ROLES, "full", name),
        weight=max(_parse_weight(raw, name) for raw in raw_results),
        result_count=len(raw_results),
        engine="" if not_evaluated else ", ".join(engines),
        value_ids=tuple(value_ids)[:MAX_VALUE_IDS],
        evidence_lines=evidence.describe_results(raw_results),
        incomplete=evidence.is_incomplete(checks),
    )


def _parse_verdict(raw: RawRuleResult, name: str) -> Verdict:
    try:
        return Verdict(raw.result)
    except ValueError as e:
        raise invalid_arf(name, f"gives {raw.rule_id[:200]} the result {raw.result[:40]!a}") from e


def _parse_name(
    raw_results: list[RawRuleResult],
    attribute: str,
    names: tuple[str, ...],
    default: str,
    arf_name: str,
) -> str:
    """Return the attribute of a rule's results; of different ones the first in ``names``."""
    values = {getattr(raw, attribute) or default for raw in raw_results}
    if invalid := sorted(values.difference(names)):
        rule_id = raw_results[0].rule_id[:200]
        raise invalid_arf(arf_name, f"gives {rule_id} the {attribute} {invalid[0][:40]!a}")
    return min(values, key=names.index)


def _parse_weight(raw: RawRuleResult, name: str) -> float:
    try:
        weight = float(raw.weight or "1")
    except ValueError:
        weight = -1.0
    if not 0 <= weight < math.inf:
        raise invalid_arf(name, f"gives {raw.rule_id[:200]} the weight {raw.weight[:40]!a}")
    return weight
