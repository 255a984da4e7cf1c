"""Host keys in OpenSSH's known_hosts files. Text only; no SSH library.

Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". paramiko's reader raises an exception for an
unknown line (paramiko issues 1156 and 1990); OpenSSH skips such a line.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.files import read_limited

_MAX_BYTES = 16 << 20
"""A file with 40,000 hosts needs half of it."""

_REVOKED = "@revoked"
_HASHED = "|1|"


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A public key of one line; whether it can be used is not checked."""

    kind: str
    """E.g. ``ssh-ed25519``."""

    blob: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedHostKeys:
    """The keys that a known_hosts file has for a host."""

    listed: tuple[ListedKey, ...]
    """Keys of the lines that name the host, in file order."""

    revoked: frozenset[bytes]
    """Keys that a line revokes, for any host: a stolen key can impersonate each of them."""


def read_known_hosts(path: Path, name: str) -> ListedHostKeys:
    """Return the keys of the host ``name`` (``[host]:port`` if the port is not 22) in one file.

    A line with ``@cert-authority`` names the key of an authority, not of a host; it is skipped, as
    are invalid lines.

    Raises:
        InputError: the file cannot be read, or is too large.
    """
    # Comments may be in any encoding; the other fields are ASCII.
    lines = read_limited(path, _MAX_BYTES).decode("utf-8", "replace").splitlines()
    return select_host_keys(lines, name)


def select_host_keys(lines: Sequence[str], name: str) -> ListedHostKeys:
    """The keys of the host ``name`` in ``lines``."""
    listed: list[ListedKey] = []
    revoked: set[bytes] = set()
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        names, kind, text = fields[:3]
        blob = _decode_base64(text)
        if not blob:
            continue
        if marker == _REVOKED:
            revoked.add(blob)
        elif not marker and _matches(names, name):
            listed.append(ListedKey(kind, blob))
    return ListedHostKeys(listed=tuple(listed), revoked=frozenset(revoked))


def _matches(names: str, name: str) -> bool:
    return any(
        _matches_hash(entry, name) if entry.startswith(_HASHED) else entry == name
        for entry in names.split(",")
    )


def _matches_hash(hashed: str, name: str) -> bool:
    salt, _, digest = hashed.removeprefix(_HASHED).partition("|")
    # HMAC-SHA1 is what ssh_config(5) HashKnownHosts defines.
    computed_digest = hmac.digest(_decode_base64(salt), name.encode(), hashlib.sha1)
    return hmac.compare_digest(computed_digest, _decode_base64(digest))


def _decode_base64(text: str) -> bytes:
    """Return the decoded bytes; empty if the text is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
