"""The summary's content, once, for every form it is written in.

A section has a title of ours and lines; a line has a label of ours and words that
may come from a target. Whoever draws it makes those words harmless for its form.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import HOST_KEY_TRUST, SEVERITIES
from hardpan.scanners.report.parts import PairedPart, Rule
from hardpan.scanners.report.summary import counts

_MOST = 500
"""Lines of one section: a hostile scan may not make a book of the summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fact."""

    label: str
    """Ours; empty for none."""

    text: str
    """May be of the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some facts under one title."""

    title: str
    lines: tuple[Line, ...]


def sections(report: Report) -> tuple[Section, ...]:
    """All of the summary, in order; what did not run is said, not left out."""
    found = report.findings
    rules = found.rules
    opened = tuple(r for s in SEVERITIES for r in rules if r.is_open and r.severity == s)
    waived = tuple(r for s in SEVERITIES for r in rules if r.is_waived and r.severity == s)
    unchecked = tuple(r for r in rules if r.verdict == "notchecked")
    return (
        _section("What was scanned", _facts(report)),
        _section("Result", _result(found)),
        _section(f"Open rules: {len(opened)}", map(_rule, opened)),
        _section(f"Waived rules, not passed: {len(waived)}", map(_rule, waived)),
        _section(f"Not checked, for a person to judge: {len(unchecked)}", map(_rule, unchecked)),
        _section("FIPS mode", _fips(found)),
        _section("Checks of the running system", _checks(found)),
        _section("Hardening and AI together", _paired(found.paired)),
        _section("AI workload", _smoke(report.smoke)),
    )


def _section(title: str, lines: Iterable[Line]) -> Section:
    every = tuple(lines) or (Line(label="", text="none"),)
    if len(every) > _MOST:
        rest = Line(label="", text=f"and {len(every) - _MOST} more, in findings.json")
        every = (*every[:_MOST], rest)
    return Section(title=title, lines=every)


def _facts(report: Report) -> tuple[Line, ...]:
    found = report.findings
    host, content, image = found.host, found.content, found.image
    return tuple(
        Line(label=label, text=text)
        for label, text in (
            ("host", host.hostname),
            ("system", host.os_name),
            ("kernel", host.kernel),
            ("host key", f"{host.host_key_type} {host.host_key_sha256}"),
            ("", HOST_KEY_TRUST[host.host_key_trust]),
            ("image", f"{image.name} sha256 {image.sha256}" if image else "not built by hardpan"),
            ("content", f"{content.said()}, sha256 {content.source_sha256}"),
            ("profile", content.profile_id),
            ("begun", found.started),
            ("ended", found.finished),
            ("signing key", f"sha256 {report.signer_sha256}"),
        )
    )


def _result(found: Findings) -> tuple[Line, ...]:
    by_severity = ", ".join(f"{n} {s}" for s, n in found.open_by_severity().items() if n)
    before = counts(found.before) if found.before else "not scanned before hardening"
    return (
        Line(label="verdicts", text=counts(found.counts)),
        Line(label="before hardening", text=before),
        Line(label="open", text=by_severity or "none"),
        Line(label="waived", text=f"{sum(r.is_waived for r in found.rules)}, none of them passed"),
        Line(label="score", text=f"{found.score} of 100 (XCCDF default model)"),
    )


def _rule(rule: Rule) -> Line:
    parts = [rule.title, ", ".join(rule.stig_ids), rule.rule_id]
    text = " / ".join(part for part in parts if part)
    if rule.waiver is not None:
        text += f" / waiver: {rule.waiver.said()}"
    return Line(label=f"{rule.severity}, {rule.verdict}", text=text)


def _fips(found: Findings) -> tuple[Line, ...]:
    said = "the certificates of its modules were not looked at"
    if found.fips is not None:
        said = f"{found.fips.statement} The rules check settings, never certificates."
    flag = "on" if found.host.fips_kernel_flag else "off"
    return (Line(label="kernel flag", text=flag), Line(label="", text=said))


def _checks(found: Findings) -> tuple[Line, ...]:
    if not found.checks:
        return (Line(label="", text="none ran"),)
    failed = [c for c in found.checks if c.outcome in ("failed", "error")]
    return (
        Line(label="", text=counts(found.check_counts())),
        *(Line(label=c.outcome, text=f"{c.name}: {c.message}") for c in failed),
    )


def _paired(paired: PairedPart | None) -> tuple[Line, ...]:
    if paired is None:
        return (Line(label="", text="not asked"),)
    told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in paired.counts().items() if n)
    failed = [p for p in paired.pairs if p.verdict in ("fail", "error")]
    return (
        Line(label="", text=told or "none ran"),
        *(
            Line(
                label=p.verdict,
                text=f"{p.title}: {p.reason}"
                + (f" / waiver: {p.waiver.said()}" if p.waiver else ""),
            )
            for p in failed
        ),
    )


def _smoke(smoke: SmokeDocument | None) -> tuple[Line, ...]:
    if smoke is None:
        return (Line(label="", text="the smoke test did not run"),)
    return (
        Line(label="verdict", text=f"{smoke.verdict}: {smoke.reason}"),
        Line(label="with", text=f"{smoke.framework}, {smoke.backend}, {smoke.model}"),
        *(
            Line(label="figure", text=f"{m.name}: {_figure(m.value)} {m.unit} (n={m.n})")
            for m in smoke.measures
        ),
    )


def _figure(value: float | None) -> str:
    return "no value" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
