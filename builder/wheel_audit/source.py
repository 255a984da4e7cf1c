"""A Python source as a syntax tree: decoded as Python decodes it, parsed, never compiled or run.

A source may name its encoding (PEP 263), and some encodings write a word in bytes that look like
another: ``# coding: utf-7`` or ``unicode_escape``. Identifiers are compared in their NFKC form, so
that ``hashlib`` in full-width letters is ``hashlib``. So nothing is concluded from the bytes of a
source that is not plain ASCII, or whose encoding is not one that leaves ASCII as it is.
"""

import ast
import codecs
import re
import unicodedata
import warnings

from hardpan.builder.wheel_audit.model import MalformedWheelError

_BOM = codecs.BOM_UTF8
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_UTF8 = re.compile(r"utf-8(?:-.*)?", re.DOTALL)
_LATIN1 = re.compile(r"(?:latin-1|iso-8859-1|iso-latin-1)(?:-.*)?", re.DOTALL)


def _codec_names(*encodings: str) -> frozenset[str]:
    return frozenset(codecs.lookup(encoding).name for encoding in encodings)


ASCII_BASED = _codec_names(
    *("ascii", "utf-8"),
    *(f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *(f"cp{n}" for n in (437, 850, 866, *range(1250, 1259))),
    *("koi8-r", "koi8-u", "mac-roman"),
    *("big5", "cp932", "cp949", "cp950", "euc-jp", "euc-kr", "gb18030", "gb2312", "gbk"),
    "shift-jis",
)
"""Encodings in which single bytes below 128 are ASCII; a test checks this."""

OTHER_ENCODINGS = _codec_names("utf-7", "unicode-escape", "raw-unicode-escape")
"""Encodings in which other bytes can represent ASCII; such a source is always parsed.

Python would take any codec that a source names, also those that a package registers, and some are
slow: an encoding in neither list is not read.
"""

_IMPORTS = ("hashlib", "__import__", "import_module")
"""A source without any of these words loads no hashlib; an identifier cannot be cut in two."""


def may_load_hashlib(data: bytes) -> bool:
    """Whether a source has to be parsed to know which digests it asks for.

    Raises:
        BrokenError: it is written in an encoding that is not read, or not in the one it names.
    """
    encodings = _find_encodings(data)
    if b"\0" in data or not encodings <= ASCII_BASED:
        return True
    if data.isascii():
        return any(keyword.encode() in data for keyword in _IMPORTS)
    texts = [_decode(data.removeprefix(_BOM), encoding) for encoding in encodings]
    return any(keyword in text for text in texts for keyword in _IMPORTS)


def parse_source(data: bytes) -> ast.Module:
    """The syntax tree of a source.

    Raises:
        BrokenError: it is no Python of the version that runs hardpan, nests too deep, or is written
            in an encoding that is not read.
    """
    _find_encodings(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except SyntaxError as e:
        raise MalformedWheelError(f"line {e.lineno or 0}: not Python: {e.msg}") from e
    except (RecursionError, MemoryError) as e:
        raise MalformedWheelError("nests too deep to be read") from e
    except (LookupError, OverflowError, SystemError, ValueError) as e:
        raise MalformedWheelError(f"not Python: {str(e)[:100]}") from e


def _find_encodings(data: bytes) -> frozenset[str]:
    """What the first two lines may name; UTF-8 where they name nothing.

    Python's own rules differ a little between its readers (line ends, what may come before a
    comment on the second line), so that there may be more than one.
    """
    body = data.removeprefix(_BOM)
    head = body[: _second_line_end(body)]
    lines = {*_LINE_END.split(head)[:2], *head.split(b"\n")[:2]}
    cookies = [m[1] for line in lines if (m := _COOKIE.match(line))]
    return frozenset(_normalize_encoding(name.decode("ascii")) for name in cookies) or frozenset(
        {"utf-8"}
    )


def _second_line_end(body: bytes) -> int:
    first = body.find(b"\n")
    second = body.find(b"\n", first + 1) if first >= 0 else -1
    return second if second >= 0 else len(body)


def _normalize_encoding(declared: str) -> str:
    plain = declared.lower().replace("_", "-")
    if _UTF8.fullmatch(plain):
        return "utf-8"
    if _LATIN1.fullmatch(plain):
        return codecs.lookup("latin-1").name
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        name = ""
    if name not in ASCII_BASED | OTHER_ENCODINGS:
        raise MalformedWheelError(f"written in {plain[:40]!a}, which is not read")
    return name


def _decode(data: bytes, encoding: str) -> str:
    try:
        return unicodedata.normalize("NFKC", data.decode(encoding))
    except UnicodeDecodeError as e:
        raise MalformedWheelError(f"byte {e.start}: not {encoding}") from e
