"""The summary of a scan as plain lines, printed by ``scan``, ``show`` and ``build``."""

import textwrap
from collections.abc import Iterator, Sequence

from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX
from hardpan.scanners.report.headline import Headline, build_headline
from hardpan.scanners.report.model import scores
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.counts import format_counts
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.sections import CompatibilityPart
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, SEVERITIES
from hardpan.scanners.report.stig import statistics

_MAX_WAIVER_LINES = 20
_MAX_CHECK_LINES = 20
_MAX_NAMES = 3
"""Names of checks with the same reason on one line."""

_TEXT_WIDTH = 100
"""Columns after the label; a word that is longer, such as a digest, is not split."""


def format_summary(findings: Findings, smoke: SmokeDocument | None) -> tuple[str, ...]:
    """Format the facts with aligned labels, long ones on several lines; not sanitized."""
    rows = [*_target_rows(findings), *_result_rows(findings, smoke)]
    width = max(len(label) for label, _ in rows)
    return tuple(line for label, text in rows for line in _wrap(label.ljust(width), text))


def _wrap(label: str, text: str) -> Iterator[str]:
    """Yield the lines of a row; only the first has the label."""
    lines = textwrap.wrap(
        " ".join(text.split()), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False
    )
    for line in lines or [""]:
        yield f"{label}  {line}"
        label = " " * len(label)


def _target_rows(findings: Findings) -> list[tuple[str, str]]:
    """Describe the host, and the content and profile that it was scanned with."""
    host, content, image = findings.host, findings.content, findings.image
    return [
        ("host", f"{host.hostname}, {host.os_name}, kernel {host.kernel}"),
        *(("clock", f"warning: {line}") for line in (host.describe_clock(),) if line),
        *_fips_rows(findings),
        ("host key", host.describe_host_key()),
        ("", HOST_KEY_TRUST_TEXT[host.host_key_trust]),
        *((("image", f"{image.name} sha256:{image.sha256}"),) if image else ()),
        ("content", content.describe()),
        ("", f"sha256:{content.source_sha256}"),
        ("profile", content.profile_id),
        *(("", line) for line in (content.choice,) if line),
        *_tailoring_rows(content),
        *(("", line) for line in (findings.describe_script_rules(),) if line),
        *(("", line) for line in (findings.describe_differences(),) if line),
    ]


def _result_rows(findings: Findings, smoke: SmokeDocument | None) -> list[tuple[str, str]]:
    """Describe the results of the rules, checks and tests."""
    baseline = findings.baseline_counts
    return [
        *((("baseline", format_counts(baseline)),) if baseline else ()),
        ("current", format_counts(findings.counts)),
        ("score", f"{findings.score} of 100"),
        ("", "XCCDF's default scoring model"),
        ("passed", _describe_passed(findings)),
        ("", scores.SHARE_FORMULA),
        ("coverage", _describe_coverage(findings)),
        ("", scores.COVERAGE_FORMULA),
        *_headline_rows(build_headline(findings)),
        *_waiver_rows(findings),
        ("checks", _describe_checks(findings)),
        *_open_check_rows(findings),
        *_not_checked_rows(findings),
        *_compatibility_rows(findings.compatibility),
        *_smoke_rows(smoke),
    ]


def _fips_rows(findings: Findings) -> list[tuple[str, str]]:
    """Describe FIPS mode; the statement about modules is for hosts in FIPS mode alone.

    The age of the list of certificates is for every host: the report of each has its states.
    """
    mode = "on (kernel flag)" if findings.host.fips_kernel_flag else "off (kernel flag)"
    if not findings.host.fips_kernel_flag:
        warning = findings.fips.table_warning if findings.fips else ""
        return [("FIPS mode", mode), *((("", f"warning: {warning}"),) if warning else ())]
    if findings.fips is None:
        statement = "the certificates of its modules were not checked"
    else:
        statement = f"{findings.fips.statement} The SCAP rules check settings, not certificates."
    return [("FIPS mode", mode), ("", statement)]


def _describe_passed(findings: Findings) -> str:
    passed, total = scores.count_passed(findings.rules)
    percent = findings.pass_ratio or "-"
    return f"{passed} of {total} rules, {percent} %"


def _describe_coverage(findings: Findings) -> str:
    covered, total = scores.count_covered(findings.rules)
    percent = findings.coverage or "-"
    return f"{covered} of {total} rules, {percent} %"


def _headline_rows(headline: Headline) -> list[tuple[str, str]]:
    """Show what is open, how the gate counts it, and DISA's requirements."""
    stig_name, *stig_lines = headline.stig_lines or ("",)
    return [
        ("result", headline.describe()),
        ("", f"{headline.describe_categories()}: {headline.unit}"),
        ("--fail-on", headline.describe_gates()),
        *((("STIG", stig_name),) if stig_name else ()),
        *(("", line) for line in stig_lines),
        *((("", statistics.OPEN_FORMULA.partition(";")[0]),) if stig_name else ()),
    ]


def _tailoring_rows(content: ContentPart) -> list[tuple[str, str]]:
    tailoring = content.tailoring
    if tailoring is None:
        return []
    return [("tailoring", tailoring.describe()), ("", f"sha256:{tailoring.sha256}")]


def _waiver_rows(findings: Findings) -> list[tuple[str, str]]:
    """Describe the waivers that someone should change or remove."""
    records = findings.waiver_warnings()
    lines = [record.describe() for record in records[:_MAX_WAIVER_LINES]]
    if omitted := len(records) - len(lines):
        lines.append(f"and {omitted} more, in findings.json")
    return [("waivers" if n == 0 else "", f"warning: {line}") for n, line in enumerate(lines)]


def _describe_checks(findings: Findings) -> str:
    """Count the checks by outcome; those that are not checked have rows of their own."""
    if all(check.outcome == "not_checked" for check in findings.checks):
        return "none ran"
    return format_counts(findings.count_checks_by_outcome())


def _open_check_rows(findings: Findings) -> list[tuple[str, str]]:
    """List the checks of hardpan that are open, with what was observed and the remedy."""
    open_ids = {rule.rule_id for rule in findings.check_rules if rule.is_open}
    waived_count = sum(rule.is_waived for rule in findings.check_rules)
    texts = [
        f"{c.severity} {c.name}: {c.outcome}, {c.message}; {c.remedy}"
        for severity in SEVERITIES
        for c in findings.checks
        if c.name in open_ids and c.severity == severity
    ]
    if omitted := len(texts) - _MAX_CHECK_LINES:
        texts = [*texts[:_MAX_CHECK_LINES], *((f"and {omitted} more",) if omitted > 0 else ())]
    if waived_count:
        texts.append(f"{waived_count} waived")
    return [("", text) for text in texts]


def _not_checked_rows(findings: Findings) -> list[tuple[str, str]]:
    """List what was not checked, why, and the remedy; checks with one reason share a line."""
    names_by_reason: dict[str, list[str]] = {}
    for check in findings.checks:
        if check.outcome == "not_checked":
            name = check.name.removeprefix(NOT_COLLECTED_PREFIX)
            names_by_reason.setdefault(check.message, []).append(name)
    texts = [f"{_join_names(names)}: {reason}" for reason, names in names_by_reason.items()]
    if manual_count := findings.counts["notchecked"]:
        rules = "1 rule has" if manual_count == 1 else f"{manual_count} rules have"
        texts.append(f"{rules} no automated check: manual review required")
    if undecided_count := findings.counts["error"] + findings.counts["unknown"]:
        rules = "1 rule is" if undecided_count == 1 else f"{undecided_count} rules are"
        texts.append(f"{rules} error or unknown: the HTML report lists what OpenSCAP evaluated")
    labels = ("not checked", *("" for _ in texts))
    return list(zip(labels, texts, strict=False))


def _join_names(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_MAX_NAMES])
    return listed if len(names) <= _MAX_NAMES else f"{listed} and {len(names) - _MAX_NAMES} more"


def _compatibility_rows(compatibility: CompatibilityPart | None) -> list[tuple[str, str]]:
    if compatibility is None:
        return []
    verdict_counts = compatibility.count_verdicts()
    parts = [f"{verdict_counts['pass']} pass"]
    if verdict_counts["fail"]:
        parts.append(f"{verdict_counts['fail']} fail ({compatibility.count_waived()} waived)")
    optional_labels = (("not_checked", "not checked"), ("error", "in error"))
    parts += [f"{verdict_counts[v]} {label}" for v, label in optional_labels if verdict_counts[v]]
    parts.append(f"{verdict_counts['not_applicable']} not applicable")
    failed = [p for p in compatibility.results if p.verdict in ("fail", "error")]
    return [
        ("compatibility", ", ".join(parts)),
        *(("", f"{p.conflict}: {p.verdict}, {p.reason}") for p in failed),
    ]


def _smoke_rows(smoke: SmokeDocument | None) -> list[tuple[str, str]]:
    if smoke is None:
        return [("smoke test", "did not run")]
    software = () if smoke.framework == "unknown" else (smoke.framework, smoke.backend)
    subjects = [x for x in (*software, smoke.reason) if x]
    text = f"{smoke.verdict}: {', '.join(subjects)}"
    if smoke.verdict == "not_checked":
        text = "not checked"
    measures = [
        ("", f"{m.name}: {_format_value(m.value, m.unit)} (n={m.n})") for m in smoke.measures
    ]
    return [("smoke test", text), *measures]


def _format_value(value: float | None, unit: str) -> str:
    if value is None:
        return "no value"
    return f"{value:,.4g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
