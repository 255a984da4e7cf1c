"""Tokens, ``~`` and environment variables in the values of ssh_config.

Source: ssh_config(5), sections TOKENS and ENVIRONMENT VARIABLES.
"""

import hashlib
import os
import pwd
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError

_ENVIRONMENT_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TOKEN = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenValues:
    """Values of the tokens of ssh_config(5), "TOKENS"."""

    original_host: str
    """Host as typed (``%n``)."""

    host: str
    port: int
    user: str
    alias: str = ""
    jumps: str = ""

    def to_mapping(self) -> dict[str, str]:
        """Return token -> value."""
        account = pwd.getpwuid(os.getuid())
        local_host = socket.gethostname()
        digest = f"{local_host}{self.host}{self.port}{self.user}{self.jumps}".encode()
        return {
            "%": "%",
            "C": hashlib.sha1(digest, usedforsecurity=False).hexdigest(),
            "d": account.pw_dir,
            "h": self.host,
            "i": str(os.getuid()),
            "j": self.jumps,
            "k": self.alias or self.original_host,
            "L": local_host.partition(".")[0],
            "l": local_host,
            "n": self.original_host,
            "p": str(self.port),
            "r": self.user,
            "u": account.pw_name,
        }


class Expander:
    """Expands ``~``, tokens and environment variables.

    Unless ``is_strict``, what is unknown stays as it is; otherwise it is an ``InputError``.
    """

    def __init__(self, tokens: TokenValues, *, is_strict: bool = True) -> None:
        self._values = tokens.to_mapping()
        self._is_strict = is_strict

    def path(self, text: str) -> Path:
        """Return the path that ``text`` names."""
        return Path(self.environment(self.tokens(expand_home(text))))

    def tokens(self, text: str, *, later: str = "") -> str:
        """Replace the tokens; those in ``later`` stay as they are."""

        def replace(match: re.Match[str]) -> str:
            letter = match[1]
            if letter in self._values:
                return "%%" if later and letter == "%" else self._values[letter]
            if (later and letter in later) or not self._is_strict:
                return match[0]
            raise InputError(
                f"ssh config: {text!r}: unknown token {match[0]!r}",
                hint="ssh_config(5), section TOKENS, lists them",
            )

        return _TOKEN.sub(replace, text)

    def environment(self, text: str) -> str:
        """Replace ``${VARIABLE}``."""

        def replace(match: re.Match[str]) -> str:
            value = os.environ.get(match[1])
            if value is None and self._is_strict:
                raise InputError(f"ssh config: {text!r}: the variable {match[1]} is not set")
            return match[0] if value is None else value

        return _ENVIRONMENT_VARIABLE.sub(replace, text)


def expand_home(text: str) -> str:
    """Replace a leading ``~`` or ``~user`` with the folder in the password database.

    ssh does not use ``$HOME``.

    Raises:
        InputError: there is no such user.
    """
    if not text.startswith("~"):
        return text
    name, slash, remainder = text[1:].partition("/")
    try:
        account = pwd.getpwnam(name) if name else pwd.getpwuid(os.getuid())
    except KeyError as e:
        raise InputError(f"ssh config: {text!r}: no such user: {name}") from e
    return f"{account.pw_dir}{slash}{remainder}"
