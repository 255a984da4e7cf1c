"""Template filters that check every value before it is written to a kickstart.

Kickstarts have no quoting that works in every command, and their scripts run as root. So a value
with an unsafe character is rejected, never quoted.
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
    """A value cannot be written to a kickstart safely."""


def ks_word(value: object) -> str:
    """Return ``value`` if it is a safe kickstart word.

    Raises:
        KickstartError: it is empty, begins with ``-``, or contains a character
            outside of ``A-Z a-z 0-9 . _ : @ = + / ^ -``.
    """
    return _require_match(_WORD, value, "a kickstart word")


def ks_argument(value: object) -> str:
    """Return ``value`` if it is a kernel argument, which may contain commas.

    Raises:
        KickstartError: it is not.
    """
    return _require_match(_ARGUMENT, value, "a kernel argument")


def ks_text(value: object) -> str:
    """Return ``value`` if it is safe between double quotes: words, blanks and commas.

    Raises:
        KickstartError: it contains anything else, e.g. a quote or a line break.
    """
    return _require_match(_TEXT, value, "plain kickstart text")


def ks_hash(value: object) -> str:
    """Return ``value`` if it is a crypt or GRUB hash, which a password never is.

    Raises:
        KickstartError: it is not.
    """
    return _require_match(_HASH, value, "a password hash", show=False)


def require_single_line(value: object) -> object:
    """Return ``value`` unless it contains a line break; applied to every expression.

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
        actual = f"got {text!a}" if show else "got something else"
        raise KickstartError(f"expected {description}, {actual}")
    return text
