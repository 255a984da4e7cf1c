import dataclasses

import pytest

from tests.benchmarks import demo_limits, iso_limits, scan_limits
from tests.benchmarks.limits import (
    PROGRAMS,
    Measurement,
    compute_medians,
    evaluate_limits,
    format_table,
)

GOOD = dict(
    zip(
        PROGRAMS,
        (
            Measurement(wall_s=1.0, cpu_s=1.5, peak_mib=90.0),
            Measurement(wall_s=3.0, cpu_s=3.0, peak_mib=360.0),
            Measurement(wall_s=10.0, cpu_s=10.0, peak_mib=300.0),
            Measurement(wall_s=1.0, cpu_s=0.5, peak_mib=60.0),
        ),
        strict=True,
    )
)


def test_value_equal_to_limit_is_met() -> None:
    assert [x.is_met for x in evaluate_limits(GOOD)] == [True] * 4


@pytest.mark.parametrize(
    ("program", "measurement", "missed"),
    [
        (0, Measurement(wall_s=1.01, cpu_s=1.0, peak_mib=90.0), [0, 1]),
        (0, Measurement(wall_s=0.5, cpu_s=9.0, peak_mib=90.1), [2]),
        (1, Measurement(wall_s=2.9, cpu_s=9.0, peak_mib=360.0), [0]),
        (2, Measurement(wall_s=9.9, cpu_s=99.0, peak_mib=300.0), [1]),
        (3, Measurement(wall_s=1.01, cpu_s=0.1, peak_mib=60.0), [3]),
    ],
)
def test_value_over_limit_is_not_met(
    program: int, measurement: Measurement, missed: list[int]
) -> None:
    limits = evaluate_limits({**GOOD, PROGRAMS[program]: measurement})

    assert [n for n, x in enumerate(limits) if not x.is_met] == missed


def test_median_ignores_a_slow_run() -> None:
    quick = Measurement(wall_s=1.0, cpu_s=1.0, peak_mib=50.0)

    assert (
        compute_medians([quick, Measurement(wall_s=60.0, cpu_s=2.0, peak_mib=51.0), quick]) == quick
    )


def test_table_lists_every_program_and_limit() -> None:
    slow = {**GOOD, PROGRAMS[3]: Measurement(wall_s=1.5, cpu_s=0.5, peak_mib=60.0)}

    lines = format_table(slow, evaluate_limits(slow), rounds=5, size_bytes=38_000_000).splitlines()

    assert lines[0] == "ARF of 38.0 MB, medians of 5 alternating rounds"
    assert [line.split()[-1] for line in lines[-4:]] == ["PASS", "PASS", "PASS", "MISS"]
    starts = {name: sum(line.startswith(name) for line in lines) for name in PROGRAMS}
    assert len(starts) == 4
    assert [name for name, count in starts.items() if count == 0] == []


def test_scan_limits_are_relative_to_oscap_ssh() -> None:
    peer = scan_limits.ScanMeasurement(wall_s=100, moved_mib=60, peak_mib=600)
    within = scan_limits.ScanMeasurement(wall_s=35, moved_mib=2, peak_mib=300)
    beyond = scan_limits.ScanMeasurement(wall_s=36, moved_mib=2.1, peak_mib=301)

    for measurement, script_s, is_met in ((within, 15, True), (beyond, 16, False)):
        medians = {
            scan_limits.HARDPAN: measurement,
            scan_limits.HARDPAN_SCE: dataclasses.replace(measurement, wall_s=script_s),
            scan_limits.OSCAP_SSH: peer,
        }
        limits = scan_limits.evaluate_limits(medians)
        assert [x.is_met for x in limits] == [is_met] * 4


def test_scan_benchmark_reports_different_verdicts_and_undecided_rules() -> None:
    first, second = {"a": "pass", "b": "fail"}, {"a": "pass", "b": "pass", "c": "fail"}

    assert scan_limits.find_different([first, first]) == ()
    assert scan_limits.find_different([first, second]) == (
        "b: fail, pass",
        "c: missing, fail",
    )
    assert scan_limits.has_decided(first)
    assert not scan_limits.has_decided({"a": "pass", "b": "notchecked"})
    assert not scan_limits.has_decided({})


def test_demo_is_compared_by_cold_and_warm_medians() -> None:
    def run_of(wall_s: float) -> demo_limits.DemoRun:
        return demo_limits.DemoRun(wall_s=wall_s, stage_durations_s={"install": wall_s / 2})

    base = demo_limits.DemoRuns(cold=[run_of(100)], warm=[run_of(50)])
    current = demo_limits.DemoRuns(cold=[run_of(s) for s in (70, 10, 900)], warm=[run_of(31)])

    cold, warm = demo_limits.evaluate_limits(current, base)

    assert (cold.measured, cold.is_met) == (0.7, True)
    assert (warm.measured, warm.is_met) == (0.62, False)
    assert "install                         50.0        35.0        25.0        15.5" in (
        demo_limits.format_table(current, base, (cold, warm))
    )


def test_stage_durations_are_summed_without_reused_stages() -> None:
    lines = (
        '{"kind": "stage_ended", "stage": "media", "duration_s": 9.0, "reused": true}',
        '{"kind": "stage_started", "stage": "boot"}',
        '{"kind": "stage_ended", "stage": "boot", "duration_s": 2.0, "reused": false}',
        '{"kind": "stage_ended", "stage": "boot", "duration_s": 3.5, "reused": false}',
    )

    assert demo_limits.read_stage_durations(lines) == {"boot": 5.5}


ISO_COPY = Measurement(wall_s=10.0, cpu_s=5.0, peak_mib=10.0)


@pytest.mark.parametrize(
    ("wall_s", "peak_mib", "is_met"),
    [(13.0, 100.0, [True, True]), (13.1, 1.0, [False, True]), (1.0, 100.1, [True, False])],
)
def test_iso_limits(wall_s: float, peak_mib: float, is_met: list[bool]) -> None:
    hardpan = Measurement(wall_s=wall_s, cpu_s=4.0, peak_mib=peak_mib)
    measurements = {iso_limits.HARDPAN: hardpan, iso_limits.COPY: ISO_COPY}

    limits = iso_limits.evaluate_iso_limits(measurements)

    assert [x.is_met for x in limits] == is_met
    assert limits[0].measured_cpu == 0.8
    table = iso_limits.format_iso_table(measurements, rounds=3, size_bytes=2_000_000_000)
    assert table.count("MISS") == is_met.count(False)
