"""Merge the results of several oscap processes into one evaluation, and check it for completeness.

Not scanned is never passed: a selected rule without a result is an ``error``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hardpan.core.errors import InputError, ToolError
from hardpan.scanners.content.benchmark import Benchmark, BenchmarkRule, add_declared_rules
from hardpan.scanners.content.limitations import ADJACENT_ELEMENTS
from hardpan.scanners.content.prepare import PreparedContent, StreamPart
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult, UnreadableArf
from hardpan.scanners.openscap.comparison import compare_result, is_other_content
from hardpan.scanners.stig.manual_stig import ManualStig, find_stig

_SCORED = (Verdict.PASS, Verdict.FIXED, Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
_PASSING = (Verdict.PASS, Verdict.FIXED)
_NOT_EXPECTED = "OpenSCAP evaluated something else than expected"
_NO_RESULT = "oscap gave no result for this rule"
_INCOMPLETE = "oscap could not collect everything (memory limit), so its pass is not reliable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedParts:
    """What a target reported about the parts of the content."""

    arfs: tuple[Arf | UnreadableArf, ...]
    """One ARF for each part, in the same order."""

    untouched_arf: Arf | UnreadableArf | None = None
    """The ARF of the untouched content; None if it was not evaluated separately."""


def find_differences(
    prepared: PreparedContent, arfs: Sequence[Arf | UnreadableArf]
) -> tuple[str, ...]:
    """Return what OpenSCAP evaluated otherwise than expected, in all parts.

    A part that OpenSCAP refused or crashed on is a difference, too: it may have been reduced to
    invalid content. A part that was killed, or whose ARF is damaged, is not.
    """
    parts_with_arfs = zip(prepared.parts, arfs, strict=False)
    differences = [d for part, arf in parts_with_arfs for d in _compare_part(prepared, part, arf)]
    if differences and ADJACENT_ELEMENTS in prepared.limitations:
        differences.insert(0, ADJACENT_ELEMENTS)
    return tuple(dict.fromkeys(differences))


def merge_results(
    prepared: PreparedContent,
    parts: EvaluatedParts,
    *,
    engine: str,
    os_name: str,
    os_cpe: str,
    fallback_time: str = "",
) -> Evaluation:
    """Merge the ARFs of all parts of the content into one evaluation.

    The rules of a part whose ARF cannot be read, or is about something else, are an ``error``
    with the reason; the other parts keep their results. If OpenSCAP evaluated something else than
    expected, all results are those of the untouched content, with the rules that OpenSCAP selects
    there. ``fallback_time`` is used if no ARF can be read, because then none has a time.

    Raises:
        ToolError: there are more or fewer ARFs than parts.
        InputError: every rule is not applicable: the content is not for this system.
    """
    if len(parts.arfs) != len(prepared.parts):
        raise ToolError(
            ["oscap"], f"left {len(parts.arfs)} results for {len(prepared.parts)} parts"
        )
    differences = find_differences(prepared, parts.arfs)
    untouched_arf = _select_untouched(prepared, parts) if differences else None
    if untouched_arf is None:
        parts_with_arfs = zip(prepared.parts, parts.arfs, strict=True)
        arfs = [_reject_difference(prepared, part, arf) for part, arf in parts_with_arfs]
        benchmark, results_by_rule = prepared.benchmark, _merge_rule_results(prepared, arfs)
    else:
        arfs = [untouched_arf]
        differences += _compare_untouched(prepared, parts, untouched_arf)
        benchmark = _add_unexpected_rules(prepared, untouched_arf)
        results_by_rule = _read_untouched(benchmark, untouched_arf)
    results = _build_results(benchmark, results_by_rule)
    _require_applicable(benchmark, results, os_name, os_cpe)
    readable_arfs = [arf for arf in arfs if isinstance(arf, Arf)]
    content = prepared.content
    if differences:
        note = _describe_fallback(prepared, differences, is_used=untouched_arf is not None)
        content = replace(content, derivation=f"{content.derivation}\n{note}".lstrip())
    return Evaluation(
        content=content,
        benchmark_id=benchmark.benchmark_id,
        profile_id=benchmark.profile_id,
        started=min((a.started for a in readable_arfs), default=fallback_time),
        finished=max((a.finished for a in readable_arfs), default=fallback_time),
        engine=engine,
        results=results,
        score=compute_score(benchmark.rules, {r.rule_id: r for r in results}),
        differences=differences,
        used_untouched=untouched_arf is not None,
    )


def compute_score(rules: Sequence[BenchmarkRule], results: Mapping[str, RuleResult]) -> float:
    """Compute the XCCDF default score, 0 to 100, of a benchmark's rules.

    A group's score is the weighted mean of its children's scores, rules and groups alike;
    rules that were not checked or are unscored do not count. Weights are the ones that rules and
    groups declare: oscap's score uses no refined weight. A rule with several results counts with
    their combination, while oscap takes the first. Source: NISTIR 7275r4, section 7.3.3.
    """
    # Path of group ids -> [(score, weight)] of the children that count, deepest path first.
    children: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    weights: dict[tuple[str, ...], float] = {(): 1.0}
    for rule in rules:
        path = tuple(g for g, _ in rule.groups)
        for depth in range(1, len(path) + 1):
            weights[path[:depth]] = rule.groups[depth - 1][1]
        result = results.get(rule.rule_id)
        if result is not None and result.role != "unscored" and result.verdict in _SCORED:
            score = 100.0 if result.verdict in _PASSING else 0.0
            children[path].append((score, rule.declared_weight))
    for path in sorted(weights, key=len, reverse=True):
        mean = _weighted_mean(children[path])
        if not path:
            return round(mean or 0.0, 6)
        if mean is not None:
            children[path[:-1]].append((mean, weights[path]))
    return 0.0


def _weighted_mean(children: Sequence[tuple[float, float]]) -> float | None:
    """Return None without children, and 0 if none of them has a weight, as oscap does."""
    if not children:
        return None
    weight = sum(w for _, w in children)
    return sum(s * w for s, w in children) / weight if weight else 0.0


def _compare_part(
    prepared: PreparedContent, part: StreamPart, arf: Arf | UnreadableArf
) -> tuple[str, ...]:
    if isinstance(arf, Arf):
        return compare_result(prepared.benchmark, part, arf)
    return (arf.reason,) if arf.is_due_to_content else ()


def _compare_untouched(
    prepared: PreparedContent, parts: EvaluatedParts, arf: Arf
) -> tuple[str, ...]:
    """Return how the untouched content differs from the expectation, where it is another ARF."""
    if parts.untouched_arf is None:
        return ()
    differences = compare_result(prepared.benchmark, prepared.untouched, arf)
    return tuple(f"untouched content: {difference}" for difference in differences)


def _select_untouched(prepared: PreparedContent, parts: EvaluatedParts) -> Arf | None:
    """Return the usable ARF of the untouched content, if there is one."""
    arf = parts.untouched_arf
    if arf is None and prepared.parts == (prepared.untouched,):
        arf = parts.arfs[0]
    if isinstance(arf, Arf) and not is_other_content(prepared.benchmark, arf):
        return arf
    return None


def _reject_difference(
    prepared: PreparedContent, part: StreamPart, arf: Arf | UnreadableArf
) -> Arf | UnreadableArf:
    """Return ``arf`` if it is what was expected of its part, else the reason why it is unusable."""
    differences = _compare_part(prepared, part, arf)
    if isinstance(arf, UnreadableArf) or not differences:
        return arf
    return UnreadableArf(reason=f"{_NOT_EXPECTED}: {differences[0]}")


def _add_unexpected_rules(prepared: PreparedContent, arf: Arf) -> Benchmark:
    """Return the benchmark with the rules that OpenSCAP selected though they were not expected."""
    benchmark = prepared.benchmark
    unexpected = set(arf.rules).difference(r.rule_id for r in benchmark.rules)
    if not unexpected:
        return benchmark
    data, name = prepared.untouched.data, prepared.content.name
    return add_declared_rules(benchmark, data, unexpected, name)


def _read_untouched(benchmark: Benchmark, arf: Arf) -> dict[str, ArfRuleResult]:
    """Return rule id -> result in the untouched content: there OpenSCAP's selection counts."""
    results_by_rule = {}
    for rule in benchmark.rules:
        if rule.rule_id in arf.rules:
            results_by_rule[rule.rule_id] = _downgrade_incomplete(arf.rules[rule.rule_id])
        elif rule.rule_id not in arf.not_selected:
            results_by_rule[rule.rule_id] = _missing_result(rule, _NO_RESULT)
    return results_by_rule


def _describe_fallback(
    prepared: PreparedContent, differences: Sequence[str], *, is_used: bool
) -> str:
    first = f"{_NOT_EXPECTED}: {differences[0]}"
    if len(differences) > 1:
        first += f" (and {len(differences) - 1} more differences)"
    if is_used:
        consequence = f"all results are of the untouched content, {prepared.untouched.sha256}"
    else:
        consequence = "the untouched content has no results; the rules concerned are errors"
    return f"{first}\n{consequence}"


def _build_results(
    benchmark: Benchmark, results_by_rule: Mapping[str, ArfRuleResult]
) -> tuple[RuleResult, ...]:
    stig = find_stig(benchmark.benchmark_id)
    return tuple(
        _build_rule_result(rule, results_by_rule[rule.rule_id], stig)
        for rule in benchmark.rules
        if rule.rule_id in results_by_rule
    )


def _merge_rule_results(
    prepared: PreparedContent, arfs: Sequence[Arf | UnreadableArf]
) -> dict[str, ArfRuleResult]:
    rule_by_id = {r.rule_id: r for r in prepared.benchmark.rules}
    results_by_rule: dict[str, ArfRuleResult] = {}
    for part, arf in zip(prepared.parts, arfs, strict=True):
        for rule_id in part.rule_ids:
            if isinstance(arf, UnreadableArf):
                results_by_rule[rule_id] = _missing_result(rule_by_id[rule_id], arf.reason)
            else:
                results_by_rule[rule_id] = _downgrade_incomplete(arf.rules[rule_id])
    return results_by_rule


def _downgrade_incomplete(rule_result: ArfRuleResult) -> ArfRuleResult:
    if not rule_result.incomplete or rule_result.verdict is not Verdict.PASS:
        return rule_result
    return replace(
        rule_result,
        verdict=Verdict.UNKNOWN,
        evidence_lines=(_INCOMPLETE, *rule_result.evidence_lines),
    )


def _missing_result(rule: BenchmarkRule, reason: str) -> ArfRuleResult:
    return ArfRuleResult(
        rule_id=rule.rule_id,
        verdict=Verdict.ERROR,
        severity=rule.severity,
        engine="",
        evidence_lines=(reason,),
        incomplete=True,
    )


def _build_rule_result(
    rule: BenchmarkRule, rule_result: ArfRuleResult, stig: ManualStig | None
) -> RuleResult:
    group_ids = () if stig is None else stig.groups_of(rule.sv_ids)
    ccis = () if stig is None else stig.ccis_of(rule.sv_ids)
    # DISA's content has CCIs and no controls.
    nist = rule.nist or (() if stig is None else stig.references_of(ccis or rule.ccis))
    return RuleResult(
        rule_id=rule.rule_id,
        title=rule.title,
        severity=rule_result.severity,
        verdict=rule_result.verdict,
        role=rule_result.role,
        disa_severity="" if stig is None else stig.severity_of(group_ids),
        stig_ids=rule.stig_ids,
        sv_ids=rule.sv_ids,
        nist=nist,
        ccis=ccis or rule.ccis,
        group_ids=group_ids or rule.group_ids,
        cce=rule.cce,
        engine=rule_result.engine,
        evidence_lines=rule_result.evidence_lines,
        rationale=rule.rationale,
        fix_text=rule.fix_text,
    )


def _require_applicable(
    benchmark: Benchmark, results: Sequence[RuleResult], os_name: str, os_cpe: str
) -> None:
    not_evaluated = (Verdict.NOT_APPLICABLE, Verdict.NOT_CHECKED)
    if any(r.verdict not in not_evaluated for r in results):
        return
    raise InputError(
        f"the content does not apply to the target: not one of {len(results)} rules was evaluated; "
        f"it is for {', '.join(benchmark.platforms)}; "
        f"the target is {os_name} ({os_cpe or 'no CPE'})",
        hint="select the content for the target's release with --content",
    )
