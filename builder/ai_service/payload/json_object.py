"""Reads the JSON of a request: one object of texts and numbers, nothing nested.

The general reader makes a Python object of each bracket, 24 bytes of memory or more for a byte
of the request, before anybody can see that the request is none of ours.
"""

import re
from collections.abc import Mapping
from json import JSONDecoder

MAX_MEMBERS = 8
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])")
_DECODER = JSONDecoder()
_LITERALS = {"true": True, "false": False, "null": None}

Scalar = str | int | bool | None


def parse_object(body: bytes) -> Mapping[str, Scalar]:
    """The members of the object.

    Raises:
        ValueError: it is no JSON, or another kind of it.
    """
    text = body.decode("utf-8")
    members: dict[str, Scalar] = {}
    offset = _require(text, _skip_whitespace(text, 0), "{")
    if text[offset : offset + 1] == "}":
        offset += 1
    else:
        while True:
            name, offset = _parse_string(text, offset)
            offset = _require(text, _skip_whitespace(text, offset), ":")
            if name in members or len(members) == MAX_MEMBERS:
                raise ValueError("the same name twice, or too many names")
            members[name], offset = _parse_scalar(text, offset)
            offset = _skip_whitespace(text, offset)
            if text[offset : offset + 1] != ",":
                break
            offset = _skip_whitespace(text, offset + 1)
        offset = _require(text, offset, "}", skip=False)
    if _skip_whitespace(text, offset) != len(text):
        raise ValueError("more than one object")
    return members


def min_text_bytes(body: bytes) -> int:
    """Bytes that the object's texts have at least; known before anything is decoded.

    A character is written in up to six bytes, and each that is longer begins with a backslash.
    """
    return len(body) - 5 * body.count(b"\\")


def _parse_scalar(text: str, offset: int) -> tuple[Scalar, int]:
    if text[offset : offset + 1] == '"':
        return _parse_string(text, offset)
    match = _SCALAR.match(text, offset)
    if match is None:
        raise ValueError("expected a text, a whole number, true, false or null")
    token = match[0]
    return (_LITERALS[token] if token in _LITERALS else int(token)), match.end()


def _parse_string(text: str, offset: int) -> tuple[str, int]:
    """The string that begins here, and the position behind it."""
    _require(text, offset, '"')
    value, end = _DECODER.raw_decode(text, offset)
    return str(value), end


def _skip_whitespace(text: str, offset: int) -> int:
    match = _WHITESPACE.match(text, offset)
    return match.end() if match else offset


def _require(text: str, offset: int, token: str, *, skip: bool = True) -> int:
    """The position behind ``mark``, and behind the space that follows it."""
    if text[offset : offset + 1] != token:
        raise ValueError(f"expected {token}")
    return _skip_whitespace(text, offset + 1) if skip else offset + 1
