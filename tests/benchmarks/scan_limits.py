"""Limits of a scan relative to oscap-ssh, and the comparison of verdicts. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.limits import LimitResult

HARDPAN, OSCAP_SSH = "hardpan scan", "oscap-ssh"
HARDPAN_SCE = "hardpan scan --engine sce"

MAX_TIME_RATIO = 0.35
MAX_SCRIPT_TIME_RATIO = 0.15
"""With ``--engine sce``."""

MAX_BYTES_RATIO = 1 / 30
MAX_MEMORY_RATIO = 1 / 2
MIN_DECIDED = 0.6
"""Share of rules that must pass or fail: else the benchmark measures nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanMeasurement:
    """One scan, or the medians of several."""

    wall_s: float
    moved_mib: float
    """Bytes of the SSH connections, both directions."""

    peak_mib: float
    """Peak resident memory of all processes of the target together."""


def compute_medians(runs: Sequence[ScanMeasurement]) -> ScanMeasurement:
    """Return the median of each figure."""
    return ScanMeasurement(
        wall_s=median(r.wall_s for r in runs),
        moved_mib=median(r.moved_mib for r in runs),
        peak_mib=median(r.peak_mib for r in runs),
    )


def evaluate_limits(medians: Mapping[str, ScanMeasurement]) -> tuple[LimitResult, ...]:
    """Evaluate the limits with the medians of all contestants."""
    hardpan, peer, script = medians[HARDPAN], medians[OSCAP_SSH], medians[HARDPAN_SCE]
    return tuple(
        LimitResult(name=name, measured=measured, maximum=maximum)
        for name, measured, maximum in (
            ("time", hardpan.wall_s / peer.wall_s, MAX_TIME_RATIO),
            ("time, --engine sce", script.wall_s / peer.wall_s, MAX_SCRIPT_TIME_RATIO),
            ("bytes", hardpan.moved_mib / peer.moved_mib, MAX_BYTES_RATIO),
            ("peak memory", hardpan.peak_mib / peer.peak_mib, MAX_MEMORY_RATIO),
        )
    )


def find_different(verdicts: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return a line for each rule that has another verdict in one of the scans."""
    rule_ids = sorted(set().union(*verdicts))
    lines = []
    for rule_id in rule_ids:
        alternatives = [v.get(rule_id, "missing") for v in verdicts]
        if len(set(alternatives)) > 1:
            lines.append(f"{rule_id}: {', '.join(alternatives)}")
    return tuple(lines)


def has_decided(verdicts: Mapping[str, str]) -> bool:
    """Return whether enough rules pass or fail."""
    counts = Counter(verdicts.values())
    return counts["pass"] + counts["fail"] >= MIN_DECIDED * len(verdicts) > 0


def format_table(
    medians: Mapping[str, ScanMeasurement],
    limits: Sequence[LimitResult],
    *,
    pairs: int,
    file_count: int,
) -> str:
    """Format measurements and limits as text."""
    lines = [f"{file_count} files, medians of {pairs} alternating rounds", ""]
    lines.append(f"{'':40}{'seconds':>9}{'MiB moved':>11}{'peak MiB':>10}")
    lines += [
        f"{name:40}{m.wall_s:>9.1f}{m.moved_mib:>11.2f}{m.peak_mib:>10.0f}"
        for name, m in medians.items()
    ]
    lines += ["", f"{'relative to oscap-ssh':40}{'measured':>9}{'at most':>11}"]
    lines += [
        f"{x.name:40}{x.measured:>9.3f}{x.maximum:>11.3f}  {'PASS' if x.is_met else 'MISS'}"
        for x in limits
    ]
    return "\n".join(lines)
