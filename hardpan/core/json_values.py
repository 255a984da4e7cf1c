"""Values that canonical JSON (RFC 8785) represents in one way only, whichever program writes it."""

from collections.abc import Iterable


def validate_jcs_value(value: object) -> None:
    """Check that canonical JSON can represent ``value``; strings are not visited."""
    pending: list[object] = [value]
    checked_keys: set[object] = set()
    for item in pending:  # grows during the loop
        if isinstance(item, dict):
            if not checked_keys.issuperset(item):
                _validate_jcs_keys(item)
                checked_keys.update(item)
            pending += [x for x in item.values() if type(x) is not str]
        elif isinstance(item, list | tuple):
            pending += [x for x in item if type(x) is not str]
        else:
            _validate_jcs_scalar(item)


def has_plain_float_form(value: float) -> bool:
    """True if every JSON writer writes ``value`` alike: finite, a fraction, and no exponent."""
    text = repr(value)
    return "e" not in text and "n" not in text and not value.is_integer()


def _validate_jcs_keys(keys: Iterable[object]) -> None:
    for key in keys:
        if not isinstance(key, str) or not key.isascii():
            raise ValueError(f"not an ASCII key: {key!r}")


def _validate_jcs_scalar(value: object) -> None:
    if isinstance(value, bool | str | None):
        return
    if isinstance(value, int):
        if abs(value) > 2**53:
            raise ValueError(f"an integer beyond 2**53: {value}")
    elif isinstance(value, float):
        if not has_plain_float_form(value):
            raise ValueError(f"a float with no plain short form: {value!r}")
    else:
        raise ValueError(f"not JSON: {type(value).__name__}")
