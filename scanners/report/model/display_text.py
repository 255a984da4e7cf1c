"""Make values of a target fit for display and for the documents."""

import re
from typing import cast, get_args

from hardpan.scanners.report.model.types import Severity

_HIDDEN_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufffe\uffff\U000e0000-\U000e007f]"
)


def replace_control_characters(text: str) -> str:
    """``text`` with every character that hides or moves other text shown as U+FFFD.

    Control characters, lone surrogates, bidirectional controls, zero-width characters and tags
    come from targets and content. They would falsify a terminal's output, fool a reader (two ids
    that look alike), or break XML. Line ends and tabs stay.
    """
    return _HIDDEN_CHARACTERS.sub("\ufffd", text)


def clean_values(values: dict[str, object]) -> dict[str, object]:
    """Return ``values`` with every text cleaned, also those in tuples."""
    return {k: _clean_value(v) for k, v in values.items()}


def _clean_value(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_clean_value(v) for v in value)
    return replace_control_characters(value) if isinstance(value, str) else value


def parse_severity(name: str) -> Severity:
    """Return a severity of the documents; ``unknown`` for any other text."""
    return cast(Severity, name) if name in get_args(Severity) else "unknown"
