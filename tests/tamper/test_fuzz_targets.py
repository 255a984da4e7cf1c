"""Each fuzz target checks some inputs here; ``make fuzz`` checks 10,000 for each."""

import time
from pathlib import Path

import pytest
from hypothesis import strategies as st

from hardpan.core.errors import TrustError
from tests.fuzz.registry import NAMES, load_target
from tests.fuzz.run import run_target
from tests.fuzz.target import FuzzTarget

INPUT_COUNT = 30


@pytest.mark.parametrize("name", NAMES)
def test_fuzz_target_has_no_finding(name: str, tmp_path: Path) -> None:
    report = run_target(load_target(name, tmp_path), INPUT_COUNT, 1)

    assert report.inputs == INPUT_COUNT
    assert report.target == name
    assert report.outcomes["refused"] > 0


def test_fuzz_run_counts_outcomes() -> None:
    def check(value: int) -> str:
        if value % 2:
            raise TrustError("refused")
        return "even"

    report = run_target(_target(check), 200, 1)

    assert set(report.outcomes) == {"refused", "even"}
    assert report.inputs == 200


def test_fuzz_run_reports_a_crash() -> None:
    def check(value: int) -> str:
        return str(1 // (value % 7))

    with pytest.raises(ZeroDivisionError):
        run_target(_target(check), 500, 1)


def test_fuzz_run_reports_an_input_that_takes_too_long() -> None:
    def check(value: int) -> str:
        if value > 100:
            time.sleep(5)
        return "small"

    with pytest.raises(AssertionError, match="takes longer than"):
        run_target(_target(check, max_input_s=0.02), 500, 1)


def _target(check: object, max_input_s: float = 10.0) -> FuzzTarget:
    assert callable(check)
    return FuzzTarget(name="toy", inputs=st.integers(0, 999), check=check, max_input_s=max_input_s)
