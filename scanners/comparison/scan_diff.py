"""Compare two scans. Pure: no clock, no file.

A *regression* is a check that passed in the baseline and was not confirmed in the current scan. A
check that was not evaluated in the baseline cannot regress: the change is listed and not counted.
A failure with an active waiver is listed and not counted; ``docs/ledger.md`` has the table.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hardpan.scanners.comparison import attribute_changes, package_changes
from hardpan.scanners.comparison.check_changes import (
    describe_renamed_checks,
    find_check_regressions,
    list_outcomes,
)
from hardpan.scanners.comparison.model import (
    OutcomeChange,
    Regression,
    ScanDiff,
    ScanSummary,
    WaiverChange,
    WaiverChanges,
    make_regression,
)
from hardpan.scanners.comparison.rule_changes import find_rule_changes, find_still_failing
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.sections import CompatibilityResultPart, RulePart
from hardpan.scanners.report.model.types import OPEN_VERDICTS, SEVERITIES

PASSED_VERDICTS = frozenset({"pass", "fixed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSnapshot:
    """The data of one scan that is compared."""

    findings: Findings
    smoke: SmokeDocument | None
    packages: tuple[str, ...] | None
    """NEVRAs; None if the package list is missing."""


def compare_scans(
    baseline: ScanSnapshot, current: ScanSnapshot, *, max_score_drop: Decimal | None = None
) -> ScanDiff:
    """Compare ``current`` with ``baseline``.

    A lower score is a regression only if it dropped by more than ``max_score_drop`` points.
    """
    baseline_rules = {r.rule_id: r for r in baseline.findings.rules}
    current_rules = {r.rule_id: r for r in current.findings.rules}
    rule_changes = find_rule_changes(baseline_rules, current_rules)
    in_both_scans = [c for c in rule_changes if c.baseline is not None and c.current is not None]
    failing = [
        c for c in in_both_scans if c.current in OPEN_VERDICTS and c.baseline not in OPEN_VERDICTS
    ]
    fixed = [
        c for c in in_both_scans if c.baseline in OPEN_VERDICTS and c.current in PASSED_VERDICTS
    ]
    has_package_lists = baseline.packages is not None and current.packages is not None
    return ScanDiff(
        baseline=_summarize_scan(baseline.findings),
        current=_summarize_scan(current.findings),
        notes=tuple(_list_notes(baseline.findings, current.findings)),
        attributes=attribute_changes.compare_attributes(
            baseline.findings, current.findings, (baseline.smoke, current.smoke)
        ),
        counts=attribute_changes.compare_counts(baseline.findings, current.findings),
        newly_failing=tuple(failing),
        fixed=tuple(fixed),
        still_failing=find_still_failing(baseline_rules, current_rules),
        changed=tuple(c for c in in_both_scans if c not in failing and c not in fixed),
        added=tuple(c for c in rule_changes if c.baseline is None),
        removed=tuple(c for c in rule_changes if c.current is None),
        waivers=_compare_waivers(
            baseline_rules,
            current_rules,
            _results_by_conflict(baseline.findings),
            _results_by_conflict(current.findings),
        ),
        checks=tuple(
            _compare_outcomes(list_outcomes(baseline.findings), list_outcomes(current.findings))
        ),
        compatibility=tuple(
            _compare_compatibility(
                _results_by_conflict(baseline.findings), _results_by_conflict(current.findings)
            )
        ),
        measures=attribute_changes.compare_measures(baseline.smoke, current.smoke),
        packages=package_changes.compare_packages(baseline.packages or (), current.packages or ())
        if has_package_lists
        else None,
        regressions=(
            *_find_rule_regressions(baseline_rules, current_rules),
            *_find_compatibility_regressions(baseline.findings, current.findings),
            *find_check_regressions(baseline.findings, current.findings),
            *_find_scan_regressions(baseline, current, max_score_drop),
        ),
    )


def _summarize_scan(findings: Findings) -> ScanSummary:
    return ScanSummary(
        hostname=findings.host.hostname,
        host_key_sha256=findings.host.host_key_sha256,
        profile=findings.profile,
        finished=findings.finished,
        score=findings.score,
    )


def _list_notes(baseline: Findings, current: Findings) -> Iterator[str]:
    if baseline.host.identity != current.host.identity:
        is_same_machine = baseline.host.machine_id_hmac == current.host.machine_id_hmac != ""
        yield (
            "the host key of the machine has changed, or only one scan has one"
            if is_same_machine
            else "two different hosts are compared, or the host was reinstalled"
        )
    elif baseline.host.machine_id_hmac != current.host.machine_id_hmac:
        yield "same host key, different machine id: a clone or a reinstalled host"
    if current.finished < baseline.finished:
        yield "the current scan finished before the baseline: check the order of the files"
    if baseline.content.profile_id != current.content.profile_id:
        yield "the SCAP profiles differ: rules are added and removed, scores are not comparable"
    elif baseline.content.derived_sha256 != current.content.derived_sha256:
        yield "the SCAP content differs: verdicts may differ for that reason"
    if engines := attribute_changes.describe_engine_changes(baseline, current):
        yield engines
    if (baseline.compatibility is None) != (current.compatibility is None):
        yield "the compatibility checks ran in only one of the two scans"
    if text := describe_renamed_checks(baseline, current):
        yield text


def _compare_waivers(
    baseline_rules: Mapping[str, RulePart],
    current_rules: Mapping[str, RulePart],
    baseline_results: Mapping[str, CompatibilityResultPart],
    current_results: Mapping[str, CompatibilityResultPart],
) -> WaiverChanges:
    candidates: dict[
        str, tuple[RulePart | CompatibilityResultPart | None, RulePart | CompatibilityResultPart]
    ] = {
        i: (baseline_rules.get(i), r)
        for i, r in sorted(current_rules.items())
        if r.verdict in OPEN_VERDICTS
    }
    candidates |= {
        f"compatibility:{i}": (baseline_results.get(i), p)
        for i, p in sorted(current_results.items())
        if p.verdict == "fail"
    }
    added, removed, changed = [], [], []
    for name, (baseline, current) in candidates.items():
        change = WaiverChange(
            name=name, baseline=baseline.waiver if baseline else None, current=current.waiver
        )
        was_waived = baseline is not None and _is_waived(baseline)
        if _is_waived(current) and not was_waived:
            added.append(change)
        elif was_waived and not _is_waived(current):
            removed.append(change)
        elif was_waived and change.baseline != change.current:
            changed.append(change)
    return WaiverChanges(added=tuple(added), removed=tuple(removed), changed=tuple(changed))


def _is_waived(item: RulePart | CompatibilityResultPart) -> bool:
    return item.is_waived and item.verdict in OPEN_VERDICTS


def _results_by_conflict(findings: Findings) -> dict[str, CompatibilityResultPart]:
    return {p.conflict: p for p in findings.compatibility.results} if findings.compatibility else {}


def _compare_outcomes(
    baseline: Mapping[str, str], current: Mapping[str, str]
) -> Iterator[OutcomeChange]:
    for name in sorted(baseline.keys() | current.keys()):
        baseline_outcome, current_outcome = baseline.get(name), current.get(name)
        if baseline_outcome != current_outcome:
            yield OutcomeChange(name=name, baseline=baseline_outcome, current=current_outcome)


def _compare_compatibility(
    baseline_results: Mapping[str, CompatibilityResultPart],
    current_results: Mapping[str, CompatibilityResultPart],
) -> Iterator[OutcomeChange]:
    verdicts = (
        {i: p.verdict for i, p in results.items()}
        for results in (baseline_results, current_results)
    )
    for change in _compare_outcomes(*verdicts):
        current = current_results.get(change.name)
        yield change.model_copy(update={"waived": current is not None and _is_waived(current)})


def _find_rule_regressions(
    baseline_rules: Mapping[str, RulePart], current_rules: Mapping[str, RulePart]
) -> Iterable[Regression]:
    regressions = []
    for rule_id, baseline_rule in baseline_rules.items():
        current_rule = current_rules.get(rule_id)
        has_passed = baseline_rule.verdict in PASSED_VERDICTS
        if current_rule is None:
            is_regression = has_passed
        elif current_rule.is_open:
            is_regression = (
                has_passed or baseline_rule.is_waived or baseline_rule.verdict == "notapplicable"
            )
        else:
            is_regression = has_passed and current_rule.verdict in ("notchecked", "informational")
        if is_regression:
            current_text = "no longer selected" if current_rule is None else current_rule.verdict
            baseline_text = (
                f"{baseline_rule.verdict}, waived"
                if baseline_rule.is_waived
                else baseline_rule.verdict
            )
            regressions.append(
                Regression(
                    kind="rule",
                    name=rule_id,
                    severity=baseline_rule.severity,
                    baseline=baseline_text,
                    current=current_text,
                )
            )
    return sorted(regressions, key=lambda r: (SEVERITIES.index(r.severity or "unknown"), r.name))


def _find_compatibility_regressions(baseline: Findings, current: Findings) -> Iterator[Regression]:
    baseline_results, current_results = (
        _results_by_conflict(baseline),
        _results_by_conflict(current),
    )
    passed_count = sum(p.verdict == "pass" for p in baseline_results.values())
    if current.compatibility is None:
        if passed_count:
            yield make_regression(
                "compatibility", "compatibility checks", f"{passed_count} passed", "did not run"
            )
        return
    for conflict, baseline_result in sorted(baseline_results.items()):
        current_result = current_results.get(conflict)
        has_passed = baseline_result.verdict == "pass"
        if current_result is None:
            is_regression = has_passed
        elif current_result.verdict in ("fail", "error") and not _is_waived(current_result):
            is_regression = (
                has_passed
                or baseline_result.verdict == "not_applicable"
                or _is_waived(baseline_result)
            )
        else:
            is_regression = has_passed and current_result.verdict == "not_checked"
        if is_regression:
            baseline_text = (
                f"{baseline_result.verdict}, waived"
                if _is_waived(baseline_result)
                else baseline_result.verdict
            )
            yield make_regression(
                "compatibility",
                conflict,
                baseline_text,
                current_result.verdict if current_result else "missing",
            )


def _find_scan_regressions(
    baseline: ScanSnapshot, current: ScanSnapshot, max_score_drop: Decimal | None
) -> Iterator[Regression]:
    if baseline.findings.host.fips_kernel_flag and not current.findings.host.fips_kernel_flag:
        yield make_regression("fips", "FIPS mode", "on", "off")
    verdict = current.smoke.verdict if current.smoke else "did not run"
    if baseline.smoke is not None and baseline.smoke.verdict == "pass" != verdict:
        yield make_regression("smoke", "smoke test", "pass", verdict)
    baseline_score, current_score = baseline.findings.score, current.findings.score
    if (
        max_score_drop is not None
        and Decimal(baseline_score) - Decimal(current_score) > max_score_drop
    ):
        yield make_regression("score", "score", baseline_score, current_score)
