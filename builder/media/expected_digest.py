"""What the digest of an install ISO must be, and who says so.

In the order of trust: the operator, a CHECKSUM file with a valid signature, hardpan's list of
published images. Each statement that is available must match.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.media.checksum_file import Checksums, read_checksums
from hardpan.builder.media.published_images import find_by_digest, find_by_name, signing_key
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256

UNVERIFIED = "none: no --media-sha256 and no --checksum was given, and its digest is not published"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestOptions:
    """What the operator gave to verify the ISO."""

    sha256: str | None = None
    checksum: Path | None = None
    """A signed CHECKSUM file."""

    checksum_key: Path | None = None
    """The OpenPGP key of the CHECKSUM file; None for the distributor's, which is pinned."""

    @property
    def has_statement(self) -> bool:
        """Whether there is anything to compare the ISO with."""
        return self.sha256 is not None or self.checksum is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDigest:
    """A digest that the ISO must have."""

    sha256: Sha256
    stated_by: str
    """Who says so, as the provenance has it."""


def expected_digests(media: str, file: Path, options: DigestOptions) -> tuple[ExpectedDigest, ...]:
    """Return the digests that ``file`` must have; reads at most its size.

    ``media`` is the name in the media catalog, which selects the key of the CHECKSUM file.

    Raises:
        InputError: a file is missing or malformed, or the ISO has another size than stated.
        TrustError: the CHECKSUM file is not signed, or not by its key.
        ToolError: gpgv is not installed.
    """
    return tuple(_state_digests(media, file, options))


def match_digest(file: Path, sha256: Sha256, expected: tuple[ExpectedDigest, ...]) -> str:
    """Return who attests to the digest of an ISO, as the provenance has it.

    Raises:
        TrustError: it is not an expected one.
    """
    for digest in expected:
        if digest.sha256 != sha256:
            raise TrustError(
                f"{file}: expected sha256 {digest.sha256}, got {sha256}",
                hint=f"{digest.stated_by}; download the ISO again",
            )
    if expected:
        return "; ".join(digest.stated_by for digest in expected)
    image = find_by_digest(sha256)
    return f"sha256 of {image.name} in {image.source.description}" if image else UNVERIFIED


def _state_digests(media: str, file: Path, options: DigestOptions) -> Iterator[ExpectedDigest]:
    if options.sha256 is not None:
        yield ExpectedDigest(
            sha256=Sha256(options.sha256), stated_by="sha256 given by the operator"
        )
    if options.checksum is not None:
        yield _read_checksum(media, file, options.checksum, options.checksum_key)
    image = find_by_name(file.name)
    if image is None or options.has_statement:
        return
    _require_size(file, image.size_bytes, f"as {image.source.description} says of {image.name}")
    if image.sha256 is not None:
        yield ExpectedDigest(
            sha256=Sha256(image.sha256),
            stated_by=f"sha256 of {image.name} in {image.source.description}",
        )


def read_signed_checksums(media: str, path: Path, key_file: Path | None) -> Checksums:
    """Read a CHECKSUM file that the pinned key of ``media``, or one of ``key_file``, signed.

    Raises:
        InputError: no key is known, or the file cannot be read or is malformed.
        TrustError: it is not signed, or not by the key.
        ToolError: gpgv is not installed.
    """
    pinned = signing_key(media)
    if key_file is not None:
        return read_checksums(path, key=key_file, fingerprint=None)
    if pinned is not None:
        return read_checksums(path, key=pinned.path, fingerprint=pinned.fingerprint)
    raise InputError(
        f"{path}: no key is known for {media}: expected --checksum-key",
        hint="name the OpenPGP public key that signs the CHECKSUM file",
    )


def _read_checksum(media: str, file: Path, path: Path, key_file: Path | None) -> ExpectedDigest:
    checksums = read_signed_checksums(media, path, key_file)
    entry = checksums.entry(file.name)
    _require_size(file, entry.size_bytes, f"as {path} says")
    return ExpectedDigest(sha256=entry.sha256, stated_by=str(checksums))


def _require_size(file: Path, expected_bytes: int | None, source: str) -> None:
    size = file.stat().st_size
    if expected_bytes is not None and size != expected_bytes:
        raise InputError(
            f"{file}: expected {expected_bytes} bytes, {source}, got {size}",
            hint="the download is not complete, or the file has another name than its content:"
            " download it again",
        )
