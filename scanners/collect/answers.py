"""Readers of what a program on the target printed, which is taken for hostile.

Each gives the value in its type or raises ``TypeError`` or ``ValueError``; numbers are
finite and bounded, texts short and printable.
"""

import re
import statistics

from hardpan.scanners.trials import Measure

_MAX_SAMPLES = 10_000
_MAX_TEXT = 200
_MOST = 1e12


def exactly(value: object, names: tuple[str, ...]) -> dict[str, object]:
    """An object with these names and no others."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise TypeError(f"expected an object with {', '.join(names)}")
    return value


def refused(name: str) -> float:
    """For ``json.loads``: Infinity and NaN are no figures."""
    raise ValueError(f"{name} is no figure")


def text(value: object) -> str:
    """A short printable line."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise TypeError("expected a short line of text")
    return value


def digest(value: object) -> str:
    """A SHA-256 digest in hex."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise TypeError("expected a SHA-256 digest")
    return value


def samples(value: object) -> list[float]:
    """A list of numbers with at least one."""
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_SAMPLES:
        raise ValueError("expected a list of samples")
    return [number(x) for x in value]


def number(value: object, *, least: float = 0.0) -> float:
    """A finite number, ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("expected a number")
    if not least <= value <= _MOST:  # nor is nan, nor infinity
        raise ValueError("expected a finite number that can be")
    return float(value)


def whole(value: object, *, least: int = 0, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    if type(value) is not int or not least <= value <= most:
        raise TypeError(f"expected a whole number from {least} to {most}")
    return value


def measure(
    name: str, unit: str, direction: str, found: list[float], wrong: str, reason: str
) -> Measure:
    """A figure over its samples; an ``error`` where ``wrong`` says why it is not believed."""
    return Measure(
        name=name,
        unit=unit,
        direction=direction,
        value=round(statistics.median(found), 4),
        n=len(found),
        minimum=round(min(found), 4),
        maximum=round(max(found), 4),
        verdict="error" if wrong else "not_checked",
        reason=wrong or reason,
    )
