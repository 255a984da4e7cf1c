import pytest

from tests.bench.limits import PROGRAMS, Took, judged, medians, table

GOOD = dict(
    zip(
        PROGRAMS,
        (
            Took(wall_s=1.0, cpu_s=1.5, peak_mib=90.0),
            Took(wall_s=3.0, cpu_s=3.0, peak_mib=360.0),
            Took(wall_s=10.0, cpu_s=10.0, peak_mib=300.0),
            Took(wall_s=1.0, cpu_s=0.5, peak_mib=60.0),
        ),
        strict=True,
    )
)


def test_what_is_just_at_a_limit_holds() -> None:
    assert [x.holds for x in judged(GOOD)] == [True] * 4


@pytest.mark.parametrize(
    ("program", "took", "missed"),
    [
        (0, Took(wall_s=1.01, cpu_s=1.0, peak_mib=90.0), [0, 1]),
        (0, Took(wall_s=0.5, cpu_s=9.0, peak_mib=90.1), [2]),
        (1, Took(wall_s=2.9, cpu_s=9.0, peak_mib=360.0), [0]),
        (2, Took(wall_s=9.9, cpu_s=99.0, peak_mib=300.0), [1]),
        (3, Took(wall_s=1.01, cpu_s=0.1, peak_mib=60.0), [3]),
    ],
)
def test_what_is_over_a_limit_is_missed(program: int, took: Took, missed: list[int]) -> None:
    limits = judged({**GOOD, PROGRAMS[program]: took})

    assert [n for n, x in enumerate(limits) if not x.holds] == missed


def test_one_slow_run_changes_no_median() -> None:
    quick = Took(wall_s=1.0, cpu_s=1.0, peak_mib=50.0)

    assert medians([quick, Took(wall_s=60.0, cpu_s=2.0, peak_mib=51.0), quick]) == quick


def test_the_table_tells_each_program_and_each_verdict() -> None:
    slow = {**GOOD, PROGRAMS[3]: Took(wall_s=1.5, cpu_s=0.5, peak_mib=60.0)}

    lines = table(slow, judged(slow), rounds=5, bytes_=38_000_000).splitlines()

    assert lines[0] == "ARF of 38.0 MB, medians of 5 alternating rounds"
    assert [line.split()[-1] for line in lines[-4:]] == ["PASS", "PASS", "PASS", "MISS"]
    starts = {name: sum(line.startswith(name) for line in lines) for name in PROGRAMS}
    assert len(starts) == 4
    assert [name for name, count in starts.items() if count == 0] == []
