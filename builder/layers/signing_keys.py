"""The keys that packages are signed with: fetched here, checked here, and only then sent on."""

import tempfile
from pathlib import Path

from hardpan.builder.dnf.repository import RepositoryClient
from hardpan.core.errors import TrustError
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.profiles.software_catalog.package_plan import RepositorySource

_MAX_KEY_BYTES = 1 << 20
_ARMOUR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


def pin_digest(data: bytes, digest_kind: str) -> Sha256:
    """The digest that a pin is compared with: of the file, or of it without ``Version`` lines."""
    if digest_kind == "file_without_version_lines":
        data = b"".join(x for x in data.splitlines(keepends=True) if not x.startswith(b"Version"))
    return sha256_bytes(data)


def verify_key(repository: RepositorySource, data: bytes) -> bytes:
    """``data`` if it is the key that is pinned for this repository.

    Raises:
        TrustError: it is another one, or no armoured key at all.
    """
    digest = pin_digest(data, repository.digest_of)
    source = repository.key_url if repository.key is None else "the profile's repositories"
    if digest != repository.key_sha256:
        raise TrustError(
            f"key of repository {repository.id} from {source}: expected sha256"
            f" {repository.key_sha256}, got {digest}",
            hint="the vendor may have changed its key: verify it over another channel and pin it",
        )
    if not data.lstrip().startswith(_ARMOUR):
        raise TrustError(
            f"key of repository {repository.id} from {source}: expected an armoured public key",
            hint="gpg --armor --export writes one; put it into the profile's repositories",
        )
    return data


def load_signing_key(repository: RepositorySource) -> bytes:
    """The key of a repository, from the profile or from where its vendor gives it out.

    Raises:
        TrustError: it is not the pinned one.
        InputError: the vendor's address has no such file.
        UnreachableError: the vendor's server does not answer.
    """
    if repository.key is not None:
        return verify_key(repository, repository.key.encode("ascii"))
    base, _, name = str(repository.key_url).rpartition("/")
    with tempfile.TemporaryDirectory(prefix="hardpan-key-") as temp_dir:
        path = Path(temp_dir) / "key"
        RepositoryClient(base).fetch(name, path, max_bytes=_MAX_KEY_BYTES)
        return verify_key(repository, path.read_bytes())
