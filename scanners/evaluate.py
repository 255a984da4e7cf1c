"""Merges what several oscap processes found into one evaluation, and checks that it is whole.

Not scanned is never passed: a selected rule without a result is an ``error``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hardpan.errors import InputError, ToolError
from hardpan.scanners.arf import Arf, Judged
from hardpan.scanners.content.benchmark import Benchmark, Rule
from hardpan.scanners.content.prepare import Prepared
from hardpan.scanners.model import Evaluation, RuleResult, Verdict
from hardpan.scanners.stig.table import Stig, stig_for

_COUNTED = (Verdict.PASS, Verdict.FIXED, Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
_GOOD = (Verdict.PASS, Verdict.FIXED)
_LOST = "oscap gave no result for this rule"
_INCOMPLETE = "oscap could not collect everything (memory limit), so its answer is not relied on"


def evaluation(
    prepared: Prepared, arfs: Sequence[Arf], *, engine: str, os_name: str, os_cpe: str
) -> Evaluation:
    """One evaluation out of one ARF for each part of the content, in the same order.

    Raises:
        ToolError: an ARF is about another profile or holds rules of another part.
        InputError: every rule was found not applicable: the content is not for this system.
    """
    merged = _merged(prepared, arfs)
    rules = prepared.benchmark.rules
    stig = stig_for(prepared.benchmark.benchmark_id)
    results = tuple(_result(r, merged[r.rule_id], stig) for r in rules if _belongs(r, merged))
    _refuse_inapplicable(prepared.benchmark, results, os_name, os_cpe)
    return Evaluation(
        content=prepared.content,
        benchmark_id=prepared.benchmark.benchmark_id,
        profile_id=prepared.benchmark.profile_id,
        started=min(a.started for a in arfs),
        finished=max(a.finished for a in arfs),
        engine=engine,
        results=results,
        score=score(rules, {r.rule_id: r.verdict for r in results}),
    )


def score(rules: Sequence[Rule], verdicts: Mapping[str, Verdict]) -> float:
    """The XCCDF default score, 0 to 100, of a benchmark's rules.

    A group's score is the weighted mean of its children's, rules and groups alike;
    what was not judged does not count. Source: NISTIR 7275r4, section 7.3.3.
    """
    # Path of group ids -> [(score, weight)] of the children that count, deepest path first.
    children: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    weights: dict[tuple[str, ...], float] = {(): 1.0}
    for rule in rules:
        path = tuple(g for g, _ in rule.groups)
        for depth in range(1, len(path) + 1):
            weights[path[:depth]] = rule.groups[depth - 1][1]
        verdict = verdicts.get(rule.rule_id)
        if verdict in _COUNTED:
            children[path].append((100.0 if verdict in _GOOD else 0.0, rule.weight))
    for path in sorted(weights, key=len, reverse=True):
        mean = _mean(children[path])
        if not path:
            return round(mean or 0.0, 6)
        if mean is not None:
            children[path[:-1]].append((mean, weights[path]))
    return 0.0


def _mean(children: Sequence[tuple[float, float]]) -> float | None:
    weight = sum(w for _, w in children)
    return sum(s * w for s, w in children) / weight if weight else None


def _merged(prepared: Prepared, arfs: Sequence[Arf]) -> dict[str, Judged]:
    if len(arfs) != len(prepared.parts):
        raise ToolError(["oscap"], f"left {len(arfs)} results for {len(prepared.parts)} parts")
    conditional = {r.rule_id for r in prepared.benchmark.rules if r.conditional}
    merged: dict[str, Judged] = {}
    for part, arf in zip(prepared.parts, arfs, strict=True):
        if arf.profile_id != prepared.benchmark.profile_id:
            raise ToolError(["oscap"], f"evaluated the profile {arf.profile_id[:200]!r}")
        if arf.benchmark_version != prepared.benchmark.version:
            raise ToolError(["oscap"], f"evaluated version {arf.benchmark_version[:40]!r}")
        odd = set(arf.rules) - set(part.rule_ids)
        if odd:
            raise ToolError(["oscap"], f"judged rules that it was not given: {min(odd)[:200]}")
        for rule_id in part.rule_ids:
            judged = arf.rules.get(rule_id)
            if judged is not None:
                merged[rule_id] = _relied_on(judged)
            elif rule_id not in conditional:
                merged[rule_id] = _lost(rule_id)
    return merged


def _relied_on(judged: Judged) -> Judged:
    if not judged.incomplete or judged.verdict is not Verdict.PASS:
        return judged
    return Judged(
        rule_id=judged.rule_id,
        verdict=Verdict.UNKNOWN,
        engine=judged.engine,
        found=(_INCOMPLETE, *judged.found),
        incomplete=True,
    )


def _lost(rule_id: str) -> Judged:
    return Judged(
        rule_id=rule_id, verdict=Verdict.ERROR, engine="", found=(_LOST,), incomplete=True
    )


def _belongs(rule: Rule, merged: Mapping[str, Judged]) -> bool:
    """False for a rule that a conflict or an unmet requirement took out of the profile."""
    return rule.rule_id in merged


def _result(rule: Rule, judged: Judged, stig: Stig | None) -> RuleResult:
    return RuleResult(
        rule_id=rule.rule_id,
        title=rule.title,
        severity=rule.severity,
        verdict=judged.verdict,
        stig_ids=rule.stig_ids,
        sv_ids=rule.sv_ids,
        nist=rule.nist,
        ccis=() if stig is None else stig.ccis_of(rule.sv_ids),
        group_ids=() if stig is None else stig.groups_of(rule.sv_ids),
        cce=rule.cce,
        engine=judged.engine,
        found=judged.found,
        rationale=rule.rationale,
        fix_text=rule.fix_text,
    )


def _refuse_inapplicable(
    benchmark: Benchmark, results: Sequence[RuleResult], os_name: str, os_cpe: str
) -> None:
    idle = (Verdict.NOT_APPLICABLE, Verdict.NOT_CHECKED)
    if any(r.verdict not in idle for r in results):
        return
    raise InputError(
        f"the content does not apply to the target: not one of {len(results)} rules was judged; "
        f"it is for {', '.join(benchmark.platforms)}; "
        f"the target is {os_name} ({os_cpe or 'no CPE'})",
        hint="choose the content for the target's release, or give one with --content FILE",
    )
