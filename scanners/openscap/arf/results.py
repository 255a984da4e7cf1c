"""Rule results and evidence from a target's ARF.

The file comes from the target and is hostile: no entities, and limits on bytes, depth and text
(``parser``).
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from hardpan.core.compression import CompressedBlob, Compressor, compression_thread
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap.arf.parser import MAX_EVIDENCE_LINES, parse_elements
from hardpan.scanners.openscap.arf.state import (
    ParserState,
    RawRuleResult,
    invalid_arf,
    sanitize_line,
)

T = TypeVar("T")
_MAX_QUEUED_CHUNKS = 4
"""Chunks that may wait for compression."""

_MAX_STEPS = 200
"""Tests and definitions that are visited for the evidence of one definition."""

_MAX_SCORE = 100.0
XSD_DATETIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
"""XML Schema's form of a date and time."""

_REPEATED_RESULT = "the ARF has more than one result for this rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArfRuleResult:
    """One rule-result of one ARF."""

    rule_id: str
    verdict: Verdict
    engine: str
    """``OVAL``, ``SCE`` or empty when nothing was checked."""

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

    platforms: tuple[str, ...]
    """CPE names that matched the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableArf:
    """Takes the place of an ``Arf`` if no verdict could be read."""

    reason: str


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
    return Arf(
        benchmark_version=metadata.get("version", ""),
        profile_id=metadata["profile"],
        started=_parse_time(metadata, "start-time", name),
        finished=_parse_time(metadata, "end-time", name),
        score=score,
        rules=dict(_convert_rules(state, name)),
        platforms=tuple(state.platforms),
    )


def parse_and_compress(chunks: Iterable[bytes], *, name: str) -> tuple[Arf, CompressedBlob]:
    """Parse an ARF and compress it as an attachment, without holding all of it in memory.

    Raises:
        ToolError: as ``parse_arf`` does.
    """
    return compress_while(lambda stream: parse_arf(stream, name=name), chunks)


def compress_while(
    consume: Callable[[Iterator[bytes]], T], chunks: Iterable[bytes]
) -> tuple[T, CompressedBlob]:
    """Return the result of ``consume`` over ``chunks``, and ``chunks`` compressed.

    Another thread compresses them: deflating takes as long as parsing, and releases the GIL.
    """
    compressor = Compressor()
    with compression_thread() as thread:
        pending: deque[Future[None]] = deque()

        def tee_chunks() -> Iterator[bytes]:
            for chunk in chunks:
                pending.append(thread.submit(compressor.update, chunk))
                if len(pending) > _MAX_QUEUED_CHUNKS:
                    pending.popleft().result()
                yield chunk

        result = consume(tee_chunks())
        for future in pending:
            future.result()
    return result, compressor.finish()


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
    evidence = _EvidenceCollector(state)
    for rule_id, raw in state.rules.items():
        try:
            verdict = Verdict(raw.result)
        except ValueError as e:
            raise invalid_arf(name, f"gives {rule_id[:200]} the result {raw.result[:40]!a}") from e
        if raw.is_repeated:
            yield rule_id, _repeated_result(rule_id)
        elif verdict is not Verdict.NOT_SELECTED:
            yield rule_id, _convert_rule(evidence, raw, verdict)


def _repeated_result(rule_id: str) -> ArfRuleResult:
    return ArfRuleResult(
        rule_id=rule_id,
        verdict=Verdict.ERROR,
        engine="",
        evidence_lines=(_REPEATED_RESULT,),
        incomplete=True,
    )


def _convert_rule(
    evidence: "_EvidenceCollector", raw: RawRuleResult, verdict: Verdict
) -> ArfRuleResult:
    report, definition = raw.definition_ref or ("", "")
    lines = evidence.collect_lines(report, definition)
    not_evaluated = verdict in (Verdict.NOT_CHECKED, Verdict.NOT_APPLICABLE)
    return ArfRuleResult(
        rule_id=raw.rule_id,
        verdict=verdict,
        engine="" if not_evaluated else raw.engine,
        evidence_lines=tuple(dict.fromkeys([*raw.messages, *raw.output_lines, *lines]))[
            :MAX_EVIDENCE_LINES
        ],
        incomplete=evidence.is_incomplete(report, definition),
    )


class _EvidenceCollector:
    """Collects the evidence of definitions: their tests and collected items.

    Many rules may refer to one definition, and definitions extend one another. Each definition is
    searched once and for a bounded number of steps, so the work is linear in the ARF.
    """

    def __init__(self, state: ParserState) -> None:
        self._state = state
        self._lines: dict[tuple[str, str], tuple[str, ...]] = {}
        self._incomplete: dict[str, frozenset[str]] = {}

    def collect_lines(self, report: str, definition: str) -> tuple[str, ...]:
        """Return each test of a definition with its result and the items that it collected."""
        key = (report, definition)
        if key not in self._lines:
            self._lines[key] = tuple(self._search_definitions(report, definition))
        return self._lines[key]

    def is_incomplete(self, report: str, definition: str) -> bool:
        """Return whether a test of the definition used an incompletely collected object."""
        if report not in self._incomplete:
            self._incomplete[report] = frozenset(self._find_incomplete(report))
        return definition in self._incomplete[report]

    def _search_definitions(self, report: str, definition: str) -> list[str]:
        definitions = self._state.definitions.get(report, {})
        lines: dict[str, None] = {}
        visited = {definition}
        queue = deque([definition])
        steps = 0
        while queue:
            tests, extended = definitions.get(queue.popleft(), ((), ()))
            for test in islice(tests, _MAX_STEPS):
                steps += 1
                lines.update(dict.fromkeys(self._describe_test(report, test)))
                if steps >= _MAX_STEPS or len(lines) >= MAX_EVIDENCE_LINES:
                    return list(lines)[:MAX_EVIDENCE_LINES]
            for extended_id in islice(extended, _MAX_STEPS):
                steps += 1
                if extended_id not in visited:
                    visited.add(extended_id)
                    queue.append(extended_id)
            if steps >= _MAX_STEPS:
                break
        return list(lines)

    def _describe_test(self, report: str, test: str) -> list[str]:
        items = self._state.items.get(report, {})
        comments = self._state.comments.get(report, {})
        result, item_ids = self._state.tests.get(report, {}).get(test, ("", []))
        if not result or result == "not evaluated":
            return []
        item_lines = (items[i] for i in item_ids[:MAX_EVIDENCE_LINES] if i in items)
        return [sanitize_line(f"[{result}] {comments.get(test, test)}"), *item_lines]

    def _find_incomplete(self, report: str) -> set[str]:
        items = self._state.incomplete.get(report)
        if not items:
            return set()
        tests = self._state.tests.get(report, {})
        definitions = self._state.definitions.get(report, {})
        incomplete_tests = {
            test for test, (_, item_ids) in tests.items() if not items.isdisjoint(item_ids)
        }
        dependents = defaultdict[str, list[str]](list)
        for definition, (_, extended) in definitions.items():
            for extended_id in extended:
                dependents[extended_id].append(definition)
        incomplete = {
            d
            for d, (test_ids, _) in definitions.items()
            if not incomplete_tests.isdisjoint(test_ids)
        }
        queue = deque(incomplete)
        while queue:
            newly_incomplete = set(dependents.pop(queue.popleft(), ())) - incomplete
            incomplete |= newly_incomplete
            queue.extend(newly_incomplete)
        return incomplete
