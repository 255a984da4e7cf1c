"""JSON and base64 read so that two readers cannot see two different things."""

import base64
import binascii
import json
import re

from hardpan.errors import TrustError

MAX_DEPTH = 24
"""Nesting of objects and lists that a statement or bundle may have."""

_MAX_INT = 2**53
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*={0,2}")


class MalformedError(TrustError):
    """Signed or signature-carrying bytes are not in the one form that is taken."""


def parse_json(data: bytes, *, what: str, max_bytes: int) -> object:
    """The value of one JSON text.

    Refused although many parsers take it: a duplicate key, ``NaN`` and
    ``Infinity``, an integer beyond 2**53, a lone surrogate, a byte order mark,
    bytes that are not UTF-8, deep nesting.

    Raises:
        MalformedError: any of those, too many bytes, or no JSON at all.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"{what}: expected at most {max_bytes} bytes, found {len(data)}")
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value: object = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_small_int,
        )
        if "\\u" in text:
            _no_surrogates(value)
    except (ValueError, RecursionError) as e:
        raise MalformedError(f"{what}: not strict JSON: {_brief(e)}") from e
    return value


def decode_base64(text: str, *, what: str) -> bytes:
    """The bytes of ``text`` in the standard or the URL-safe alphabet, never a mix.

    DSSE 1.0 wants both alphabets taken. ``b64decode(validate=True)`` lets unused
    trailing bits pass, so the result is encoded again and compared.

    Raises:
        MalformedError: another character, wrong padding, non-canonical bits.
    """
    if not (_STANDARD.fullmatch(text) or _URL_SAFE.fullmatch(text)):
        raise MalformedError(f"{what}: not base64 of one alphabet")
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    padded = bare + "=" * (-len(bare) % 4)
    if text.endswith("=") and len(text) != len(padded):
        raise MalformedError(f"{what}: base64 with wrong padding")
    try:
        data = base64.b64decode(padded, validate=True)
    except binascii.Error as e:
        raise MalformedError(f"{what}: not base64: {e}") from e
    if base64.b64encode(data).decode() != padded:
        raise MalformedError(f"{what}: base64 with bits that mean nothing")
    return data


def _check_depth(text: str) -> None:
    depth = 0
    for match in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _small_int(digits: str) -> int:
    if len(digits) > len(str(-_MAX_INT)) or abs(int(digits)) > _MAX_INT:
        raise ValueError("an integer beyond 2**53")
    return int(digits)


def _no_surrogates(value: object) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _no_surrogates(key)
            _no_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_surrogates(inner)


def _brief(e: Exception) -> str:
    if isinstance(e, UnicodeDecodeError):
        return f"byte {e.start} is not UTF-8"
    if isinstance(e, UnicodeEncodeError):
        return "a lone surrogate"
    return str(e)[:120]
