"""Merges what several oscap processes found into one evaluation, and checks that it is whole.

Not scanned is never passed: a selected rule without a result is an ``error``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hardpan.errors import InputError, ToolError
from hardpan.scanners.arf import Arf, Judged, UnreadableArf
from hardpan.scanners.content.benchmark import Benchmark, Rule
from hardpan.scanners.content.prepare import Part, Prepared
from hardpan.scanners.model import Evaluation, RuleResult, Verdict
from hardpan.scanners.stig.table import Stig, stig_for

_COUNTED = (Verdict.PASS, Verdict.FIXED, Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
_GOOD = (Verdict.PASS, Verdict.FIXED)
_LOST = "oscap gave no result for this rule"
_INCOMPLETE = "oscap could not collect everything (memory limit), so its answer is not relied on"


def evaluation(
    prepared: Prepared,
    arfs: Sequence[Arf | UnreadableArf],
    *,
    engine: str,
    os_name: str,
    os_cpe: str,
    time: str = "",
) -> Evaluation:
    """One evaluation out of one ARF for each part of the content, in the same order.

    The rules of a part whose ARF cannot be read or is about something else are an ``error``,
    with the reason; the other parts keep their results. ``time`` is given where no ARF can be
    read, and so none has a time.

    Raises:
        ToolError: there are more or fewer ARFs than parts.
        InputError: every rule was found not applicable: the content is not for this system.
    """
    if len(arfs) != len(prepared.parts):
        raise ToolError(["oscap"], f"left {len(arfs)} results for {len(prepared.parts)} parts")
    pairs = zip(prepared.parts, arfs, strict=True)
    checked = [(part, _checked(prepared.benchmark, part, arf)) for part, arf in pairs]
    merged = _merged(prepared, checked)
    rules = prepared.benchmark.rules
    stig = stig_for(prepared.benchmark.benchmark_id)
    results = tuple(_result(r, merged[r.rule_id], stig) for r in rules if _belongs(r, merged))
    _refuse_inapplicable(prepared.benchmark, results, os_name, os_cpe)
    read = [arf for _, arf in checked if isinstance(arf, Arf)]
    return Evaluation(
        content=prepared.content,
        benchmark_id=prepared.benchmark.benchmark_id,
        profile_id=prepared.benchmark.profile_id,
        started=min((a.started for a in read), default=time),
        finished=max((a.finished for a in read), default=time),
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


def _checked(benchmark: Benchmark, part: Part, arf: Arf | UnreadableArf) -> Arf | UnreadableArf:
    """``arf``, where it is about this very part."""
    if isinstance(arf, UnreadableArf):
        return arf
    odd = set(arf.rules) - set(part.rule_ids)
    if arf.profile_id != benchmark.profile_id:
        return UnreadableArf(reason=f"oscap evaluated the profile {arf.profile_id[:200]!a}")
    if arf.benchmark_version != benchmark.version:
        return UnreadableArf(reason=f"oscap evaluated version {arf.benchmark_version[:40]!a}")
    if odd:
        return UnreadableArf(reason=f"oscap judged rules that it was not given: {min(odd)[:200]!a}")
    return arf


def _merged(
    prepared: Prepared, checked: Sequence[tuple[Part, Arf | UnreadableArf]]
) -> dict[str, Judged]:
    conditional = {r.rule_id for r in prepared.benchmark.rules if r.conditional}
    merged: dict[str, Judged] = {}
    for part, arf in checked:
        for rule_id in part.rule_ids:
            if isinstance(arf, UnreadableArf):
                merged[rule_id] = _lost(rule_id, arf.reason)
            elif rule_id in arf.rules:
                merged[rule_id] = _relied_on(arf.rules[rule_id])
            elif rule_id not in conditional:
                merged[rule_id] = _lost(rule_id, _LOST)
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


def _lost(rule_id: str, reason: str) -> Judged:
    return Judged(
        rule_id=rule_id, verdict=Verdict.ERROR, engine="", found=(reason,), incomplete=True
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
