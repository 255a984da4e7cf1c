"""Format the differences of two scans, for the terminal and for the HTML report."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.core.files import Sha256
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.comparison.model import (
    MeasureChange,
    OutcomeChange,
    PackageChange,
    Regression,
    ScanDiff,
    WaiverChange,
)
from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange, ScanChanges
from hardpan.scanners.report.model.types import Number
from hardpan.scanners.report.model.waiver_sections import WaiverPart


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSection:
    """A heading and its lines."""

    title: str
    lines: tuple[str, ...]


def format_sections(diff: ScanDiff) -> tuple[ChangeSection, ...]:
    """Format the differences as sections without the empty ones.

    The text comes from scans: each line is a single line that the renderer must escape.
    """
    return tuple(
        ChangeSection(title=title, lines=tuple(map(_to_line, lines)))
        for title, lines in _list_sections(diff)
        if lines
    )


def summarize_for_report(diff: ScanDiff, *, statement_sha256: Sha256) -> ScanChanges:
    """Reduce the differences to those that the HTML report lists.

    ``statement_sha256`` identifies the baseline.
    """
    return ScanChanges(
        since=diff.baseline.finished,
        statement_sha256=statement_sha256,
        newly_failing=diff.newly_failing,
        fixed=diff.fixed,
        other=(*diff.changed, *diff.added, *diff.removed),
        attributes=diff.attributes,
    )


def format_headline(diff: ScanDiff) -> str:
    """Format the verdict on one line."""
    if diff.has_regressions:
        return f"regressions: {len(diff.regressions)}"
    return "no regression"


def format_rule_counts(diff: ScanDiff) -> str:
    """Format the numbers of fixed, still failing and newly failing rules on one line."""
    counts = diff.count_rules()
    waived = counts["stillFailingWaived"]
    return (
        f"{counts['fixed']} fixed, {counts['stillFailing']} still failing"
        f"{f' ({waived} waived)' if waived else ''}, {counts['newlyFailing']} newly failing"
    )


def _list_sections(diff: ScanDiff) -> Iterator[tuple[str, list[str]]]:
    regressions = list(map(_format_regression, diff.regressions))
    yield "regressions", regressions
    yield "warnings", list(diff.notes)
    yield "attributes", list(map(_format_attribute, diff.attributes))
    yield (
        "counts",
        [
            f"{c.name}: {c.baseline} -> {c.current} ({c.current - c.baseline:+})"
            for c in diff.counts
        ],
    )
    yield "newly failing", list(map(_format_rule, diff.newly_failing))
    yield "fixed", list(map(_format_rule, diff.fixed))
    yield "still failing", list(map(_format_rule, diff.still_failing))
    yield "other verdicts", list(map(_format_rule, diff.changed))
    yield "new rules", list(map(_format_rule, diff.added))
    yield "rules no longer selected", list(map(_format_rule, diff.removed))
    yield "newly waived", [_format_waiver_change(w) for w in diff.waivers.added]
    yield "no longer waived", [_format_waiver_change(w) for w in diff.waivers.removed]
    yield "waiver changed", [_format_waiver_change(w) for w in diff.waivers.changed]
    yield "compatibility checks", list(map(_format_outcome, diff.compatibility))
    yield "checks", list(map(_format_outcome, diff.checks))
    yield "smoke test measurements", list(map(_format_measure, diff.measures))
    if diff.packages is None:
        yield "packages", ["not compared: one of the two package lists is missing"]
    else:
        yield "packages added", list(map(_format_package, diff.packages.added))
        yield "packages removed", list(map(_format_package, diff.packages.removed))
        yield "packages changed", list(map(_format_package, diff.packages.changed))


def _format_regression(regression: Regression) -> str:
    severity = f" ({regression.severity})" if regression.severity else ""
    name = shorten_id(regression.name)
    return f"{regression.kind} {name}{severity}: {regression.baseline} -> {regression.current}"


def _format_attribute(change: AttributeChange) -> str:
    baseline, current = change.baseline or "none", change.current or "none"
    return f"{change.name}: {baseline} -> {current}"


def _to_line(text: str) -> str:
    return " ".join(text.split())


def _format_rule(change: RuleChange) -> str:
    baseline, current = change.baseline or "not selected", change.current or "not selected"
    waived = ", waived" if change.waived else ""
    stig = f" {change.stig_ids[0]}" if change.stig_ids else ""
    name = shorten_id(change.rule_id)
    return f"{change.severity}{stig} {name}: {baseline} -> {current}{waived}: {change.title}"


def _format_waiver_change(change: WaiverChange) -> str:
    baseline, current = _describe_waiver(change.baseline), _describe_waiver(change.current)
    return f"{shorten_id(change.name)}: {baseline} -> {current}"


def _describe_waiver(waiver: WaiverPart | None) -> str:
    return "none" if waiver is None else waiver.describe()


def _format_outcome(change: OutcomeChange) -> str:
    waived = ", waived" if change.waived else ""
    baseline, current = change.baseline or "did not run", change.current or "did not run"
    return f"{change.name}: {baseline} -> {current}{waived}"


def _format_measure(change: MeasureChange) -> str:
    percent_text = (
        "" if change.percent is None else f" ({change.percent:+} %, {change.direction} is better)"
    )
    baseline, current = _format_number(change.baseline), _format_number(change.current)
    return f"{change.name}: {baseline} -> {current} {change.unit}{percent_text}"


def _format_number(value: Number | None) -> str:
    if value is None:
        return "no value"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _format_package(change: PackageChange) -> str:
    versions = [", ".join(s) for s in (change.baseline, change.current) if any(s)]
    return f"{change.name} {' -> '.join(versions)}".rstrip()
