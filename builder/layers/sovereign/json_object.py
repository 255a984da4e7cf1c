"""Reads the JSON of a request: one object of texts and numbers, nothing nested.

The general reader makes a Python object of each bracket, 24 bytes of memory or more for a byte
of the request, before anybody can see that the request is none of ours.
"""

import re
from collections.abc import Mapping
from json import JSONDecoder

MAX_MEMBERS = 8
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])")
_DECODER = JSONDecoder()
_NAMED = {"true": True, "false": False, "null": None}

Scalar = str | int | bool | None


def read_object(body: bytes) -> Mapping[str, Scalar]:
    """The members of the object.

    Raises:
        ValueError: it is no JSON, or another kind of it.
    """
    text = body.decode("utf-8")
    members: dict[str, Scalar] = {}
    at = _require(text, _skip(text, 0), "{")
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            name, at = _string(text, at)
            at = _require(text, _skip(text, at), ":")
            if name in members or len(members) == MAX_MEMBERS:
                raise ValueError("the same name twice, or too many names")
            members[name], at = _scalar(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ",":
                break
            at = _skip(text, at + 1)
        at = _require(text, at, "}", skip=False)
    if _skip(text, at) != len(text):
        raise ValueError("more than one object")
    return members


def least_bytes(body: bytes) -> int:
    """Bytes that the object's texts have at least; known before anything is decoded.

    A character is written in up to six bytes, and each that is longer begins with a backslash.
    """
    return len(body) - 5 * body.count(b"\\")


def _scalar(text: str, at: int) -> tuple[Scalar, int]:
    if text[at : at + 1] == '"':
        return _string(text, at)
    found = _SCALAR.match(text, at)
    if found is None:
        raise ValueError("expected a text, a whole number, true, false or null")
    word = found[0]
    return (_NAMED[word] if word in _NAMED else int(word)), found.end()


def _string(text: str, at: int) -> tuple[str, int]:
    """The string that begins here, and the position behind it."""
    _require(text, at, '"')
    value, end = _DECODER.raw_decode(text, at)
    return str(value), end


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _require(text: str, at: int, mark: str, *, skip: bool = True) -> int:
    """The position behind ``mark``, and behind the space that follows it."""
    if text[at : at + 1] != mark:
        raise ValueError(f"expected {mark}")
    return _skip(text, at + 1) if skip else at + 1
