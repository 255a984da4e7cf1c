"""What the reports may take, of what others take for theirs. Pure: measures in, verdicts out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

OURS, VERIFY = "hardpan: all formats, signed", "hardpan verify"
HTML, XSLT = "openscap-report: HTML", "oscap xccdf generate report"
PROGRAMS = (OURS, HTML, XSLT, VERIFY)

TIME_OF_HTML = 1 / 3
TIME_OF_XSLT = 1 / 10
MEMORY_OF_HTML = 1 / 4
VERIFY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one run of a program took, or the medians of several."""

    wall_s: float
    cpu_s: float
    """User and system; other work on the machine shows less in it."""

    peak_mib: float
    """Peak resident memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit and how near it was."""

    name: str
    found: float
    most: float
    by_cpu: float | None = None
    """The same by processor seconds; told, not judged."""

    @property
    def holds(self) -> bool:
        """True when it was met."""
        return self.found <= self.most


def medians(runs: Sequence[Took]) -> Took:
    """The median of each figure by itself."""
    return Took(
        wall_s=median(r.wall_s for r in runs),
        cpu_s=median(r.cpu_s for r in runs),
        peak_mib=median(r.peak_mib for r in runs),
    )


def judged(took: Mapping[str, Took]) -> tuple[Limit, ...]:
    """The four limits, from the medians of each program."""
    ours, html, xslt, verify = (took[name] for name in PROGRAMS)
    return (
        Limit(
            name="time, of openscap-report's",
            found=ours.wall_s / html.wall_s,
            most=TIME_OF_HTML,
            by_cpu=ours.cpu_s / html.cpu_s,
        ),
        Limit(
            name="time, of oscap generate report's",
            found=ours.wall_s / xslt.wall_s,
            most=TIME_OF_XSLT,
            by_cpu=ours.cpu_s / xslt.cpu_s,
        ),
        Limit(
            name="peak memory, of openscap-report's",
            found=ours.peak_mib / html.peak_mib,
            most=MEMORY_OF_HTML,
        ),
        Limit(name="seconds to verify", found=verify.wall_s, most=VERIFY_S, by_cpu=verify.cpu_s),
    )


def table(took: Mapping[str, Took], limits: Sequence[Limit], *, rounds: int, bytes_: int) -> str:
    """All of it as lines of text."""
    lines = [f"ARF of {bytes_ / 1e6:.1f} MB, medians of {rounds} alternating rounds", ""]
    lines.append(f"{'':36}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}")
    lines += [
        f"{name:36}{t.wall_s:>9.2f}{t.cpu_s:>8.2f}{t.peak_mib:>10.0f}" for name, t in took.items()
    ]
    lines += ["", f"{'':36}{'found':>9}{'by CPU':>8}{'at most':>10}"]
    for limit in limits:
        by_cpu = "" if limit.by_cpu is None else f"{limit.by_cpu:.3f}"
        verdict = "PASS" if limit.holds else "MISS"
        lines.append(f"{limit.name:36}{limit.found:>9.3f}{by_cpu:>8}{limit.most:>10.3f}  {verdict}")
    return "\n".join(lines)
