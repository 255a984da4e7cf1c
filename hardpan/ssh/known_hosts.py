"""Host keys in OpenSSH's known_hosts files. Text only; no SSH library.

Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". A line that OpenSSH does not understand is skipped,
as OpenSSH does; paramiko's reader raises an exception for it (paramiko issues 1156 and 1990).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.files import read_limited
from hardpan.ssh.public_key_blob import (
    decode_base64,
    is_certificate_type,
    is_valid_public_key,
    key_type_of,
)

_MAX_BYTES = 16 << 20
"""A file with 40,000 hosts needs half of it."""

_AUTHORITY = "@cert-authority"
_REVOKED = "@revoked"
_MARKERS = ("", _AUTHORITY, _REVOKED)
_HASHED = "|1|"
_SALT_BYTES = 20
_MAX_PATTERN_CHARS = 1022
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A public key of one line; whether it can be used is not checked."""

    kind: str
    """Type of the key, e.g. ``ssh-ed25519``."""

    blob: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedHostKeys:
    """The keys that known_hosts has for a host."""

    listed: tuple[ListedKey, ...] = ()
    """Keys of the lines that name the host, in file order."""

    authorities: tuple[ListedKey, ...] = ()
    """Keys of the authorities (``@cert-authority``) whose certificates the host may have."""

    revoked: frozenset[bytes] = frozenset()
    """Keys of hosts and of authorities that a line for this host revokes."""

    def merge(self, other: "ListedHostKeys") -> "ListedHostKeys":
        """Return the keys of both."""
        return ListedHostKeys(
            listed=(*self.listed, *other.listed),
            authorities=(*self.authorities, *other.authorities),
            revoked=self.revoked | other.revoked,
        )


def format_host(host: str, port: int) -> str:
    """The name of a host in known_hosts: ``[host]:port`` if the port is not 22."""
    return host if port == 22 else f"[{host}]:{port}"


def read_known_hosts(path: Path, name: str) -> ListedHostKeys:
    """Return the keys of the host ``name`` (see ``format_host``) in one file.

    Raises:
        InputError: the file cannot be read, or is too large.
    """
    # Comments may be in any encoding; the other fields are ASCII.
    return select_host_keys(read_limited(path, _MAX_BYTES).decode("latin-1").split("\n"), name)


def select_host_keys(lines: Sequence[str], name: str) -> ListedHostKeys:
    """The keys of the host ``name`` in ``lines``."""
    keys: dict[str, list[ListedKey]] = {marker: [] for marker in _MARKERS}
    for line in lines:
        marker, names, key_text = _split_line(line)
        if names and matches_host(names, name):
            key = _parse_key(key_text)
            if key is not None:
                keys[marker].append(key)
    return ListedHostKeys(
        listed=tuple(keys[""]),
        authorities=tuple(keys[_AUTHORITY]),
        revoked=frozenset(key.blob for key in keys[_REVOKED]),
    )


def _split_line(line: str) -> tuple[str, str, str]:
    """Return the marker, the names and the key of a line; no names if it has to be skipped."""
    # OpenSSH reads a line as a C string.
    text = line.partition("\0")[0].lstrip(_BLANKS)
    marker = ""
    if text.startswith("#"):
        return "", "", ""
    if text.startswith("@"):
        # OpenSSH ends a marker at a space, and at a tab only in a line without spaces.
        marker, _, text = text.partition(" " if " " in text else "\t")
        text = text.lstrip(_BLANKS)
        if marker not in _MARKERS or text.startswith("@"):
            return "", "", ""
    end = next((i for i, c in enumerate(text) if c in _BLANKS), len(text))
    return marker, text[:end], text[end:].lstrip(_BLANKS)


def _parse_key(text: str) -> ListedKey | None:
    fields = text.replace("\t", " ").split(" ", 1)
    if len(fields) < 2:
        return None
    encoded = fields[1].lstrip(" ").split(" ", 1)[0]
    blob = decode_base64(encoded)
    if is_certificate_type(fields[0]):
        return ListedKey(fields[0], blob) if key_type_of(blob) == fields[0] else None
    return ListedKey(key_type_of(blob), blob) if is_valid_public_key(fields[0], blob) else None


def matches_host(names: str, name: str) -> bool:
    """Whether the first field of a line names the host: patterns, negations or a hash."""
    if names.startswith("|"):
        return _matches_hash(names, name)
    lower_name = name.lower()
    is_match = False
    for entry in names.lower().split(","):
        is_negated = entry.startswith("!")
        pattern = entry[1:] if is_negated else entry
        if len(pattern) > _MAX_PATTERN_CHARS:
            return False
        if matches_pattern(lower_name, pattern):
            if is_negated:
                return False
            is_match = True
    return is_match


def matches_pattern(text: str, pattern: str) -> bool:
    """Match ``*`` and ``?``, in time proportional to the product of the lengths at most."""
    position, index = 0, 0
    star, restart = -1, 0
    while position < len(text):
        if index < len(pattern) and pattern[index] == "*":
            star, restart = index, position
            index += 1
        elif index < len(pattern) and pattern[index] in ("?", text[position]):
            position, index = position + 1, index + 1
        elif star >= 0:
            restart += 1
            position, index = restart, star + 1
        else:
            return False
    return not pattern[index:].strip("*")


def _matches_hash(hashed: str, name: str) -> bool:
    salt_text, _, _ = hashed.removeprefix(_HASHED).partition("|")
    salt = decode_base64(salt_text)
    if not hashed.startswith(_HASHED) or len(salt) != _SALT_BYTES:
        return False
    # HMAC-SHA1 is what ssh_config(5) HashKnownHosts defines.
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    computed = f"{_HASHED}{_encode(salt)}|{_encode(digest)}"
    return hmac.compare_digest(computed.encode(), hashed.encode())


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
