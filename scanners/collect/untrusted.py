"""Validation of values in JSON from a program on the target, which is hostile.

Each function returns the value in its type or raises ``TypeError`` or ``ValueError``; numbers are
finite and bounded, texts short and printable.
"""

import json
import re
import statistics

from hardpan.scanners.model.results import Measure

_MAX_SAMPLES = 10_000
_MAX_TEXT_CHARS = 200
_MAX_NUMBER = 1e12


def require_keys(value: object, names: tuple[str, ...]) -> dict[str, object]:
    """Return an object with exactly these keys."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise TypeError(f"expected an object with {', '.join(names)}")
    return value


def parse_json(data: bytes) -> object:
    """Parse the JSON value in ``data``.

    Raises:
        ValueError: it is not JSON in UTF-8, has a duplicate key, or contains Infinity or NaN.
        RecursionError: it is nested too deep.
    """
    return json.loads(
        data.decode("utf-8"),
        parse_constant=_reject_constant,
        object_pairs_hook=_require_unique_keys,
    )


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a valid number")


def _require_unique_keys(items: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(items)
    if len(value) != len(items):
        raise ValueError("duplicate key in an object")
    return value


def describe_error(e: Exception) -> str:
    """Return why an answer cannot be read, as a short printable line."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(e)[:_MAX_TEXT_CHARS])


def require_text(value: object) -> str:
    """Return a short printable line."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _MAX_TEXT_CHARS
        or not value.isprintable()
    ):
        raise TypeError("expected a short line of text")
    return value


def require_digest(value: object) -> str:
    """Return a SHA-256 digest in hex."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise TypeError("expected a SHA-256 digest")
    return value


def require_samples(value: object) -> list[float]:
    """Return a list of numbers with at least one."""
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_SAMPLES:
        raise ValueError("expected a list of samples")
    return [require_number(x) for x in value]


def require_number(value: object, *, min_value: float = 0.0) -> float:
    """Return a finite number of at least ``min_value``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("expected a number")
    if not min_value <= value <= _MAX_NUMBER:  # nor is nan, nor infinity
        raise ValueError("number out of range")
    return float(value)


def require_int(value: object, *, min_value: int = 0, max_value: int) -> int:
    """Return an integer from ``min_value`` to ``max_value``."""
    if type(value) is not int or not min_value <= value <= max_value:
        raise TypeError(f"expected an integer from {min_value} to {max_value}")
    return value


def build_measure(
    name: str, unit: str, direction: str, values: list[float], error: str, reason: str
) -> Measure:
    """Build a measure from samples; an ``error`` if ``error`` says why it is invalid."""
    return Measure(
        name=name,
        unit=unit,
        direction=direction,
        value=round(statistics.median(values), 4),
        n=len(values),
        minimum=round(min(values), 4),
        maximum=round(max(values), 4),
        verdict="error" if error else "not_checked",
        reason=error or reason,
    )
