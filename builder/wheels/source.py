"""A Python source as a syntax tree: parsed, never compiled and never run."""

import ast
import re
import warnings

from hardpan.builder.wheels.model import BrokenError

_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "ascii": "ascii",
    "us-ascii": "ascii",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "cp1252": "cp1252",
}
"""Python would take any codec that a source names, and some are slow or do more than decode."""


def parse(data: bytes) -> ast.Module:
    """The syntax tree of a source.

    Raises:
        BrokenError: it is no Python of the version that runs hardpan, nests too deep, or is written
            in an encoding that is not read.
    """
    text = _decoded(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as e:
        raise BrokenError(f"line {e.lineno or 0}: not Python: {e.msg}") from e
    except (RecursionError, MemoryError) as e:
        raise BrokenError("nests too deep to be read") from e
    except (ValueError, OverflowError) as e:
        raise BrokenError(f"not Python: {str(e)[:100]}") from e


def _decoded(data: bytes) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    encoding = "utf-8"
    for line in data.split(b"\n", 2)[:2]:
        found = _COOKIE.match(line)
        if found:
            named = found[1].decode("ascii", "replace").lower().replace("_", "-")
            encoding = _ENCODINGS.get(named.removesuffix("-unix"), "")
            if not encoding:
                raise BrokenError(f"written in {named[:40]!a}, which is not read")
            break
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as e:
        raise BrokenError(f"byte {e.start}: not {encoding}") from e
