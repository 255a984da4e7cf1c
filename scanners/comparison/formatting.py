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
        ChangeSection(title=title, lines=tuple(map(_to_one_line, lines)))
        for title, lines in _list_sections(diff)
        if lines
    )


def summarize_for_report(diff: ScanDiff, *, statement_sha256: Sha256) -> ScanChanges:
    """What the page of the newer scan tells of it; the digest says which the older one is."""
    return ScanChanges(
        since=diff.old.finished,
        statement_sha256=statement_sha256,
        opened=diff.failing,
        closed=diff.fixed,
        others=(*diff.changed, *diff.came, *diff.gone),
        facts=diff.facts,
    )


def format_headline(diff: ScanDiff) -> str:
    """The answer in one line."""
    if diff.has_regressions:
        return f"regressions: {len(diff.regressions)}"
    return "no regression"


def _list_sections(diff: ScanDiff) -> Iterator[tuple[str, list[str]]]:
    regressions = [
        f"{r.kind} {shorten_rule_id(r.name)}{f' ({r.severity})' if r.severity else ''}: {r.old} -> {r.new}"
        for r in diff.regressions
    ]
    yield "regressions", regressions
    yield "careful", list(diff.notes)
    yield "facts", [f"{f.name}: {f.old or 'not told'} -> {f.new or 'not told'}" for f in diff.facts]
    yield "counts", [f"{c.name}: {c.old} -> {c.new} ({c.new - c.old:+})" for c in diff.counts]
    yield "newly failing", list(map(_format_rule, diff.failing))
    yield "fixed", list(map(_format_rule, diff.fixed))
    yield "other verdicts", list(map(_format_rule, diff.changed))
    yield "new rules", list(map(_format_rule, diff.came))
    yield "rules no longer selected", list(map(_format_rule, diff.gone))
    yield "newly waived", [_format_waiver_change(w) for w in diff.waivers.began]
    yield "waiver ended", [_format_waiver_change(w) for w in diff.waivers.ended]
    yield "waiver changed", [_format_waiver_change(w) for w in diff.waivers.changed]
    yield "compatibility checks", list(map(_format_outcome, diff.compatibility))
    yield "checks", list(map(_format_outcome, diff.checks))
    yield "smoke figures (told, not judged)", list(map(_format_measure, diff.figures))
    if diff.packages is None:
        yield "packages", ["not compared: one of the two lists is not at hand"]
    else:
        yield "packages added", list(map(_format_package, diff.packages.added))
        yield "packages removed", list(map(_format_package, diff.packages.removed))
        yield "packages changed", list(map(_format_package, diff.packages.changed))


def shorten_rule_id(rule_id: str) -> str:
    """A rule's id without what every rule of the content begins with."""
    return rule_id.removeprefix(RULE_PREFIX)


def _to_one_line(text: str) -> str:
    return " ".join(text.split())


def _format_rule(change: RuleChange) -> str:
    baseline, current = change.old or "not selected", change.new or "not selected"
    waived = ", with a waiver on record" if change.waived else ""
    stig = f" {change.stig_ids[0]}" if change.stig_ids else ""
    return f"{change.severity}{stig} {shorten_rule_id(change.rule_id)}: {baseline} -> {current}{waived}: {change.title}"


def _format_waiver_change(change: WaiverChange) -> str:
    return f"{shorten_rule_id(change.name)}: {_describe_waiver(change.old)} -> {_describe_waiver(change.new)}"


def _describe_waiver(waiver: WaiverPart | None) -> str:
    return "none" if waiver is None else waiver.said()


def _format_outcome(change: OutcomeChange) -> str:
    waived = ", with a waiver on record" if change.waived else ""
    return f"{change.name}: {change.old or 'did not run'} -> {change.new or 'did not run'}{waived}"


def _format_measure(change: MeasureChange) -> str:
    percent_text = (
        "" if change.percent is None else f" ({change.percent:+} %, {change.direction} is better)"
    )
    return f"{change.name}: {_format_number(change.old)} -> {_format_number(change.new)} {change.unit}{percent_text}"


def _format_number(value: Number | None) -> str:
    return (
        "no value" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    )


def _format_package(change: PackageChange) -> str:
    versions = [", ".join(s) for s in (change.old, change.new) if any(s)]
    return f"{change.name} {' -> '.join(versions)}".rstrip()
