"""The summary of a scan as plain lines, printed by ``scan``, ``show`` and ``build``."""

from collections.abc import Sequence

from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX
from hardpan.scanners.report.model import scores
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.counts import format_counts
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.sections import CompatibilityPart
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT
from hardpan.scanners.report.stig import statistics
from hardpan.scanners.report.stig.checklist_model import find_content_stig

_MAX_WAIVER_LINES = 20
_MAX_NAMES = 3
"""Names of checks with the same reason on one line."""


def format_summary(findings: Findings, smoke: SmokeDocument | None) -> tuple[str, ...]:
    """Format one fact per line with aligned labels; the text is not sanitized."""
    host, content, image = findings.host, findings.content, findings.image
    rows = [
        ("host", f"{host.hostname}, {host.os_name}, kernel {host.kernel}"),
        ("FIPS mode", f"{'on' if host.fips_kernel_flag else 'off'} (kernel flag)"),
        ("", _describe_fips(findings)),
        ("host key", host.describe_host_key()),
        ("", HOST_KEY_TRUST_TEXT[host.host_key_trust]),
        ("image", f"{image.name} sha256:{image.sha256}" if image else "not built by hardpan"),
        ("content", content.describe()),
        ("", f"sha256:{content.source_sha256}"),
        ("profile", content.profile_id),
        *_tailoring_rows(content),
        *(("", line) for line in (findings.describe_differences(),) if line),
        (
            "baseline",
            format_counts(findings.baseline_counts)
            if findings.baseline_counts
            else "not scanned before hardening",
        ),
        ("current", format_counts(findings.counts)),
        ("score", f"{findings.score} of 100 ({scores.SCORE_FORMULA})"),
        ("passed", _describe_passed(findings)),
        ("coverage", _describe_coverage(findings)),
        *_category_rows(findings),
        ("open", _describe_open(findings)),
        *_waiver_rows(findings),
        (
            "checks",
            format_counts(findings.count_checks_by_outcome()) if findings.checks else "none ran",
        ),
        *_not_checked_rows(findings),
        *_compatibility_rows(findings.compatibility),
        *_smoke_rows(smoke),
    ]
    width = max(len(label) for label, _ in rows)
    return tuple(f"{label:<{width}}  {' '.join(text.split())}" for label, text in rows)


def _describe_fips(findings: Findings) -> str:
    if findings.fips is None:
        return "the certificates of its modules were not checked"
    return f"{findings.fips.statement} The SCAP rules check settings, not certificates."


def _describe_passed(findings: Findings) -> str:
    passed, total = scores.count_passed(findings.rules)
    percent = findings.pass_ratio or "-"
    return f"{passed} of {total} rules, {percent} % ({scores.SHARE_FORMULA})"


def _describe_coverage(findings: Findings) -> str:
    covered, total = scores.count_covered(findings.rules)
    percent = findings.coverage or "-"
    return f"{covered} of {total} rules, {percent} % ({scores.COVERAGE_FORMULA})"


def _category_rows(findings: Findings) -> list[tuple[str, str]]:
    """Count DISA's requirements, if the content belongs to a known STIG."""
    counts_by_category = statistics.count_by_category(findings)
    stig = find_content_stig(findings)
    if counts_by_category is None or stig is None:
        return []
    texts = [
        f"CAT {name}: {t.open} open ({t.waived} waived), {t.not_reviewed} not reviewed, "
        f"{t.not_a_finding} of {t.applicable} passed"
        for name, t in counts_by_category.items()
    ]
    return [
        ("STIG", f"{stig.benchmark} {stig.revision}; {statistics.OPEN_FORMULA}"),
        *(("", line) for line in texts),
    ]


def _describe_open(findings: Findings) -> str:
    waived = sum(r.is_waived for r in findings.rules)
    by_severity = ", ".join(f"{n} {s}" for s, n in findings.count_open_by_severity().items() if n)
    return f"{by_severity or 'none'}; {waived} waived"


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


def _not_checked_rows(findings: Findings) -> list[tuple[str, str]]:
    """List what was not checked, why, and the remedy; checks with one reason share a line."""
    names_by_reason: dict[str, list[str]] = {}
    for check in findings.checks:
        if check.outcome == "not_checked":
            name = check.name.removeprefix(NOT_COLLECTED_PREFIX)
            names_by_reason.setdefault(check.message, []).append(name)
    texts = [f"{_join_names(names)}: {reason}" for reason, names in names_by_reason.items()]
    if manual_count := findings.counts["notchecked"]:
        texts.append(f"{manual_count} rules have no automated check: review them manually")
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
    subjects = [
        x for x in (smoke.framework, smoke.backend, smoke.reason) if x not in ("", "unknown")
    ]
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
