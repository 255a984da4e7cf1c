"""Evidence of a rule: its results, its checks, their tests, the collected items and the values.

A rule with one result of one check has the lines of that check. Several results, and the checks of
a complex check, get a heading each, and share the lines that a rule may have.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import islice

from hardpan.scanners.openscap.arf.parser import MAX_EVIDENCE_LINES
from hardpan.scanners.openscap.arf.rule_reader import MAX_CHECK_LINES
from hardpan.scanners.openscap.arf.state import (
    ParserState,
    RawCheck,
    RawDefinition,
    RawRuleResult,
    sanitize_line,
)

_MAX_STEPS = 200
"""Tests and definitions that are visited for the evidence of one definition."""

_MAX_HEADINGS = 12
"""Results, and checks of one result, that have evidence of their own."""

_NO_DEFINITION = RawDefinition(result="")


class EvidenceCollector:
    """Collects the evidence of definitions: their tests and collected items.

    Many rules may refer to one definition, and definitions extend one another. Each definition is
    searched once and for a bounded number of steps, so the work is linear in the ARF.
    """

    def __init__(self, state: ParserState) -> None:
        self._state = state
        self._lines: dict[tuple[str, str], tuple[str, ...]] = {}
        self._incomplete: dict[str, frozenset[str]] = {}

    def describe_results(self, results: Sequence[RawRuleResult]) -> tuple[str, ...]:
        """Return the lines of evidence of all results of a rule, failures first."""
        if len(results) == 1:
            return tuple(self._describe_result(results[0], MAX_EVIDENCE_LINES))
        counts = ", ".join(r.result for r in results[:_MAX_HEADINGS])
        if len(results) > _MAX_HEADINGS:
            counts += f" and {len(results) - _MAX_HEADINGS} more"
        all_lines = [sanitize_line(f"{len(results)} results, combined with AND: {counts}")]
        sections = sorted(enumerate(results, 1), key=lambda s: _is_passed(s[1]))[:_MAX_HEADINGS]
        share = max(1, (MAX_EVIDENCE_LINES - 1) // len(sections) - 1)
        for number, result in sections:
            heading = f"result {number}: {result.result}{_list_definitions(result.checks[:1])}"
            all_lines += [sanitize_line(heading), *self._describe_result(result, share)]
        return tuple(all_lines[:MAX_EVIDENCE_LINES])

    def is_incomplete(self, checks: Sequence[RawCheck]) -> bool:
        """Return whether a test of the checks used an incompletely collected object."""
        return any(
            self._is_definition_incomplete(report, definition)
            for check in checks
            for report, definition in check.references
        )

    def _describe_result(self, result: RawRuleResult, limit: int) -> list[str]:
        lines = [*result.overrides, *result.messages]
        if not result.expression:
            for check in result.checks[:_MAX_HEADINGS]:
                lines += self._describe_check(check)
            maximum = min(limit, len(result.overrides) + MAX_CHECK_LINES)
            return list(dict.fromkeys(lines))[:maximum]
        lines.append(sanitize_line(f"complex check: {''.join(result.expression)}"))
        checks = result.checks[:_MAX_HEADINGS]
        share = max(1, (limit - len(lines)) // max(1, len(checks)) - 1)
        for number, check in enumerate(checks, 1):
            lines.append(sanitize_line(self._describe_heading(number, check)))
            lines += self._describe_check(check)[:share]
        if len(result.checks) > len(checks):
            lines.append(f"and {len(result.checks) - len(checks)} more checks")
        return lines[:limit]

    def _describe_heading(self, number: int, check: RawCheck) -> str:
        results = [
            self._state.definitions.get(report, {}).get(definition, _NO_DEFINITION).result
            for report, definition in check.references[:1]
        ]
        result = f" is {results[0]}" if results and results[0] else ""
        return f"check {number}{_list_definitions([check])}{result}"

    def _describe_check(self, check: RawCheck) -> list[str]:
        values = self._state.values
        lines = [*check.output_lines]
        if check.is_negated:
            lines.insert(0, "the result of the check is negated")
        lines += [
            sanitize_line(f"value {value_id} = {values[value_id]}")
            for value_id in check.value_ids[:MAX_CHECK_LINES]
            if value_id in values
        ]
        for report, definition in check.references[:_MAX_HEADINGS]:
            lines += self._collect_lines(report, definition)
        return lines

    def _collect_lines(self, report: str, definition: str) -> tuple[str, ...]:
        """Return each test of a definition with its result and the items that it collected."""
        key = (report, definition)
        if key not in self._lines:
            definitions = self._state.definitions.get(report, {})
            names = [definition] if definition else _failures_first(definitions)
            self._lines[key] = tuple(self._search_definitions(report, names))
        return self._lines[key]

    def _is_definition_incomplete(self, report: str, definition: str) -> bool:
        if report not in self._incomplete:
            self._incomplete[report] = frozenset(self._find_incomplete(report))
        if not definition:
            return bool(self._incomplete[report])
        return definition in self._incomplete[report]

    def _search_definitions(self, report: str, names: list[str]) -> list[str]:
        definitions = self._state.definitions.get(report, {})
        lines: dict[str, None] = {}
        visited = set(names)
        queue = deque(names)
        steps = 0
        while queue:
            searched = definitions.get(queue.popleft(), _NO_DEFINITION)
            steps += 1
            for test in islice(searched.test_ids, _MAX_STEPS):
                steps += 1
                lines.update(dict.fromkeys(self._describe_test(report, test)))
                if steps >= _MAX_STEPS or len(lines) >= MAX_CHECK_LINES:
                    return list(lines)[:MAX_CHECK_LINES]
            for extended_id in islice(searched.extended_ids, _MAX_STEPS):
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
        allowed_ids = self._state.allowed_items.get(report, {}).get(test, ())
        violating_ids = islice((i for i in item_ids if i not in allowed_ids), MAX_CHECK_LINES)
        item_lines = (items[i] for i in violating_ids if i in items)
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
        for definition, raw in definitions.items():
            for extended_id in raw.extended_ids:
                dependents[extended_id].append(definition)
        incomplete = {
            d for d, raw in definitions.items() if not incomplete_tests.isdisjoint(raw.test_ids)
        }
        queue = deque(incomplete)
        while queue:
            newly_incomplete = set(dependents.pop(queue.popleft(), ())) - incomplete
            incomplete |= newly_incomplete
            queue.extend(newly_incomplete)
        return incomplete


def _failures_first(definitions: dict[str, RawDefinition]) -> list[str]:
    """Return the ids of a report's definitions that are searched for evidence."""
    passed = [d for d, raw in definitions.items() if raw.result == "true"]
    others = [d for d, raw in definitions.items() if raw.result != "true"]
    return [*others, *passed][:_MAX_STEPS]


def _is_passed(result: RawRuleResult) -> bool:
    return result.result in ("pass", "fixed")


def _list_definitions(checks: Sequence[RawCheck]) -> str:
    """Return the engine and definitions of checks for a heading."""
    names = [f"{c.engine} {d or r}" for c in checks for r, d in c.references[:1]]
    return f", {', '.join(names)}" if names else ""
