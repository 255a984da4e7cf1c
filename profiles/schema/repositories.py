"""Profile section ``repositories``: a site's mirrors and keys of the catalog's repositories."""

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
"""``http`` is for a mirror on the build network, ``file`` for a folder of the host that the layers
are applied to; a build's guest has none. Packages are checked against the pinned key and have
fixed versions, so an attacker on the network can only withhold packages, which fails the build.
Vendor repositories use https only (``hardpan.profiles.software_catalog.schema.HttpsUrl``)."""

_LINE = r"[A-Za-z0-9+/=]{1,76}\n"
ArmouredKey = Annotated[
    str,
    Pattern(
        r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n(?:[A-Z][a-z]{1,20}: [\x20-\x7e]{0,100}\n)*\n?"
        rf"(?:{_LINE})+-----END PGP PUBLIC KEY BLOCK-----\n?",
        "one armoured OpenPGP public key, as 'gpg --armor --export' writes it, below 'key: |'",
    ),
]
"""Inline, so that a profile is one file with one digest."""


class SiteRepository(ProfileSection):
    """Site-specific settings of a catalog repository; unset values are the vendor's."""

    id: CatalogId
    """Id in the software catalog, e.g. ``cuda``, ``site``, ``rocky``, ``epel``."""

    url: MirrorUrl | None = None
    """URL of the site's mirror; by default the vendor's URL."""

    more_urls: tuple[MirrorUrl, ...] = ()
    """Further URLs with the same key, e.g. AppStream and CRB in addition to BaseOS."""

    key: ArmouredKey | None = None
    """Armoured public key of a mirror that the site has re-signed."""

    key_sha256: Sha256Digest | None = None
    """SHA-256 of ``key`` as a file or, without ``key``, of the vendor's key file."""
