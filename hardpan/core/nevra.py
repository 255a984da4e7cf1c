"""Parse RPM package identifiers: name, epoch, version, release, architecture."""

import re
from dataclasses import dataclass

_NEVRA = re.compile(
    r"(?P<name>\S+)-(?:(?P<epoch>[0-9]+):)?(?P<version>[^-:\s]+)-(?P<release>[^-\s]+)"
    r"\.(?P<arch>[A-Za-z0-9_]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nevra:
    """A package identifier such as ``bash-0:5.2-1.el9.x86_64``."""

    name: str
    epoch: str | None
    """Epoch, or None if the text has none, which means 0."""

    version: str
    release: str
    arch: str

    @property
    def version_release(self) -> str:
        """Version and release without epoch, e.g. ``5.2-1.el9``."""
        return f"{self.version}-{self.release}"

    @property
    def evr(self) -> str:
        """Epoch, version and release as written, e.g. ``0:5.2-1.el9``."""
        epoch = "" if self.epoch is None else f"{self.epoch}:"
        return f"{epoch}{self.version_release}"


def parse_nevra(text: str) -> Nevra | None:
    """Parse ``name-[epoch:]version-release.arch``; None for text in another form.

    Public keys that rpm lists as packages (``gpg-pubkey``) have no architecture.
    """
    match = _NEVRA.fullmatch(text)
    if match is None:
        return None
    return Nevra(
        name=match["name"],
        epoch=match["epoch"],
        version=match["version"],
        release=match["release"],
        arch=match["arch"],
    )
