"""What changed, in plain lines: for the terminal, and for the page of the newer scan."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.files import Sha256
from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.scanners.history.model import Diff, Figure, Outcomes, PackageChange, WaiverChange
from hardpan.scanners.report.changes import Changes, RuleChange
from hardpan.scanners.report.fields import Number
from hardpan.scanners.report.parts import WaiverPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what belongs under it."""

    title: str
    lines: tuple[str, ...]


def changes(made: Diff) -> tuple[Section, ...]:
    """What changed since the older scan, section by section; empty ones are left out.

    The words come from scans: one line each, to be escaped by whoever draws them.
    """
    return tuple(
        Section(title=title, lines=tuple(map(_line, lines)))
        for title, lines in _sections(made)
        if lines
    )


def for_page(made: Diff, *, statement_sha256: Sha256) -> Changes:
    """What the page of the newer scan tells of it; the digest says which the older one is."""
    return Changes(
        since=made.old.finished,
        statement_sha256=statement_sha256,
        opened=made.failing,
        closed=made.fixed,
        others=(*made.changed, *made.came, *made.gone),
        facts=made.facts,
    )


def headline(made: Diff) -> str:
    """The answer in one line."""
    if made.is_regression:
        return f"regressions: {len(made.regressions)}"
    return "no regression"


def _sections(made: Diff) -> Iterator[tuple[str, list[str]]]:
    worse = [
        f"{r.kind} {short(r.name)}{f' ({r.severity})' if r.severity else ''}: {r.old} -> {r.new}"
        for r in made.regressions
    ]
    yield "regressions", worse
    yield "careful", list(made.notes)
    yield "facts", [f"{f.name}: {f.old or 'not told'} -> {f.new or 'not told'}" for f in made.facts]
    yield "counts", [f"{c.name}: {c.old} -> {c.new} ({c.new - c.old:+})" for c in made.counts]
    yield "newly failing", list(map(_rule, made.failing))
    yield "fixed", list(map(_rule, made.fixed))
    yield "other verdicts", list(map(_rule, made.changed))
    yield "new rules", list(map(_rule, made.came))
    yield "rules no longer selected", list(map(_rule, made.gone))
    yield "newly waived", [_waiver(w) for w in made.waivers.began]
    yield "waiver ended", [_waiver(w) for w in made.waivers.ended]
    yield "waiver changed", [_waiver(w) for w in made.waivers.changed]
    yield "paired checks", list(map(_outcome, made.paired))
    yield "checks", list(map(_outcome, made.checks))
    yield "smoke figures (told, not judged)", list(map(_figure, made.figures))
    if made.packages is None:
        yield "packages", ["not compared: one of the two lists is not at hand"]
    else:
        yield "packages added", list(map(_package, made.packages.added))
        yield "packages removed", list(map(_package, made.packages.removed))
        yield "packages changed", list(map(_package, made.packages.changed))


def short(rule_id: str) -> str:
    """A rule's id without what every rule of the content begins with."""
    return rule_id.removeprefix(RULE_PREFIX)


def _line(text: str) -> str:
    return " ".join(text.split())


def _rule(c: RuleChange) -> str:
    old, new = c.old or "not selected", c.new or "not selected"
    waived = ", with a waiver on record" if c.waived else ""
    stig = f" {c.stig_ids[0]}" if c.stig_ids else ""
    return f"{c.severity}{stig} {short(c.rule_id)}: {old} -> {new}{waived}: {c.title}"


def _waiver(w: WaiverChange) -> str:
    return f"{short(w.name)}: {_said(w.old)} -> {_said(w.new)}"


def _said(waiver: WaiverPart | None) -> str:
    return "none" if waiver is None else waiver.said()


def _outcome(c: Outcomes) -> str:
    waived = ", with a waiver on record" if c.waived else ""
    return f"{c.name}: {c.old or 'did not run'} -> {c.new or 'did not run'}{waived}"


def _figure(f: Figure) -> str:
    by = "" if f.percent is None else f" ({f.percent:+} %, {f.direction} is better)"
    return f"{f.name}: {_number(f.old)} -> {_number(f.new)} {f.unit}{by}"


def _number(value: Number | None) -> str:
    return (
        "no value" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    )


def _package(c: PackageChange) -> str:
    sides = [", ".join(s) for s in (c.old, c.new) if any(s)]
    return f"{c.name} {' -> '.join(sides)}".rstrip()
