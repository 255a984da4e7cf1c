"""Takes out of a text what looks like a secret, before it goes into a log or a message.

The second line of defence: ``hardpan.process`` gets the secrets of its callers by value and takes
them out of an argv itself. This finds what nobody named: in an exception's message, in the options
that a person typed, in the output of a program.
"""

import re
from collections.abc import Iterable

REDACTED = "[redacted]"

_NAME = r"[\w-]{0,40}(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|pin(?:-value)?)"
_VALUE = r"[^\s'\"&;,]+"
_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), kept)
    for pattern, kept in (
        (r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{1,40}-----|\Z)", ""),
        # The password of scheme://user:password@host.
        (r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{0,256}:)[^\s/@'\"]{1,256}(?=@)", r"\1"),
        (r"\b((?:Bearer|Basic) )[a-z0-9+/=._~-]{8,}", r"\1"),
        (rf"(--{_NAME} ){_VALUE}", r"\1"),
        (rf"((?<![\w-]){_NAME}['\"]?\s?[=:]\s?['\"]?){_VALUE}", r"\1"),
        (r"\b(pass:)(?=\S)[^\s'\"]+", r"\1"),  # openssl's -passin
        # crypt(5), and the hash that 'hardpan password' prints.
        (r"\$(?:[1256]|2[aby]|y|gy|7|pbkdf2-sha512)\$[\w./$,=+-]{8,}", ""),
        # Keys that a machine makes for itself, and tokens of GitHub.
        (r"\b(?:hp_[\w-]{40,}|gh[pousr]_\w{20,})", ""),
    )
)


def redact(text: str) -> str:
    """``text`` with ``[redacted]`` in place of what looks like a secret."""
    for pattern, kept in _RULES:
        text = pattern.sub(kept + REDACTED, text)
    return text


def redact_argv(argv: Iterable[str]) -> tuple[str, ...]:
    """The same for each argument, and for the one after an option such as ``--pin``."""
    shown: list[str] = []
    is_value = False
    for argument in argv:
        shown.append(REDACTED if is_value else redact(argument))
        is_value = _OPTION.fullmatch(argument) is not None
    return tuple(shown)
