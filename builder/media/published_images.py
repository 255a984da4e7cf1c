"""Install images that a distribution publishes: size and digest by file name, signing key, mirrors.

The digest of a downloaded ISO identifies it without any option and without a network: what is in
the list was compared with the distributor's own list once, by a person.
"""

import functools
import re
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.resources import resource_path
from hardpan.core.yaml_source import read_yaml

IMAGES_FILE = resource_path("hardpan.builder.media", "published_images.yaml")
_KEYS_FOLDER = "keys"
_NAME = re.compile(
    r"Rocky-(?P<major>\d{1,2})\.(?P<minor>\d{1,2})-(?P<arch>x86_64|aarch64)"
    r"-(?P<kind>boot|dvd|minimal)1?\.iso"
)


class ImageKind(StrEnum):
    """What an install image has on it."""

    DVD = "dvd"
    """BaseOS and AppStream: what a build needs."""

    MINIMAL = "minimal"
    """The packages of a minimal install, without AppStream."""

    BOOT = "boot"
    """The installer without packages."""


class DigestSource(StrEnum):
    """Who states the size and the digest of an image."""

    DISTRIBUTOR = "distributor"
    THIRD_PARTY = "third_party"
    NAMES = "names"
    """Only the name of the image is known."""

    @property
    def label(self) -> str:
        """Who it is, in a table."""
        return {
            DigestSource.DISTRIBUTOR: "distributor",
            DigestSource.THIRD_PARTY: "others",
            DigestSource.NAMES: "-",
        }[self]

    @property
    def description(self) -> str:
        """Who it is, in words."""
        return {
            DigestSource.DISTRIBUTOR: "the distributor's list of checksums",
            DigestSource.THIRD_PARTY: "third parties that quote the distributor's CHECKSUM",
            DigestSource.NAMES: "nobody",
        }[self]


class SigningKey(BaseModel):
    """The key that signs the checksums of a release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    fingerprint: str = Field(pattern=r"^[0-9A-F]{40}$")

    @property
    def path(self) -> Path:
        """The OpenPGP public key, in ASCII armor."""
        return resource_path("hardpan.builder.media", f"{_KEYS_FOLDER}/{self.file}")


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: DigestSource
    size_bytes: int | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class PublishedImage(BaseModel):
    """An install image that a distribution publishes."""

    model_config = ConfigDict(frozen=True)

    name: str
    """File name, e.g. ``Rocky-9.7-x86_64-dvd.iso``."""

    media: str
    """Name in the media catalog: ``rocky9`` or ``rocky10``."""

    version: str
    arch: str
    kind: ImageKind
    source: DigestSource
    size_bytes: int | None
    """None if it is not known."""

    sha256: str | None
    """None if it is not known."""

    @property
    def folder(self) -> str:
        """Its folder on a mirror."""
        return f"{self.version}/isos/{self.arch}"


class _ImageList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: dict[str, SigningKey]
    mirrors: tuple[str, ...] = Field(min_length=1)
    images: dict[str, _Facts]


def published_images() -> tuple[PublishedImage, ...]:
    """Return all images of the list, in its order."""
    return tuple(
        _name_image(name).model_copy(update=dict(facts))
        for name, facts in _read_list().images.items()
    )


def find_by_name(name: str) -> PublishedImage | None:
    """Return the image of this file name, or None."""
    return next((image for image in published_images() if image.name == name), None)


def find_by_digest(sha256: str) -> PublishedImage | None:
    """Return the image of this digest, or None."""
    return next((image for image in published_images() if image.sha256 == sha256), None)


def signing_key(media: str) -> SigningKey | None:
    """Return the key that signs the checksums of ``rocky9`` or ``rocky10``, or None."""
    return _read_list().keys.get(media)


def default_mirrors() -> tuple[str, ...]:
    """Return the addresses of folders with ``VERSION/isos/ARCH/FILE``."""
    return _read_list().mirrors


def _name_image(name: str) -> PublishedImage:
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"{IMAGES_FILE}: expected a name as Rocky-9.7-x86_64-dvd.iso, got {name!a}"
        )
    return PublishedImage(
        name=name,
        media=f"rocky{match['major']}",
        version=f"{match['major']}.{match['minor']}",
        arch=match["arch"],
        kind=ImageKind(match["kind"]),
        source=DigestSource.NAMES,
        size_bytes=None,
        sha256=None,
    )


@functools.cache
def _read_list() -> _ImageList:
    tree = read_yaml(IMAGES_FILE.read_bytes(), str(IMAGES_FILE))
    try:
        return _ImageList.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e
