"""The filters every outside value passes on its way into a kickstart.

A kickstart has no escape that works in every command, and its scripts are run
by root. So a value with an odd character is refused, never quoted and hoped for.
"""

import re

from hardpan.core.errors import InputError

_WORD = re.compile(r"[A-Za-z0-9._:@+/][A-Za-z0-9._:@=+/^-]*", re.ASCII)
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9._:@=+/,-]*", re.ASCII)
_TEXT = re.compile(r"[A-Za-z0-9._:@+/](?:[A-Za-z0-9._:@=+/, -]*[A-Za-z0-9._:@=+/,-])?", re.ASCII)
_HASH = re.compile(
    r"\$(?:6|y)\$[A-Za-z0-9./=$]{20,200}|grub\.pbkdf2\.sha512\.[0-9]+\.[0-9A-Fa-f]+\.[0-9A-Fa-f]+",
    re.ASCII,
)


class KickstartError(InputError):
    """A value that cannot be put into a kickstart."""


def ks_word(value: object) -> str:
    """``value`` if it is one harmless kickstart word.

    Raises:
        KickstartError: it is empty, begins with ``-``, or holds a character
            outside of ``A-Z a-z 0-9 . _ : @ = + / ^ -``.
    """
    return _require_match(_WORD, value, "a kickstart word")


def ks_argument(value: object) -> str:
    """``value`` if it is one kernel argument, which may have commas.

    Raises:
        KickstartError: it is not.
    """
    return _require_match(_ARGUMENT, value, "a kernel argument")


def ks_text(value: object) -> str:
    """``value`` if it is safe between double quotes: words, blanks and commas.

    Raises:
        KickstartError: it holds anything else, a quote or a line break for one.
    """
    return _require_match(_TEXT, value, "plain kickstart text")


def ks_hash(value: object) -> str:
    """``value`` if it is a crypt or a GRUB hash; a password never is.

    Raises:
        KickstartError: it is not.
    """
    return _require_match(_HASH, value, "a password hash", show=False)


def require_single_line(value: object) -> object:
    """``value`` unless it breaks the line: the last guard, for every expression.

    Raises:
        KickstartError: its text has a line break or another control character.
    """
    if not str(value).isprintable():
        raise KickstartError(f"a line break or control character in a kickstart: {value!a}")
    return value


def _require_match(
    pattern: re.Pattern[str], value: object, description: str, *, show: bool = True
) -> str:
    text = str(value)
    if not pattern.fullmatch(text):
        actual = f"found {text!a}" if show else "found something else"
        raise KickstartError(f"expected {description}, {actual}")
    return text
