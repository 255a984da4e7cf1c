"""Sources of the passphrase or PIN of a key."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.files import read_limited
from hardpan.core.limits import MAX_SECRET_BYTES
from hardpan.core.secret_files import read_first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseSource:
    """Where the passphrase or PIN of a key comes from. The first that is set counts."""

    file: Path | None = None
    """Its first line, mode 0600."""

    env_name: str = ""
    """An environment variable, by name."""

    prompt: Callable[[str], str] | None = None
    """Asks a person, unseen, and remembers: a key signs more than once. None where
    nobody is there."""

    @property
    def is_configured(self) -> bool:
        """True when a person named a file or a variable."""
        return self.file is not None or bool(self.env_name)

    def read(self, label: str) -> bytes | None:
        """What opens ``what``; None where there is no source.

        Raises:
            InputError: the file or the variable cannot be used.
        """
        if self.file is not None:
            return read_first_line(self.file)
        if self.env_name:
            return self._read_variable()
        if self.prompt is not None:
            return _require_single_line(self.prompt(label).encode("utf-8"), label)
        return None

    def _read_variable(self) -> bytes:
        value = os.environ.get(self.env_name, "")
        if not value:
            raise InputError(
                f"environment variable {self.env_name}: expected a passphrase, got none"
            )
        return _require_single_line(os.fsencode(value), f"environment variable {self.env_name}")


def read_small_file(path: Path) -> bytes:
    """Return the bytes of a small file that is not secret, such as a public key.

    Raises:
        InputError: it cannot be read, or has more bytes than a key.
    """
    return read_limited(path, MAX_SECRET_BYTES, hint="this is not a key file")


def _require_single_line(secret: bytes, label: str) -> bytes:
    # One line goes to a program's stdin; a NUL would end it early there.
    if not secret or any(x in secret for x in (b"\0", b"\n", b"\r")):
        raise InputError(f"{label}: expected a passphrase of one line")
    return secret
