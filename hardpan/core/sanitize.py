r"""Escape untrusted text, so that a terminal prints it and does nothing else.

Everything that hardpan prints or logs passes a function of this module (``hardpan.core.console``
calls them; nothing else prints). These characters are escaped:

- control characters (C0, DEL, C1), so that no escape sequence begins
- characters that change the direction of text (bidi)
- invisible characters: zero-width characters, variation selectors, tags, fillers
- line and paragraph separators, and blanks other than the space
- surrogates, which represent bytes that are not UTF-8
- code points that Unicode has not assigned

Letters of every script stay as they are.

An escape has Python's form: ``\x1b``, ``\u202e``, ``\U000e0041``. Backslashes are not doubled:
paths and patterns stay readable, and the escape alone cannot do harm.
"""

import re
from collections.abc import Callable

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Invisible characters that ``str.isprintable`` accepts."""


def sanitize_line(text: str) -> str:
    """Escape ``text`` for one line: a tab becomes a space, other unsafe characters an escape."""
    return _escape_unsafe(text, _python_escape)


def sanitize_lines(text: str) -> str:
    """Escape ``text`` of several lines; line ends and tabs are unchanged."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(sanitize_line, line.split("\t"))) for line in lines)


def sanitize_json(text: str) -> str:
    """Escape unsafe characters in a JSON document by JSON's escapes; its values are unchanged."""
    return "\n".join(_escape_unsafe(line, _json_escape) for line in text.split("\n"))


def _escape_unsafe(text: str, escape: Callable[[str], str]) -> str:
    if _is_safe(text):
        return text
    return "".join(c if _is_safe(c) else escape(c) for c in text)


def _is_safe(text: str) -> bool:
    return text.isprintable() and not _INVISIBLE.search(text)


def _python_escape(c: str) -> str:
    return " " if c == "\t" else c.encode("unicode_escape").decode("ascii")


def _json_escape(c: str) -> str:
    utf16_hex = c.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{utf16_hex[n : n + 4]}" for n in range(0, len(utf16_hex), 4))
