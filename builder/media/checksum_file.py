"""Read a signed CHECKSUM file: digests and sizes of published images, in BSD's format.

::

    # Rocky-9.7-x86_64-dvd.iso: 13360889856 bytes
    SHA256 (Rocky-9.7-x86_64-dvd.iso) = d48e9023…

A CHECKSUM from the same mirror as the ISO attests to nothing without its signature: who can change
the one can change the other.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.openpgp import MAX_SIGNED_BYTES, VerifiedText, is_cleartext, verify_signature
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, read_limited

SIGNATURE_SUFFIXES = (".asc", ".sig")
"""Names of a detached signature, next to the file."""

_DIGEST = re.compile(r"SHA256 \((?P<name>[^()/]{1,255})\) = (?P<sha256>[0-9a-fA-F]{64})", re.ASCII)
_SIZE = re.compile(r"# (?P<name>[^:/]{1,255}): (?P<size>\d{1,15}) bytes", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksumEntry:
    """What a CHECKSUM file says of one image."""

    sha256: Sha256
    size_bytes: int | None
    """None if the file does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksums:
    """A CHECKSUM file whose signature is valid."""

    path: Path
    fingerprint: str
    """Fingerprint of the primary key that signed it."""

    entries: dict[str, ChecksumEntry]

    def __str__(self) -> str:
        """Return who attests to the digests."""
        return f"{self.path.name} signed by the key {self.fingerprint}"

    def entry(self, name: str) -> ChecksumEntry:
        """Return the entry of the file ``name``.

        Raises:
            InputError: there is none.
        """
        if name not in self.entries:
            listed = ", ".join(sorted(self.entries)) or "none"
            raise InputError(
                f"{self.path}: expected a line for {name!a}, got lines for {listed[:500]!a}",
                hint="use the name under which the distributor publishes the ISO",
            )
        return self.entries[name]


def read_checksums(path: Path, *, key: Path, fingerprint: str | None) -> Checksums:
    """Verify the signature of a CHECKSUM file and parse it.

    The signature is inside (cleartext), or in a file next to it with ``.asc`` or ``.sig`` added.
    ``fingerprint`` is that of the expected primary key; None accepts any key in the file ``key``.

    Raises:
        InputError: it cannot be read, or has no valid line.
        TrustError: it has no signature, or not a valid one of the key.
        ToolError: gpgv is not installed.
    """
    data = read_limited(path, MAX_SIGNED_BYTES)
    signature = None if is_cleartext(data) else _find_signature(path)
    text = verify_signature(path, signature=signature, key=key, fingerprint=fingerprint)
    return _to_checksums(path, text)


def parse_checksums(text: str, source: str) -> dict[str, ChecksumEntry]:
    """Parse the text of a CHECKSUM file; ``source`` is its name in messages.

    Raises:
        InputError: it has no line, or two for one name that differ.
    """
    sizes: dict[str, int] = {}
    digests: dict[str, Sha256] = {}
    for line in text.splitlines():
        if size := _SIZE.fullmatch(line.rstrip()):
            sizes[size["name"]] = int(size["size"])
        elif match := _DIGEST.fullmatch(line.rstrip()):
            digest = Sha256(match["sha256"].lower())
            if digests.setdefault(match["name"], digest) != digest:
                raise InputError(f"{source}: two digests for {match['name']!a}: expected one")
    if not digests:
        raise InputError(
            f"{source}: expected lines as 'SHA256 (FILE) = DIGEST', got none",
            hint="name the CHECKSUM file that the distributor publishes next to the ISO",
        )
    return {
        name: ChecksumEntry(sha256=digest, size_bytes=sizes.get(name))
        for name, digest in digests.items()
    }


def _find_signature(path: Path) -> Path:
    candidates = [path.with_name(path.name + suffix) for suffix in SIGNATURE_SUFFIXES]
    signature = next((candidate for candidate in candidates if candidate.is_file()), None)
    if signature is None:
        names = " or ".join(candidate.name for candidate in candidates)
        raise TrustError(
            f"{path}: not signed: expected a signature in it or next to it ({names}), got none",
            hint="download its signature; an unsigned CHECKSUM from the ISO's mirror attests to"
            " nothing. Without one, compare the digest on another channel: --media-sha256",
        )
    return signature


def _to_checksums(path: Path, text: VerifiedText) -> Checksums:
    content = text.data.decode("utf-8", "replace")
    return Checksums(
        path=path, fingerprint=text.fingerprint, entries=parse_checksums(content, str(path))
    )
