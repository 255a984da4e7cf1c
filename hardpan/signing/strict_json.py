"""Strict JSON and base64, so that two readers cannot disagree on the content.

Every reader of unsigned bytes comes here, so the work is linear in their number and the memory is
bounded: before a value is built, its depth, the number of values and the size of the decoded text
are checked by byte operations that look at each byte a fixed number of times.
"""

import base64
import binascii
import json
import re
from typing import Final

from hardpan.core.errors import TrustError
from hardpan.core.json_values import has_plain_float_form

MAX_DEPTH: Final = 24
"""Nesting of objects and lists that a statement or bundle may have."""

MAX_VALUES: Final = 100_000
"""Values in one document. The findings of 480 rules have 17,000, of 1,500 rules with the longest
lists of all 76,000. The worst values (members of one object with distinct names) take 350 bytes
each, so that 12 MiB of JSON stay below 100 MB of memory."""

MAX_TEXT_BYTES: Final = 24 << 20
"""Memory of the decoded text where it is not ASCII alone: Python keeps all its characters in two
bytes, or in four where one of them is beyond the Basic Multilingual Plane."""

_MAX_INT = 2**53
_MAX_NUMBER_LENGTH = 40
"""Characters of a number with a fraction; the longest one that has a meaning has 25."""

_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_QUOTE, _COMMA = b'"', ord(",")
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{},'))
_CONTINUATION = bytes(range(0x80, 0xC0))
_NOT_FOUR_BYTES = bytes(range(0xF0))
"""All but the first bytes of characters beyond the Basic Multilingual Plane in UTF-8."""


class MalformedError(TrustError):
    """A signed document or signature is not in its canonical form."""


def parse_json(
    data: bytes,
    *,
    label: str,
    max_bytes: int,
    max_values: int = MAX_VALUES,
    max_text_bytes: int = MAX_TEXT_BYTES,
) -> object:
    """The value of one JSON text.

    Refused although many parsers take it: a duplicate key, ``NaN``, ``Infinity`` and numbers that
    become infinite, an integer beyond 2**53, ``-0``, a number whose canonical form (RFC 8785) is
    not plain digits, a lone surrogate, a byte order mark, bytes that are not UTF-8, deep nesting,
    more values than any evidence has.

    Raises:
        MalformedError: any of those, too many bytes, or no JSON at all.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"{label}: expected at most {max_bytes} bytes, got {len(data)}")
    try:
        check_structure(data, max_values=max_values)
        _check_text_size(data, max_text_bytes)
        text = data.decode("utf-8")
        value: object = json.loads(
            text,
            object_pairs_hook=_reject_duplicate_keys,
            parse_constant=_reject_constant,
            parse_int=_parse_small_int,
            parse_float=_parse_plain_float,
        )
        if "\\u" in text:
            _reject_surrogates(value)
    except (ValueError, RecursionError) as e:
        raise MalformedError(f"{label}: not strict JSON: {_describe_error(e)}") from e
    return value


def check_structure(data: bytes, *, max_values: int) -> None:
    """Pass if the JSON text ``data`` is nested at most ``MAX_DEPTH`` deep and has few values.

    Whether it is JSON is not checked: what a parser would build before it stops is bounded all the
    same. A regular expression for strings would be quadratic in escaped quotes where the string has
    no end, and the decoder has no limit of its own.

    Raises:
        ValueError: it is deeper, or has more than ``max_values`` values.
    """
    # Pairs of backslashes go first; one that is left before a quote escapes it.
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side: without them the same bytes are inside and outside of strings.
    marks = unescaped.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    values, depth, position = 1, 0, 0
    while position < len(marks):
        opening = marks.find(_QUOTE, position)
        for mark in marks[position : opening if opening >= 0 else len(marks)]:
            if mark in _CLOSING:
                depth -= 1
            else:
                values += 1
                depth += mark != _COMMA
            if not 0 <= depth <= MAX_DEPTH or values > max_values:
                raise ValueError(_describe_exceeded_limit(depth, max_values))
        if opening < 0:
            return
        closing = marks.find(_QUOTE, opening + 1)
        if closing < 0:
            return  # a string without an end: the decoder stops there
        values, position = values + 1, closing + 1


def _describe_exceeded_limit(depth: int, max_values: int) -> str:
    if depth < 0:
        return "a closing bracket without an opening one"
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH}"
    return f"more than {max_values} values"


def _check_text_size(data: bytes, max_text_bytes: int) -> None:
    if data.isascii() and b"\\u" not in data:
        return
    # A pair of escapes for surrogates becomes one such character, too.
    is_wide = b"\\ud" in data or b"\\uD" in data or data.translate(None, _NOT_FOUR_BYTES)
    size = (4 if is_wide else 2) * len(data.translate(None, _CONTINUATION))
    if size > max_text_bytes:
        raise ValueError(f"its characters take {size} bytes of memory, more than {max_text_bytes}")


def decode_base64(text: str, *, label: str) -> bytes:
    """The bytes of ``text`` in the standard or the URL-safe alphabet, never a mix.

    DSSE 1.0 wants both alphabets taken. ``b64decode(validate=True)`` lets unused
    trailing bits pass, so the last bytes are encoded again and compared.

    Raises:
        MalformedError: another character, wrong padding, non-canonical bits.
    """
    if not (_STANDARD.fullmatch(text) or _URL_SAFE.fullmatch(text)):
        raise MalformedError(f"{label}: not base64 of one alphabet")
    unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
    padded = unpadded + "=" * (-len(unpadded) % 4)
    if text.endswith("=") and len(text) != len(padded):
        raise MalformedError(f"{label}: base64 with wrong padding")
    try:
        data = base64.b64decode(padded, validate=True)
    except binascii.Error as e:
        raise MalformedError(f"{label}: not base64: {e}") from e
    last = data[-(len(data) % 3 or 3) :]
    if base64.b64encode(last).decode() != padded[-4:]:
        raise MalformedError(f"{label}: base64 with non-zero padding bits")
    return data


def _reject_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return members


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _parse_small_int(digits: str) -> int:
    if len(digits) > len(str(-_MAX_INT)) or abs(int(digits)) > _MAX_INT:
        raise ValueError("an integer beyond 2**53")
    if digits == "-0":
        raise ValueError("-0 is not a number in canonical JSON")
    return int(digits)


def _parse_plain_float(text: str) -> float:
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError(f"a number of more than {_MAX_NUMBER_LENGTH} characters")
    value = float(text)
    if not has_plain_float_form(value):
        raise ValueError(f"{text} is not a plain number in canonical JSON")
    return value


def _reject_surrogates(value: object) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _reject_surrogates(key)
            _reject_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            _reject_surrogates(inner)


def _describe_error(e: Exception) -> str:
    if isinstance(e, UnicodeDecodeError):
        return f"byte {e.start} is not UTF-8"
    if isinstance(e, UnicodeEncodeError):
        return "a lone surrogate"
    return str(e)[:120]
