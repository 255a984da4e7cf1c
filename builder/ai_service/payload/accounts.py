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

DEFAULT_ROUNDS = 210_000
MAX_ROUNDS = 10_000_000
"""A hash with more is damaged or a mistake: it would take minutes."""

_SALT_BYTES, _HASH_BYTES = 16, 64
_KEY_BYTES = 32
MACHINE_KEY_NAME = "machine"
"""The name of the key that a machine makes for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A program's key, by its digest."""

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Logins and keys."""

    users: dict[str, str]
    """Name and hash of the password."""

    keys: dict[str, StoredKey]
    """By the SHA-256 of the key."""


def load_accounts(paths: Sequence[Path]) -> Accounts:
    """The accounts in these files; a file that is not there holds none.

    Raises:
        ValueError: a file is not of the form; KeyError, TypeError likewise.
    """
    users: dict[str, str] = {}
    keys: dict[str, StoredKey] = {}
    for path in paths:
        if not path.exists():
            continue
        data = json.loads(path.read_text("utf-8"))
        users |= {str(u["name"]): str(u["hash"]) for u in data["users"] if u["hash"]}
        for k in data["keys"]:
            keys[k["sha256"]] = StoredKey(name=k["name"], scopes=tuple(k["scopes"]))
    return Accounts(users, keys)


def hash_password(password: str, *, salt: bytes | None = None, rounds: int = DEFAULT_ROUNDS) -> str:
    """The hash to keep in place of a password: PBKDF2, which OpenSSL's FIPS provider has."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH_BYTES)
    return f"$pbkdf2-sha512${rounds}${_encode_base64(salt)}${_encode_base64(digest)}"


def count_rounds(stored: str) -> int:
    """PBKDF2 rounds that ``matches`` takes for this hash; 0 if it is none."""
    try:
        rounds, _, digest = _parse_hash(stored)
    except ValueError:
        return 0
    return rounds * -(-len(digest) // _HASH_BYTES)


def make_decoy_hash(rounds: int) -> str:
    """A hash of no password, to check an unknown name's against."""
    salt, digest = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES)
    return f"$pbkdf2-sha512${rounds}${_encode_base64(salt)}${_encode_base64(digest)}"


def spend_rounds(password: str, rounds: int) -> None:
    """Take the time of so many rounds."""
    hashlib.pbkdf2_hmac("sha512", password.encode(), bytes(_SALT_BYTES), rounds, _HASH_BYTES)


def verify_password(password: str, stored: str) -> bool:
    """Whether ``stored`` is a hash of ``password``; takes the time of its rounds."""
    try:
        rounds, salt, digest = _parse_hash(stored)
    except ValueError:
        return False
    computed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, len(digest))
    return hmac.compare_digest(computed, digest)


def fingerprint_hash(stored: str) -> str:
    """What a session remembers of the hash that it was opened with."""
    return hashlib.sha256(stored.encode()).hexdigest()


def digest_key(key: str) -> str:
    """What is kept in place of a key. It has 256 bits of chance, so a fast digest will do."""
    return hashlib.sha256(key.encode()).hexdigest()


def generate_secret() -> str:
    """A password or key of 256 bits that goes through any shell and any form."""
    return "hp_" + secrets.token_urlsafe(_KEY_BYTES)


def save_accounts(path: Path, accounts: Accounts, group: int) -> None:
    """Write accounts in one step; root and ``group`` alone can read them."""
    data = {
        "users": [{"name": n, "hash": h} for n, h in sorted(accounts.users.items())],
        "keys": [
            {"name": k.name, "sha256": digest, "scopes": list(k.scopes)}
            for digest, k in sorted(accounts.keys.items())
        ],
    }
    temp = path.with_name(f".{path.name}.new")
    temp.unlink(missing_ok=True)
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        os.fchown(file.fileno(), -1, group)
        os.fchmod(file.fileno(), 0o640)
        file.flush()
        os.fsync(file.fileno())
    temp.replace(path)


def _parse_hash(stored: str) -> tuple[int, bytes, bytes]:
    """Rounds, salt and digest of a hash.

    Raises:
        ValueError: it is not of the form that ``password_hash`` makes.
    """
    prefix, kind, rounds, salt, digest = stored.split("$")
    if prefix or kind != "pbkdf2-sha512" or not rounds.isascii() or not rounds.isdigit():
        raise ValueError("expected $pbkdf2-sha512$ROUNDS$SALT$HASH")
    parts = int(rounds[:12]), _decode_base64(salt), _decode_base64(digest)
    if not 1 <= parts[0] <= MAX_ROUNDS or not parts[2]:
        raise ValueError(f"expected 1 to {MAX_ROUNDS} rounds and a digest")
    return parts


def _encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def _decode_base64(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)
