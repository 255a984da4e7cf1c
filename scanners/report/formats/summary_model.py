"""The content of the summary, shared by the Markdown and the PDF renderer.

Titles and labels are constants of this module; the text of a line may come from the target.
Each renderer escapes it for its format.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hardpan.scanners.report.headline import COUNTING_NOTE, build_headline
from hardpan.scanners.report.model import scores
from hardpan.scanners.report.model.check_sections import CheckPart
from hardpan.scanners.report.model.content_sections import NO_REASON, TailoringPart
from hardpan.scanners.report.model.counts import format_counts
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.sections import CompatibilityPart, RulePart
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, SEVERITIES
from hardpan.scanners.report.registry import Report

_MAX_SECTION_LINES = 500
"""Lines per section: bounds the summary of a hostile scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """One fact."""

    label: str
    """A constant; empty for none."""

    text: str
    """May come from the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySection:
    """A titled group of facts."""

    title: str
    lines: tuple[SummaryLine, ...]


def build_sections(report: Report) -> tuple[SummarySection, ...]:
    """Build all sections in order; stages that did not run are reported as such."""
    findings = report.findings
    rules = findings.rules
    findings_by_severity = tuple(
        r for s in SEVERITIES for r in rules if r.is_finding and r.category_severity == s
    )
    waived_rules = tuple(r for r in findings_by_severity if r.is_waived)
    other_rules = tuple(r for r in findings_by_severity if not r.is_waived)
    unchecked_rules = tuple(r for r in rules if r.verdict == "notchecked")
    return (
        _build_section("Target and content", _scan_lines(report)),
        _build_section("Result", _result_lines(findings)),
        _build_section(f"Open, not waived: {len(other_rules)}", map(_rule_line, other_rules)),
        _build_section(f"Open, waived: {len(waived_rules)}", map(_rule_line, waived_rules)),
        *_waiver_sections(findings),
        *_tailoring_sections(findings.content.tailoring),
        _build_section(
            f"Not checked, manual review required: {len(unchecked_rules)}",
            map(_rule_line, unchecked_rules),
        ),
        _build_section("FIPS mode", _fips_lines(findings)),
        _build_section("System checks", _check_lines(findings)),
        _build_section(
            "Compatibility of hardening and AI workloads",
            _compatibility_lines(findings.compatibility),
        ),
        _build_section("AI workload", _smoke_lines(report.smoke)),
    )


def _build_section(title: str, lines: Iterable[SummaryLine]) -> SummarySection:
    all_lines = tuple(lines) or (SummaryLine(label="", text="none"),)
    if len(all_lines) > _MAX_SECTION_LINES:
        remainder = SummaryLine(
            label="", text=f"and {len(all_lines) - _MAX_SECTION_LINES} more, in findings.json"
        )
        all_lines = (*all_lines[:_MAX_SECTION_LINES], remainder)
    return SummarySection(title=title, lines=all_lines)


def _scan_lines(report: Report) -> tuple[SummaryLine, ...]:
    findings = report.findings
    host, content, image = findings.host, findings.content, findings.image
    return tuple(
        SummaryLine(label=label, text=text)
        for label, text in (
            ("host", host.hostname),
            ("system", host.os_name),
            ("kernel", host.kernel),
            *(("clock", f"warning: {line}") for line in (host.describe_clock(),) if line),
            ("host key", host.describe_host_key()),
            ("", HOST_KEY_TRUST_TEXT[host.host_key_trust]),
            ("image", f"{image.name} sha256 {image.sha256}" if image else "not built by hardpan"),
            ("content", f"{content.describe()}, sha256 {content.source_sha256}"),
            ("profile", content.profile_id),
            ("reason for the choice", content.choice or "not recorded"),
            ("started", findings.started),
            ("finished", findings.finished),
            ("signing key", f"sha256 {report.signer_sha256}"),
        )
    )


def _result_lines(findings: Findings) -> tuple[SummaryLine, ...]:
    headline = build_headline(findings)
    baseline = (
        format_counts(findings.baseline_counts)
        if findings.baseline_counts
        else "not scanned before hardening"
    )
    return (
        SummaryLine(label="result", text=headline.describe()),
        SummaryLine(label="open", text=f"{headline.describe_categories()}: {headline.unit}"),
        SummaryLine(label="gate, without waived rules", text=headline.describe_gates()),
        SummaryLine(label="", text=COUNTING_NOTE),
        *(SummaryLine(label="STIG", text=line) for line in headline.stig_lines),
        *(
            SummaryLine(label="evaluated", text=line)
            for line in (findings.describe_script_rules(), findings.describe_differences())
            if line
        ),
        SummaryLine(label="current", text=format_counts(findings.counts)),
        SummaryLine(label="baseline", text=baseline),
        SummaryLine(label="score", text=f"{findings.score} of 100 ({scores.SCORE_FORMULA})"),
        SummaryLine(
            label="passed", text=f"{findings.pass_ratio or '-'} % ({scores.SHARE_FORMULA})"
        ),
        SummaryLine(
            label="coverage", text=f"{findings.coverage or '-'} % ({scores.COVERAGE_FORMULA})"
        ),
    )


def _rule_line(rule: RulePart) -> SummaryLine:
    parts = [rule.title, ", ".join(rule.stig_ids), rule.rule_id]
    text = " / ".join(part for part in parts if part)
    if rule.waiver is not None:
        text += f" / waiver: {rule.waiver.describe()}"
    return SummaryLine(label=f"{rule.severity}, {rule.verdict}", text=text)


def _waiver_sections(findings: Findings) -> tuple[SummarySection, ...]:
    """The waivers that someone should change or remove; no section without any."""
    records = findings.waiver_warnings()
    if not records:
        return ()
    lines = (
        SummaryLine(
            label=record.describe_status(),
            text=f"{record.selector} / {record.source} / {record.reason} ({record.owner})",
        )
        for record in records
    )
    return (_build_section(f"Waivers to review: {len(records)}", lines),)


def _tailoring_sections(tailoring: TailoringPart | None) -> tuple[SummarySection, ...]:
    """What the tailoring changed, with its reasons; no section without one."""
    if tailoring is None:
        return ()
    lines = (
        SummaryLine(label="file", text=f"{tailoring.file} sha256 {tailoring.sha256}"),
        SummaryLine(label="author", text=tailoring.author or "not stated"),
        SummaryLine(label="base profile", text=tailoring.base_profile_id or "none"),
        *(
            SummaryLine(label=label, text=f"{r.rule_id} / {r.reason or NO_REASON}")
            for label, rules in (
                ("not evaluated", tailoring.unselected),
                ("added", tailoring.selected),
            )
            for r in rules
        ),
        *(
            SummaryLine(label="changed", text=f"{s.describe()} / {s.reason or NO_REASON}")
            for s in tailoring.settings
        ),
        *(SummaryLine(label="note", text=note) for note in tailoring.notes),
    )
    return (_build_section(f"Tailoring: {tailoring.describe_effect()}", lines),)


def _fips_lines(findings: Findings) -> tuple[SummaryLine, ...]:
    statement = "the certificates of its modules were not checked"
    if findings.fips is not None:
        statement = f"{findings.fips.statement} The SCAP rules check settings, not certificates."
    flag = "on" if findings.host.fips_kernel_flag else "off"
    return (SummaryLine(label="kernel flag", text=flag), SummaryLine(label="", text=statement))


def _check_lines(findings: Findings) -> tuple[SummaryLine, ...]:
    if not findings.checks:
        return (SummaryLine(label="", text="none ran"),)
    reported = [c for c in findings.checks if c.outcome in ("failed", "error", "not_checked")]
    return (
        SummaryLine(label="", text=format_counts(findings.count_checks_by_outcome())),
        *(_check_line(c) for c in reported),
    )


def _check_line(check: CheckPart) -> SummaryLine:
    outcome = check.outcome.replace("_", " ")
    if check.severity is None:
        return SummaryLine(label=outcome, text=f"{check.name}: {check.message}")
    parts = [check.title, check.name, check.message, f"remedy: {check.remedy}"]
    if check.waiver is not None:
        parts.append(f"waiver: {check.waiver.describe()}")
    return SummaryLine(label=f"{check.severity}, {outcome}", text=" / ".join(parts))


def _compatibility_lines(compatibility: CompatibilityPart | None) -> tuple[SummaryLine, ...]:
    if compatibility is None:
        return (SummaryLine(label="", text="not tested"),)
    count_text = ", ".join(
        f"{name.replace('_', ' ')} {n}" for name, n in compatibility.count_verdicts().items() if n
    )
    failed = [p for p in compatibility.results if p.verdict in ("fail", "error")]
    return (
        SummaryLine(label="", text=count_text or "none ran"),
        *(
            SummaryLine(
                label=p.verdict,
                text=f"{p.title}: {p.reason}"
                + (f" / waiver: {p.waiver.describe()}" if p.waiver else ""),
            )
            for p in failed
        ),
    )


def _smoke_lines(smoke: SmokeDocument | None) -> tuple[SummaryLine, ...]:
    if smoke is None:
        return (SummaryLine(label="", text="the smoke test did not run"),)
    return (
        SummaryLine(label="verdict", text=f"{smoke.verdict}: {smoke.reason}"),
        SummaryLine(label="with", text=f"{smoke.framework}, {smoke.backend}, {smoke.model}"),
        *(
            SummaryLine(
                label="figure", text=f"{m.name}: {_format_value(m.value)} {m.unit} (n={m.n})"
            )
            for m in smoke.measures
        ),
    )


def _format_value(value: float | None) -> str:
    if value is None:
        return "no value"
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
