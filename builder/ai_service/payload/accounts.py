"""Accounts: password hashes and digests of API keys; secrets are never stored.

Two files of the same format: one from the image, one created on this machine.
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
"""Limit of accepted hashes: more rounds would take minutes."""

_SALT_BYTES, _HASH_BYTES = 16, 64
_KEY_BYTES = 32
MACHINE_KEY_NAME = "machine"
"""Name of the API key that each machine creates for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """An API key, stored by its digest."""

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users and API keys."""

    users: dict[str, str]
    """User name -> password hash."""

    keys: dict[str, StoredKey]
    """SHA-256 of the key -> key."""


def load_accounts(paths: Sequence[Path]) -> Accounts:
    """Load the accounts of these files; a missing file has none.

    Raises:
        ValueError, KeyError, TypeError: a file is malformed.
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
    """Hash a password with PBKDF2, which OpenSSL's FIPS provider supports."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH_BYTES)
    return f"$pbkdf2-sha512${rounds}${_encode_base64(salt)}${_encode_base64(digest)}"


def count_rounds(stored: str) -> int:
    """Return the PBKDF2 rounds needed to verify this hash; 0 if it is malformed."""
    try:
        rounds, _, digest = _parse_hash(stored)
    except ValueError:
        return 0
    return rounds * -(-len(digest) // _HASH_BYTES)


def make_decoy_hash(rounds: int) -> str:
    """Return a hash of no password, to verify logins of unknown users against."""
    salt, digest = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES)
    return f"$pbkdf2-sha512${rounds}${_encode_base64(salt)}${_encode_base64(digest)}"


def spend_rounds(password: str, rounds: int) -> None:
    """Compute this many rounds and discard the result, for constant time."""
    hashlib.pbkdf2_hmac("sha512", password.encode(), bytes(_SALT_BYTES), rounds, _HASH_BYTES)


def verify_password(password: str, stored: str) -> bool:
    """Whether ``stored`` is a hash of ``password``; takes as long as its rounds."""
    try:
        rounds, salt, digest = _parse_hash(stored)
    except ValueError:
        return False
    computed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, len(digest))
    return hmac.compare_digest(computed, digest)


def fingerprint_hash(stored: str) -> str:
    """Return the fingerprint by which a session recognizes its password hash."""
    return hashlib.sha256(stored.encode()).hexdigest()


def digest_key(key: str) -> str:
    """Return the stored digest of a key; with 256 random bits, a fast digest suffices."""
    return hashlib.sha256(key.encode()).hexdigest()


def generate_secret() -> str:
    """Generate a password or key of 256 bits without special characters."""
    return "hp_" + secrets.token_urlsafe(_KEY_BYTES)


def save_accounts(path: Path, accounts: Accounts, group: int) -> None:
    """Write accounts atomically, readable by root and ``group`` only."""
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
    """Return rounds, salt and digest of a hash.

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
