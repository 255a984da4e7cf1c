"""Parse the JSON of a request: one flat object of strings and integers.

``json.loads`` creates a Python object for each bracket, 24 bytes of memory or more per byte of the
request, before its structure can be checked.
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
    """Return the members of the object.

    Raises:
        ValueError: malformed JSON, or not one flat object.
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
    """Return a lower bound of the decoded size of the object's strings.

    An escaped character takes up to six bytes and begins with a backslash.
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
    """Return the string at ``offset`` and the offset after it."""
    _require(text, offset, '"')
    value, end = _DECODER.raw_decode(text, offset)
    return str(value), end


def _skip_whitespace(text: str, offset: int) -> int:
    match = _WHITESPACE.match(text, offset)
    return match.end() if match else offset


def _require(text: str, offset: int, token: str, *, skip: bool = True) -> int:
    """Return the offset after ``token`` and the white space that follows it."""
    if text[offset : offset + 1] != token:
        raise ValueError(f"expected {token}")
    return _skip_whitespace(text, offset + 1) if skip else offset + 1
