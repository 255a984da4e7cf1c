"""A site's own say in where the vendors' packages come from, and who signed them."""

from typing import Annotated

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import CatalogId, Pattern, Sha256Digest

_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
MirrorUrl = Annotated[
    str,
    Pattern(
        rf"(?!.*\.\.)(?:https?://[a-z0-9][a-z0-9.-]*(?::{_PORT})?|file://)/"
        r"(?:[A-Za-z0-9_.+~-]+/)*[A-Za-z0-9_.+~-]*",
        "an https, http or file address of plain characters, without user, query or fragment",
    ),
]
"""``http`` is for a mirror on the build network, ``file`` for a folder of the machine that the
layers are put on, which the guest of a build cannot have. Every package's signature is
checked against the pinned key and its version is in the profile, so what the way there
could do is to withhold packages, and then the build fails. A vendor's own repository is
https alone (``hardpan.profiles.software_catalog.schema.Url``)."""

_LINE = r"[A-Za-z0-9+/=]{1,76}\n"
ArmouredKey = Annotated[
    str,
    Pattern(
        r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n(?:[A-Z][a-z]{1,20}: [\x20-\x7e]{0,100}\n)*\n?"
        rf"(?:{_LINE})+-----END PGP PUBLIC KEY BLOCK-----\n?",
        "one armoured OpenPGP public key, as 'gpg --armor --export' writes it, below 'key: |'",
    ),
]
"""Inline, so that a profile is one file, means the same on every machine and has one digest."""


class SiteRepository(ProfileSection):
    """A listed repository as this site has it. What is not said stays the vendor's."""

    id: CatalogId
    """Its id in hardpan's list of packages, e.g. ``cuda``, ``site``, ``rocky``, ``epel``."""

    url: MirrorUrl | None = None
    """The site's mirror; without it the vendor's address is used."""

    more_urls: tuple[MirrorUrl, ...] = ()
    """Addresses of what belongs to it, e.g. AppStream and CRB beside BaseOS; one key for all."""

    key: ArmouredKey | None = None
    """Armoured public key of a mirror that the site has signed anew."""

    key_sha256: Sha256Digest | None = None
    """Digest of ``key`` as a file or, without ``key``, of the file that the vendor gives out."""
