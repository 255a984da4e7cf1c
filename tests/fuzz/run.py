"""Run a fuzz target: each input must be refused or accepted rightly, in time, without a crash."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from hardpan.core.errors import HardpanError
from tests.fuzz.target import FuzzTarget


@dataclass(frozen=True, kw_only=True)
class FuzzReport:
    """What a run saw."""

    target: str
    outcomes: Counter[str]
    """Outcome -> number of inputs."""

    duration_s: float
    slowest_input_s: float

    @property
    def inputs(self) -> int:
        """Number of checked inputs."""
        return self.outcomes.total()

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {outcome}" for outcome, n in self.outcomes.most_common())
        return (
            f"{self.target}: {self.inputs} inputs in {self.duration_s:.0f} s: {counts}; no crash, "
            f"no wrong acceptance, slowest input {self.slowest_input_s:.2f} s"
        )


def run_target(target: FuzzTarget, count: int, first_seed: int) -> FuzzReport:
    """Check at least ``count`` inputs.

    Hypothesis gives no input twice in one run and stops where it knows no new one; then it starts
    again with the next seed.

    Raises:
        Exception: what the reader raised, with the smallest input that hypothesis found for it as
            a note; ``AssertionError`` for a wrong acceptance or an input that took too long.
    """
    outcomes: Counter[str] = Counter()
    slowest_s, start = 0.0, time.monotonic()
    number = first_seed
    while outcomes.total() < count:

        @seed(number)
        @settings(
            max_examples=count - outcomes.total(),
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(target.inputs)
        def check_input(value: Any) -> None:
            nonlocal slowest_s
            input_start = time.monotonic()
            with _time_limit(target.max_input_s):
                try:
                    outcome = target.check(value)
                except HardpanError:
                    outcome = "refused"
            slowest_s = max(slowest_s, time.monotonic() - input_start)
            outcomes[outcome] += 1

        check_input()
        number += 1
    return FuzzReport(
        target=target.name,
        outcomes=outcomes,
        duration_s=time.monotonic() - start,
        slowest_input_s=slowest_s,
    )


@contextmanager
def _time_limit(limit_s: float) -> Iterator[None]:
    """Raise ``AssertionError`` in the block when it takes longer than ``limit_s`` seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"the input takes longer than {limit_s} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
