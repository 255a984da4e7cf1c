"""Who signed the metadata of a dnf repository, and how old they are.

A repository whose packages are signed can still hide updates: whoever serves it can serve an old
state of it, or leave packages out. The signature of repomd.xml covers the digests of all lists.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from hardpan.builder.dnf.repodata import RepositoryIndex, read_packages
from hardpan.builder.dnf.repomd import REPOMD, read_repomd
from hardpan.builder.dnf.repository import RepositoryClient
from hardpan.builder.openpgp import MAX_SIGNED_BYTES, verify_signature
from hardpan.core import clock
from hardpan.core.errors import InputError

_SIGNATURE = f"{REPOMD}.asc"
_DAY_S = 24 * 3600

LoadKey = Callable[[Path], Path | None]
"""Returns the file of the repository's OpenPGP key, which it may write to the given folder; None if
there is no key."""


class SignatureState(StrEnum):
    """What is known about the signature of the metadata."""

    VALID = "valid"
    MISSING = "missing"
    NO_KEY = "not checked: no key"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryMetadata:
    """The packages of a repository, and who says so."""

    index: RepositoryIndex
    created: datetime | None
    """When the newest list was written, as the repository says; None if it does not."""

    signature: SignatureState
    fingerprint: str
    """Fingerprint of the primary key that signed the metadata; empty without a valid signature."""

    @property
    def age_days(self) -> int | None:
        """Days since the newest list was written; None if unknown."""
        if self.created is None:
            return None
        return int((clock.now() - self.created).total_seconds() // _DAY_S)

    def __str__(self) -> str:
        """Return both in one line."""
        age = "age unknown"
        if self.created is not None:
            age = f"written {self.created:%Y-%m-%d}, {self.age_days} days ago"
        signature = {
            SignatureState.VALID: f"signed by the key {self.fingerprint}",
            SignatureState.MISSING: "not signed",
            SignatureState.NO_KEY: "signed, and no key to check it with",
        }[self.signature]
        return f"{age}; {signature}"


def read_metadata(repo: str, *, load_key: LoadKey = lambda _: None) -> RepositoryMetadata:
    """Read the packages of a repository and check who signed its metadata.

    ``load_key`` is called only for signed metadata.

    Raises:
        InputError: it is not a repository, or its metadata is damaged or too large.
        TrustError: the signature is not valid or of another key, or a list does not match its
            digest.
        UnreachableError: the server does not respond.
        ToolError: gpgv or zstd is not installed.
    """
    client = RepositoryClient(repo)
    with tempfile.TemporaryDirectory(prefix="hardpan-repodata-") as name:
        workdir = Path(name)
        repomd = read_repomd(client, workdir)
        state, fingerprint = _check_signature(client, workdir, load_key)
        return RepositoryMetadata(
            index=read_packages(client, repomd, workdir),
            created=repomd.created,
            signature=state,
            fingerprint=fingerprint,
        )


def _check_signature(
    client: RepositoryClient, workdir: Path, load_key: LoadKey
) -> tuple[SignatureState, str]:
    signature = workdir / "repomd.xml.asc"
    try:
        client.fetch(_SIGNATURE, signature, max_bytes=MAX_SIGNED_BYTES)
    except InputError:  # There is none, or it is not a file that could be one.
        return SignatureState.MISSING, ""
    key = load_key(workdir)
    if key is None:
        return SignatureState.NO_KEY, ""
    verified = verify_signature(
        workdir / "repomd.xml", signature=signature, key=key, fingerprint=None
    )
    return SignatureState.VALID, verified.fingerprint
