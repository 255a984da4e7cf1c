"""Measure a reader's work on an input: executed lines of Python, and memory.

Time is no reliable measure on a busy machine. A quadratic reader runs four times as many lines on
twice the input, on every machine.
"""

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_lines_run(read: Callable[[], object], *, max_lines: int) -> int:
    """How many lines of Python ``read`` runs, in all functions it calls.

    Raises:
        AssertionError: more than ``at_most``; it is stopped there.
    """
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        if count > max_lines:
            raise AssertionError(f"more than {max_lines} lines were run")
        return trace

    previous_trace = sys.gettrace()
    sys.settrace(trace)
    try:
        read()
    finally:
        sys.settrace(previous_trace)
    return count


def measure_peak_bytes(read: Callable[[], object]) -> int:
    """The most memory that ``read`` holds at one time beyond what there was before it."""
    tracemalloc.start()
    try:
        baseline = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        read()
        return tracemalloc.get_traced_memory()[1] - baseline
    finally:
        tracemalloc.stop()
