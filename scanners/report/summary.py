"""The scan's answer in a few plain lines, for the end of a run and for ``show``."""

from collections.abc import Mapping

from hardpan.scanners.report import counting
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import HOST_KEY_TRUST
from hardpan.scanners.report.parts import PairedPart
from hardpan.scanners.report.requirements import stig_of

_SHOWN = ("pass", "fail", "error", "unknown", "notchecked", "notapplicable", "informational")


def lines(findings: Findings, smoke: SmokeDocument | None) -> tuple[str, ...]:
    """One fact a line, labels aligned; the text is as the evidence has it."""
    host, content, image = findings.host, findings.content, findings.image
    rows = [
        ("host", f"{host.hostname}, {host.os_name}, kernel {host.kernel}"),
        ("FIPS mode", f"{'on' if host.fips_kernel_flag else 'off'} (kernel flag)"),
        ("", _fips(findings)),
        ("host key", f"{host.host_key_type} {host.host_key_sha256}"),
        ("", HOST_KEY_TRUST[host.host_key_trust]),
        ("image", f"{image.name} sha256:{image.sha256}" if image else "not built by hardpan"),
        ("content", content.said()),
        ("", f"sha256:{content.source_sha256}"),
        ("profile", content.profile_id),
        ("before", counts(findings.before) if findings.before else "not scanned before hardening"),
        ("now", counts(findings.counts)),
        ("score", f"{findings.score} of 100 ({counting.SCORE})"),
        ("passed", _passed(findings)),
        *_categories(findings),
        ("open", _open(findings)),
        ("checks", counts(findings.check_counts()) if findings.checks else "none ran"),
        *_paired(findings.paired),
        *_smoke(smoke),
    ]
    width = max(len(label) for label, _ in rows)
    return tuple(f"{label:<{width}}  {' '.join(text.split())}" for label, text in rows)


def counts(by_name: Mapping[str, int]) -> str:
    """``pass 312, fail 41, …``: what is zero is left out, pass and fail are not."""
    kept = [n for n in (*_SHOWN, "fixed", "passed", "failed", "skipped") if n in by_name]
    return ", ".join(f"{n} {by_name[n]}" for n in kept if by_name[n] or n in ("pass", "fail"))


def _fips(findings: Findings) -> str:
    if findings.fips is None:
        return "the certificates of its modules were not looked at"
    return f"{findings.fips.statement} The rules check settings, never certificates."


def _passed(findings: Findings) -> str:
    passed, of = counting.rules_passed(findings)
    return f"{passed} of {of} rules, {counting.share(passed, of)} ({counting.PASSED})"


def _categories(findings: Findings) -> list[tuple[str, str]]:
    """DISA's count, where the content is for a STIG on record."""
    by = counting.categories(findings)
    stig = stig_of(findings)
    if by is None or stig is None:
        return []
    told = [
        f"CAT {name}: {t.open} open ({t.waived} waived), {t.not_reviewed} not reviewed, "
        f"{t.not_a_finding} of {t.applicable} passed"
        for name, t in by.items()
    ]
    return [
        ("STIG", f"{stig.benchmark} {stig.revision}; {counting.OPEN}"),
        *(("", line) for line in told),
    ]


def _open(findings: Findings) -> str:
    waived = sum(r.is_waived for r in findings.rules)
    by_severity = ", ".join(f"{n} {s}" for s, n in findings.open_by_severity().items() if n)
    return f"{by_severity or 'none'}; {waived} with a waiver on record"


def _paired(paired: PairedPart | None) -> list[tuple[str, str]]:
    if paired is None:
        return []
    by = paired.counts()
    parts = [f"{by['pass']} hold both"]
    if by["fail"]:
        parts.append(f"{by['fail']} do not ({paired.waived()} with a waiver on record)")
    told = (("not_checked", "not checked"), ("error", "in error"))
    parts += [f"{by[v]} {words}" for v, words in told if by[v]]
    parts.append(f"{by['not_applicable']} not applicable")
    failed = [p for p in paired.pairs if p.verdict in ("fail", "error")]
    return [
        ("paired checks", ", ".join(parts)),
        *(("", f"{p.conflict}: {p.verdict}, {p.reason}") for p in failed),
    ]


def _smoke(smoke: SmokeDocument | None) -> list[tuple[str, str]]:
    if smoke is None:
        return [("smoke test", "did not run")]
    first = ("smoke test", f"{smoke.verdict}: {smoke.framework}, {smoke.backend}, {smoke.reason}")
    figures = [("", f"{m.name}: {_figure(m.value, m.unit)} (n={m.n})") for m in smoke.measures]
    return [(first[0], first[1].rstrip(", ")), *figures]


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "no value"
    return f"{value:,.4g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
