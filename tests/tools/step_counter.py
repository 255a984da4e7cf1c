"""Counts the steps of a function: lines of the product that run, which no other work changes."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_PRODUCT = ("/hardpan/", "/scanners/")


def count_steps(work: Callable[[], object]) -> int:
    """How many lines of the product run while ``work`` does."""
    steps = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
        return count if any(p in frame.f_code.co_filename for p in _PRODUCT) else None

    previous_trace = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(previous_trace)
    return steps
