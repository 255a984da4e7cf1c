"""Who may in: slow hashes of passwords, digests of keys. No secret itself is kept.

Two files of one form: what the image was built with, and what this machine made.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 210_000
MAX_ROUNDS = 10_000_000
"""A hash with more is damaged or a mistake: it would take minutes."""

_SALT, _HASH = 16, 64
_KEY_BYTES = 32
MACHINE = "machine"
"""The name of the key that a machine makes for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A program's key, by its digest."""

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Logins and keys."""

    users: dict[str, str]
    """Name and hash of the password."""

    keys: dict[str, Key]
    """By the SHA-256 of the key."""


def read(paths: Sequence[Path]) -> Accounts:
    """The accounts in these files; a file that is not there holds none.

    Raises:
        ValueError: a file is not of the form; KeyError, TypeError likewise.
    """
    users: dict[str, str] = {}
    keys: dict[str, Key] = {}
    for path in paths:
        if not path.exists():
            continue
        held = json.loads(path.read_text("utf-8"))
        users |= {str(u["name"]): str(u["hash"]) for u in held["users"] if u["hash"]}
        for k in held["keys"]:
            keys[k["sha256"]] = Key(name=k["name"], scopes=tuple(k["scopes"]))
    return Accounts(users, keys)


def password_hash(password: str, *, salt: bytes | None = None, rounds: int = ROUNDS) -> str:
    """The hash to keep in place of a password: PBKDF2, which OpenSSL's FIPS provider has."""
    salt = secrets.token_bytes(_SALT) if salt is None else salt
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH)
    return f"$pbkdf2-sha512${rounds}${_packed(salt)}${_packed(made)}"


def cost(stored: str) -> int:
    """PBKDF2 rounds that ``matches`` takes for this hash; 0 if it is none."""
    try:
        rounds, _, digest = _parts(stored)
    except ValueError:
        return 0
    return rounds * -(-len(digest) // _HASH)


def decoy(rounds: int) -> str:
    """A hash of no password, to check an unknown name's against."""
    salt, digest = secrets.token_bytes(_SALT), secrets.token_bytes(_HASH)
    return f"$pbkdf2-sha512${rounds}${_packed(salt)}${_packed(digest)}"


def spend(password: str, rounds: int) -> None:
    """Take the time of so many rounds."""
    hashlib.pbkdf2_hmac("sha512", password.encode(), bytes(_SALT), rounds, _HASH)


def matches(password: str, stored: str) -> bool:
    """Whether ``stored`` is a hash of ``password``; takes the time of its rounds."""
    try:
        rounds, salt, digest = _parts(stored)
    except ValueError:
        return False
    computed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, len(digest))
    return hmac.compare_digest(computed, digest)


def fingerprint(stored: str) -> str:
    """What a session remembers of the hash that it was opened with."""
    return hashlib.sha256(stored.encode()).hexdigest()


def key_digest(key: str) -> str:
    """What is kept in place of a key. It has 256 bits of chance, so a fast digest will do."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_secret() -> str:
    """A password or key of 256 bits that goes through any shell and any form."""
    return "hp_" + secrets.token_urlsafe(_KEY_BYTES)


def write(path: Path, accounts: Accounts, group: int) -> None:
    """Write accounts in one step; root and ``group`` alone can read them."""
    held = {
        "users": [{"name": n, "hash": h} for n, h in sorted(accounts.users.items())],
        "keys": [
            {"name": k.name, "sha256": digest, "scopes": list(k.scopes)}
            for digest, k in sorted(accounts.keys.items())
        ],
    }
    temp = path.with_name(f".{path.name}.new")
    temp.unlink(missing_ok=True)
    made = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(made, "w", encoding="utf-8") as to:
        json.dump(held, to, indent=1)
        os.fchown(to.fileno(), -1, group)
        os.fchmod(to.fileno(), 0o640)
        to.flush()
        os.fsync(to.fileno())
    temp.replace(path)


def _parts(stored: str) -> tuple[int, bytes, bytes]:
    """Rounds, salt and digest of a hash.

    Raises:
        ValueError: it is not of the form that ``password_hash`` makes.
    """
    nothing, kind, rounds, salt, digest = stored.split("$")
    if nothing or kind != "pbkdf2-sha512" or not rounds.isascii() or not rounds.isdigit():
        raise ValueError("expected $pbkdf2-sha512$ROUNDS$SALT$HASH")
    parts = int(rounds[:12]), _unpacked(salt), _unpacked(digest)
    if not 1 <= parts[0] <= MAX_ROUNDS or not parts[2]:
        raise ValueError(f"expected 1 to {MAX_ROUNDS} rounds and a digest")
    return parts


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def _unpacked(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)
