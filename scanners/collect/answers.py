"""Readers of what a program on the target printed, which is taken for hostile.

Each gives the value in its type or raises ``TypeError`` or ``ValueError``; numbers are
finite and bounded, texts short and printable.
"""

import json
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


def load(data: bytes) -> object:
    """The JSON value in ``data``.

    Raises:
        ValueError: it is no JSON in UTF-8, has a key twice, or holds Infinity or NaN.
        RecursionError: it is nested too deep.
    """
    return json.loads(data.decode("utf-8"), parse_constant=_no_figure, object_pairs_hook=_unique)


def _no_figure(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return value


def unread(e: Exception) -> str:
    """Why an answer cannot be read, as a short printable line."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(e)[:_MAX_TEXT])


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
