"""What changed, in plain lines: for the terminal, and for the page of the newer scan."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.core.files import Sha256
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.comparison.model import (
    MeasureChange,
    OutcomeChange,
    PackageChange,
    ScanDiff,
    WaiverChange,
)
from hardpan.scanners.report.model.scan_changes import RuleChange, ScanChanges
from hardpan.scanners.report.model.sections import WaiverPart
from hardpan.scanners.report.model.types import Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSection:
    """A heading and what belongs under it."""

    title: str
    lines: tuple[str, ...]


def format_sections(diff: ScanDiff) -> tuple[ChangeSection, ...]:
    """What changed since the older scan, section by section; empty ones are left out.

    The words come from scans: one line each, to be escaped by whoever draws them.
    """
    return tuple(
        ChangeSection(title=title, lines=tuple(map(_to_line, lines)))
        for title, lines in _list_sections(diff)
        if lines
    )


def summarize_for_report(diff: ScanDiff, *, statement_sha256: Sha256) -> ScanChanges:
    """What the page of the newer scan tells of it; the digest says which the older one is."""
    return ScanChanges(
        since=diff.baseline.finished,
        statement_sha256=statement_sha256,
        newly_failing=diff.newly_failing,
        fixed=diff.fixed,
        other=(*diff.changed, *diff.added, *diff.removed),
        attributes=diff.attributes,
    )


def format_headline(diff: ScanDiff) -> str:
    """The answer in one line."""
    if diff.has_regressions:
        return f"regressions: {len(diff.regressions)}"
    return "no regression"


def _list_sections(diff: ScanDiff) -> Iterator[tuple[str, list[str]]]:
    regressions = [
        f"{r.kind} {shorten_rule_id(r.name)}{f' ({r.severity})' if r.severity else ''}: {r.baseline} -> {r.current}"
        for r in diff.regressions
    ]
    yield "regressions", regressions
    yield "careful", list(diff.notes)
    yield (
        "facts",
        [
            f"{f.name}: {f.baseline or 'not told'} -> {f.current or 'not told'}"
            for f in diff.attributes
        ],
    )
    yield (
        "counts",
        [
            f"{c.name}: {c.baseline} -> {c.current} ({c.current - c.baseline:+})"
            for c in diff.counts
        ],
    )
    yield "newly failing", list(map(_format_rule, diff.newly_failing))
    yield "fixed", list(map(_format_rule, diff.fixed))
    yield "other verdicts", list(map(_format_rule, diff.changed))
    yield "new rules", list(map(_format_rule, diff.added))
    yield "rules no longer selected", list(map(_format_rule, diff.removed))
    yield "newly waived", [_format_waiver_change(w) for w in diff.waivers.added]
    yield "waiver ended", [_format_waiver_change(w) for w in diff.waivers.removed]
    yield "waiver changed", [_format_waiver_change(w) for w in diff.waivers.changed]
    yield "compatibility checks", list(map(_format_outcome, diff.compatibility))
    yield "checks", list(map(_format_outcome, diff.checks))
    yield "smoke figures (told, not judged)", list(map(_format_measure, diff.measures))
    if diff.packages is None:
        yield "packages", ["not compared: one of the two lists is not at hand"]
    else:
        yield "packages added", list(map(_format_package, diff.packages.added))
        yield "packages removed", list(map(_format_package, diff.packages.removed))
        yield "packages changed", list(map(_format_package, diff.packages.changed))


def shorten_rule_id(rule_id: str) -> str:
    """A rule's id without what every rule of the content begins with."""
    return rule_id.removeprefix(RULE_PREFIX)


def _to_line(text: str) -> str:
    return " ".join(text.split())


def _format_rule(change: RuleChange) -> str:
    baseline, current = change.baseline or "not selected", change.current or "not selected"
    waived = ", with a waiver on record" if change.waived else ""
    stig = f" {change.stig_ids[0]}" if change.stig_ids else ""
    return f"{change.severity}{stig} {shorten_rule_id(change.rule_id)}: {baseline} -> {current}{waived}: {change.title}"


def _format_waiver_change(change: WaiverChange) -> str:
    return f"{shorten_rule_id(change.name)}: {_describe_waiver(change.baseline)} -> {_describe_waiver(change.current)}"


def _describe_waiver(waiver: WaiverPart | None) -> str:
    return "none" if waiver is None else waiver.describe()


def _format_outcome(change: OutcomeChange) -> str:
    waived = ", with a waiver on record" if change.waived else ""
    return f"{change.name}: {change.baseline or 'did not run'} -> {change.current or 'did not run'}{waived}"


def _format_measure(change: MeasureChange) -> str:
    percent_text = (
        "" if change.percent is None else f" ({change.percent:+} %, {change.direction} is better)"
    )
    return f"{change.name}: {_format_number(change.baseline)} -> {_format_number(change.current)} {change.unit}{percent_text}"


def _format_number(value: Number | None) -> str:
    return (
        "no value" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    )


def _format_package(change: PackageChange) -> str:
    versions = [", ".join(s) for s in (change.baseline, change.current) if any(s)]
    return f"{change.name} {' -> '.join(versions)}".rstrip()
