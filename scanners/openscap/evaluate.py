"""Merge the results of several oscap processes into one evaluation, and check it for completeness.

Not scanned is never passed: a selected rule without a result is an ``error``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hardpan.core.errors import InputError, ToolError
from hardpan.scanners.content.benchmark import Benchmark, BenchmarkRule
from hardpan.scanners.content.prepare import PreparedContent, StreamPart
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult, UnreadableArf
from hardpan.scanners.stig.manual_stig import ManualStig, find_stig

_SCORED = (Verdict.PASS, Verdict.FIXED, Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
_PASSING = (Verdict.PASS, Verdict.FIXED)
_NO_RESULT = "oscap gave no result for this rule"
_INCOMPLETE = "oscap could not collect everything (memory limit), so its pass is not reliable"


def merge_results(
    prepared: PreparedContent,
    arfs: Sequence[Arf | UnreadableArf],
    *,
    engine: str,
    os_name: str,
    os_cpe: str,
    fallback_time: str = "",
) -> Evaluation:
    """Merge one ARF for each part of the content, in the same order, into one evaluation.

    The rules of a part whose ARF cannot be read, or is about something else, are an ``error``
    with the reason; the other parts keep their results. ``fallback_time`` is used if no ARF
    can be read, because then none has a time.

    Raises:
        ToolError: there are more or fewer ARFs than parts.
        InputError: every rule is not applicable: the content is not for this system.
    """
    if len(arfs) != len(prepared.parts):
        raise ToolError(["oscap"], f"left {len(arfs)} results for {len(prepared.parts)} parts")
    parts_with_arfs = zip(prepared.parts, arfs, strict=True)
    part_arfs = [
        (part, _validate_arf(prepared.benchmark, part, arf)) for part, arf in parts_with_arfs
    ]
    results_by_rule = _merge_rule_results(prepared, part_arfs)
    rules = prepared.benchmark.rules
    stig = find_stig(prepared.benchmark.benchmark_id)
    results = tuple(
        _build_rule_result(r, results_by_rule[r.rule_id], stig)
        for r in rules
        if _is_selected(r, results_by_rule)
    )
    _require_applicable(prepared.benchmark, results, os_name, os_cpe)
    readable_arfs = [arf for _, arf in part_arfs if isinstance(arf, Arf)]
    return Evaluation(
        content=prepared.content,
        benchmark_id=prepared.benchmark.benchmark_id,
        profile_id=prepared.benchmark.profile_id,
        started=min((a.started for a in readable_arfs), default=fallback_time),
        finished=max((a.finished for a in readable_arfs), default=fallback_time),
        engine=engine,
        results=results,
        score=compute_score(rules, {r.rule_id: r for r in results}),
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


def _validate_arf(
    benchmark: Benchmark, part: StreamPart, arf: Arf | UnreadableArf
) -> Arf | UnreadableArf:
    """Return ``arf`` if it belongs to this part, else the reason why it is unusable."""
    if isinstance(arf, UnreadableArf):
        return arf
    unexpected = set(arf.rules) - set(part.rule_ids)
    if arf.profile_id != benchmark.profile_id:
        return UnreadableArf(reason=f"oscap evaluated the profile {arf.profile_id[:200]!a}")
    if arf.benchmark_version != benchmark.version:
        return UnreadableArf(reason=f"oscap evaluated version {arf.benchmark_version[:40]!a}")
    if unexpected:
        return UnreadableArf(
            reason=f"oscap evaluated rules that are not in its part: {min(unexpected)[:200]!a}"
        )
    return arf


def _merge_rule_results(
    prepared: PreparedContent, part_arfs: Sequence[tuple[StreamPart, Arf | UnreadableArf]]
) -> dict[str, ArfRuleResult]:
    rule_by_id = {r.rule_id: r for r in prepared.benchmark.rules}
    results_by_rule: dict[str, ArfRuleResult] = {}
    for part, arf in part_arfs:
        for rule_id in part.rule_ids:
            if isinstance(arf, UnreadableArf):
                results_by_rule[rule_id] = _missing_result(rule_by_id[rule_id], arf.reason)
            elif rule_id in arf.rules:
                results_by_rule[rule_id] = _downgrade_incomplete(arf.rules[rule_id])
            elif not rule_by_id[rule_id].is_conditional:
                results_by_rule[rule_id] = _missing_result(rule_by_id[rule_id], _NO_RESULT)
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


def _is_selected(rule: BenchmarkRule, results_by_rule: Mapping[str, ArfRuleResult]) -> bool:
    """Return False for a rule that a conflict or an unmet requirement deselected."""
    return rule.rule_id in results_by_rule


def _build_rule_result(
    rule: BenchmarkRule, rule_result: ArfRuleResult, stig: ManualStig | None
) -> RuleResult:
    group_ids = () if stig is None else stig.groups_of(rule.sv_ids)
    return RuleResult(
        rule_id=rule.rule_id,
        title=rule.title,
        severity=rule_result.severity,
        verdict=rule_result.verdict,
        role=rule_result.role,
        disa_severity="" if stig is None else stig.severity_of(group_ids),
        stig_ids=rule.stig_ids,
        sv_ids=rule.sv_ids,
        nist=rule.nist,
        ccis=() if stig is None else stig.ccis_of(rule.sv_ids),
        group_ids=group_ids,
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
