"""The keys that packages are signed with: fetched here, checked here, and only then sent on."""

import tempfile
from pathlib import Path

from hardpan.builder.repository import Files
from hardpan.errors import TrustError
from hardpan.files import Sha256, sha256_bytes
from hardpan.profiles.software.plan import Origin

_KEY_MOST = 1 << 20
_ARMOUR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


def digest_of(data: bytes, what: str) -> Sha256:
    """The digest that a pin is compared with: of the file, or of it without ``Version`` lines."""
    if what == "file_without_version_lines":
        data = b"".join(x for x in data.splitlines(keepends=True) if not x.startswith(b"Version"))
    return sha256_bytes(data)


def checked(origin: Origin, data: bytes) -> bytes:
    """``data`` if it is the key that is pinned for this repository.

    Raises:
        TrustError: it is another one, or no armoured key at all.
    """
    found = digest_of(data, origin.digest_of)
    where = origin.key_url if origin.key is None else "the profile's repositories"
    if found != origin.key_sha256:
        raise TrustError(
            f"key of repository {origin.id} from {where}: expected sha256 {origin.key_sha256},"
            f" found {found}",
            hint="has the vendor changed its key? Compare by another way before you pin it",
        )
    if not data.lstrip().startswith(_ARMOUR):
        raise TrustError(
            f"key of repository {origin.id} from {where}: expected an armoured public key",
            hint="gpg --armor --export writes one; put it into the profile's repositories",
        )
    return data


def key_of(origin: Origin) -> bytes:
    """The key of a repository, from the profile or from where its vendor gives it out.

    Raises:
        TrustError: it is not the pinned one.
        InputError: the vendor's address has no such file.
        UnreachableError: the vendor's server does not answer.
    """
    if origin.key is not None:
        return checked(origin, origin.key.encode("ascii"))
    base, _, name = str(origin.key_url).rpartition("/")
    with tempfile.TemporaryDirectory(prefix="hardpan-key-") as room:
        to = Path(room) / "key"
        Files(base).fetch(name, to, most=_KEY_MOST)
        return checked(origin, to.read_bytes())
