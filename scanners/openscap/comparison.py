"""Compare what OpenSCAP reports that it evaluated with what was expected.

The content that a target evaluates is reduced and partitioned. If OpenSCAP selects other rules in
it, or evaluates with other values, severities, roles or weights than the profile gives, its
verdicts may not be those of the original content. The engine counts only for rules that have a
script check alone, because hardpan left out their OVAL check.
"""

import math
from collections.abc import Iterator

from hardpan.scanners.content.benchmark import Benchmark, BenchmarkRule
from hardpan.scanners.content.prepare import StreamPart
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap.arf.parser import MAX_TEXT
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult

MAX_DIFFERENCES = 20
"""Differences of one part that are listed."""

_MAX_CHARACTERS = 200
_WEIGHT_TOLERANCE = 1e-5
"""oscap calculates with single precision and writes six decimals."""


def compare_result(benchmark: Benchmark, part: StreamPart, arf: Arf) -> tuple[str, ...]:
    """Return the differences between the ARF of a part and what was expected, one line each."""
    differences = list(_find_differences(benchmark, part, arf))
    if len(differences) > MAX_DIFFERENCES:
        omitted = len(differences) - MAX_DIFFERENCES
        return (*differences[:MAX_DIFFERENCES], f"and {omitted} more differences")
    return tuple(differences)


def is_other_content(benchmark: Benchmark, arf: Arf) -> bool:
    """Return whether an ARF is about another profile or version: its results cannot be used."""
    return (arf.profile_id, arf.benchmark_version) != (benchmark.profile_id, benchmark.version)


def _find_differences(benchmark: Benchmark, part: StreamPart, arf: Arf) -> Iterator[str]:
    if arf.profile_id != benchmark.profile_id:
        yield _describe("profile", benchmark.profile_id, arf.profile_id)
    if arf.benchmark_version != benchmark.version:
        yield _describe("benchmark version", benchmark.version, arf.benchmark_version)
    expected_ids = frozenset(part.rule_ids)
    for rule_id in arf.rules:
        if rule_id not in expected_ids:
            yield _describe(f"rule {_quote(rule_id)}", "not selected", "selected")
    for rule in benchmark.rules:
        if rule.rule_id not in expected_ids:
            continue
        result = arf.rules.get(rule.rule_id)
        if result is None:
            answer = "not selected" if rule.rule_id in arf.not_selected else "no result"
            yield _describe(f"rule {_quote(rule.rule_id)}", "selected", answer)
        else:
            yield from _compare_rule(rule, result)
            if rule.rule_id in part.script_rule_ids:
                yield from _compare_engine(rule, result)
    yield from _compare_values(benchmark, arf)


def _compare_rule(rule: BenchmarkRule, result: ArfRuleResult) -> Iterator[str]:
    label = f"rule {_quote(rule.rule_id)}"
    if result.severity != rule.severity:
        yield _describe(f"severity of {label}", rule.severity, result.severity)
    if result.role != rule.role:
        yield _describe(f"role of {label}", rule.role, result.role)
    if not math.isclose(result.weight, rule.weight, rel_tol=_WEIGHT_TOLERANCE, abs_tol=1e-6):
        yield _describe(f"weight of {label}", f"{rule.weight:g}", f"{result.weight:g}")


def _compare_engine(rule: BenchmarkRule, result: ArfRuleResult) -> Iterator[str]:
    """Compare the engine of a rule whose OVAL check was left out.

    Without the plugin for script checks, oscap does not evaluate it, and reports ``notchecked``.
    """
    is_evaluated = rule.role != "unchecked" and result.verdict is not Verdict.NOT_APPLICABLE
    if is_evaluated and (result.engine != "SCE" or result.verdict is Verdict.NOT_CHECKED):
        answer = f"{result.engine or 'no engine'}, {result.verdict}"
        yield _describe(f"engine of rule {_quote(rule.rule_id)}", "SCE", answer)


def _compare_values(benchmark: Benchmark, arf: Arf) -> Iterator[str]:
    for value_id, value in arf.values.items():
        expected = benchmark.values.get(value_id)
        if expected is None:
            yield _describe(f"value {_quote(value_id)}", "no such value", value)
        elif expected[:MAX_TEXT].strip() != value.strip():
            yield _describe(f"value {_quote(value_id)}", expected, value)
    used_ids = {value_id for result in arf.rules.values() for value_id in result.value_ids}
    for value_id in sorted(used_ids.difference(arf.values)):
        expected = benchmark.values.get(value_id, "no such value")
        yield _describe(f"value {_quote(value_id)}", expected, "no value")


def _describe(label: str, expected: str, actual: str) -> str:
    return f"{label}: expected {_quote(expected)}, got {_quote(actual)}"


def _quote(text: str) -> str:
    return ascii(text[:_MAX_CHARACTERS])
