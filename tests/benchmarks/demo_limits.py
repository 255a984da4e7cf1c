"""Limits of the demo's duration relative to an earlier commit, and its durations. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.limits import LimitResult

MAX_COLD_RATIO = 0.7
"""With empty caches."""

MAX_WARM_RATIO = 0.6
"""Media and base install cached, outputs removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """One run of the demo."""

    wall_s: float
    stage_durations_s: Mapping[str, float]
    """Stage -> seconds; a stage that runs twice has the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRuns:
    """All runs of one commit."""

    cold: list[DemoRun]
    warm: list[DemoRun]


def read_stage_durations(log_lines: Iterable[str]) -> dict[str, float]:
    """Sum the durations of each stage in the lines of ``--log-file``."""
    durations: dict[str, float] = {}
    for line in log_lines:
        record = json.loads(line)
        if record["kind"] == "stage_ended" and not record["reused"]:
            stage = record["stage"]
            durations[stage] = durations.get(stage, 0.0) + record["duration_s"]
    return durations


def evaluate_limits(current: DemoRuns, base: DemoRuns) -> tuple[LimitResult, ...]:
    """Evaluate both limits with the medians of all runs."""
    return tuple(
        LimitResult(name=name, measured=_median_s(runs) / _median_s(base_runs), maximum=maximum)
        for name, runs, base_runs, maximum in (
            ("cold", current.cold, base.cold, MAX_COLD_RATIO),
            ("warm", current.warm, base.warm, MAX_WARM_RATIO),
        )
    )


def format_table(current: DemoRuns, base: DemoRuns, limits: Sequence[LimitResult]) -> str:
    """Format durations in seconds, and limits, as text."""
    columns = (base.cold, current.cold, base.warm, current.warm)
    stages = dict.fromkeys(
        stage for runs in columns for run in runs for stage in run.stage_durations_s
    )
    header = ("cold, base", "cold", "warm, base", "warm")
    lines = [f"{'seconds':24}" + "".join(f"{name:>12}" for name in header)]
    for stage in stages:
        cells = (median(r.stage_durations_s.get(stage, 0.0) for r in runs) for runs in columns)
        lines.append(f"{stage:24}" + "".join(f"{s:>12.1f}" for s in cells))
    lines.append(f"{'the whole run':24}" + "".join(f"{_median_s(r):>12.1f}" for r in columns))
    lines += ["", f"{'relative to the base':24}{'measured':>12}{'at most':>12}"]
    lines += [
        f"{x.name:24}{x.measured:>12.3f}{x.maximum:>12.3f}  {'PASS' if x.is_met else 'MISS'}"
        for x in limits
    ]
    return "\n".join(lines)


def _median_s(runs: Sequence[DemoRun]) -> float:
    return median(run.wall_s for run in runs)
