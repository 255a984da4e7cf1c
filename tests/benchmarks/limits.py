"""Limits of report generation relative to other programs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

HARDPAN, VERIFY = "hardpan: all formats, signed", "hardpan verify"
HTML, XSLT = "openscap-report: HTML", "oscap xccdf generate report"
PROGRAMS = (HARDPAN, HTML, XSLT, VERIFY)

MAX_TIME_RATIO_HTML = 1 / 3
MAX_TIME_RATIO_XSLT = 1 / 10
MAX_MEMORY_RATIO_HTML = 1 / 4
MAX_VERIFY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Time and memory of one run of a program, or the medians of several runs."""

    wall_s: float
    cpu_s: float
    """User and system time; less affected by other load than wall time."""

    peak_mib: float
    """Peak resident memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitResult:
    """One limit and the measured value."""

    name: str
    measured: float
    maximum: float
    measured_cpu: float | None = None
    """The same in processor seconds; reported, not limited."""

    @property
    def is_met(self) -> bool:
        """Whether the limit was met."""
        return self.measured <= self.maximum


def compute_medians(runs: Sequence[Measurement]) -> Measurement:
    """Return the median of each figure."""
    return Measurement(
        wall_s=median(r.wall_s for r in runs),
        cpu_s=median(r.cpu_s for r in runs),
        peak_mib=median(r.peak_mib for r in runs),
    )


def evaluate_limits(measurements: Mapping[str, Measurement]) -> tuple[LimitResult, ...]:
    """Evaluate the four limits with the medians of each program."""
    hardpan, html, xslt, verify = (measurements[name] for name in PROGRAMS)
    return (
        LimitResult(
            name="time, of openscap-report's",
            measured=hardpan.wall_s / html.wall_s,
            maximum=MAX_TIME_RATIO_HTML,
            measured_cpu=hardpan.cpu_s / html.cpu_s,
        ),
        LimitResult(
            name="time, of oscap generate report's",
            measured=hardpan.wall_s / xslt.wall_s,
            maximum=MAX_TIME_RATIO_XSLT,
            measured_cpu=hardpan.cpu_s / xslt.cpu_s,
        ),
        LimitResult(
            name="peak memory, of openscap-report's",
            measured=hardpan.peak_mib / html.peak_mib,
            maximum=MAX_MEMORY_RATIO_HTML,
        ),
        LimitResult(
            name="seconds to verify",
            measured=verify.wall_s,
            maximum=MAX_VERIFY_S,
            measured_cpu=verify.cpu_s,
        ),
    )


def format_table(
    measurements: Mapping[str, Measurement],
    limits: Sequence[LimitResult],
    *,
    rounds: int,
    size_bytes: int,
) -> str:
    """Format measurements and limits as text."""
    lines = [f"ARF of {size_bytes / 1e6:.1f} MB, medians of {rounds} alternating rounds", ""]
    lines.append(f"{'':36}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}")
    lines += [
        f"{name:36}{t.wall_s:>9.2f}{t.cpu_s:>8.2f}{t.peak_mib:>10.0f}"
        for name, t in measurements.items()
    ]
    lines += ["", f"{'':36}{'found':>9}{'by CPU':>8}{'at most':>10}"]
    for limit in limits:
        by_cpu = "" if limit.measured_cpu is None else f"{limit.measured_cpu:.3f}"
        verdict = "PASS" if limit.is_met else "MISS"
        lines.append(
            f"{limit.name:36}{limit.measured:>9.3f}{by_cpu:>8}{limit.maximum:>10.3f}  {verdict}"
        )
    return "\n".join(lines)
