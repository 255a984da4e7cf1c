"""What an image to download must be: from the operator, hardpan's list, or the mirror's CHECKSUM.

The CHECKSUM of a mirror counts only with a signature of the pinned key, so that an image whose
digest hardpan does not know can be downloaded as well.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.media.checksum_file import SIGNATURE_SUFFIXES, Checksums
from hardpan.builder.media.download import Download
from hardpan.builder.media.expected_digest import (
    DigestOptions,
    ExpectedDigest,
    read_signed_checksums,
)
from hardpan.builder.media.published_images import (
    DigestSource,
    ImageKind,
    PublishedImage,
    default_mirrors,
    find_by_name,
    published_images,
)
from hardpan.builder.openpgp import MAX_SIGNED_BYTES
from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.core.files import Sha256
from hardpan.core.http import open_url

_CHECKSUM = "CHECKSUM"
_WAIT_TIMEOUT_S = 30.0
_TRANSFER_TIMEOUT_S = 120.0


def choose_image(name: str, arch: str) -> PublishedImage:
    """Return the image of a file name, or the newest DVD of ``rocky9`` or ``rocky10``.

    The newest one is that of the last release whose digest the distributor states.

    Raises:
        InputError: the name is unknown, or the image is of no use for a build.
    """
    image = find_by_name(name) or _newest_dvd(name, arch)
    if image is None:
        raise InputError(
            f"{name[:200]!a}: expected rocky9, rocky10 or the name of an image, got neither",
            hint="'hardpan media list' lists the images",
        )
    if image.kind is not ImageKind.DVD:
        raise InputError(
            f"{image.name}: expected a DVD, got a {image.kind} image: no profile can be built"
            " from it, because it has no AppStream",
            hint=f"'hardpan media fetch {image.media}' downloads the DVD",
        )
    return image


def plan_download(
    image: PublishedImage, options: DigestOptions, *, folder: Path, mirrors: Sequence[str]
) -> Download:
    """Return the download of an image, with the digest that it must have.

    Raises:
        InputError: a CHECKSUM file cannot be read or does not have the image.
        TrustError: nobody who is trusted states the digest of the image.
        UnreachableError: the digest is not known, and no mirror has a CHECKSUM file.
        ToolError: gpgv is not installed.
    """
    addresses = tuple(mirrors) or default_mirrors()
    size_bytes = image.size_bytes
    if options.sha256 is not None:
        expected = ExpectedDigest(
            sha256=Sha256(options.sha256), stated_by="sha256 given by the operator"
        )
    elif options.checksum is None and image.sha256 is not None:
        expected = ExpectedDigest(
            sha256=Sha256(image.sha256),
            stated_by=f"sha256 of {image.name} in {image.source.description}",
        )
    else:
        checksums = (
            _fetch_checksums(image, addresses, options.checksum_key)
            if options.checksum is None
            else read_signed_checksums(image.media, options.checksum, options.checksum_key)
        )
        entry = checksums.entry(image.name)
        expected = ExpectedDigest(sha256=entry.sha256, stated_by=str(checksums))
        size_bytes = entry.size_bytes or size_bytes
    return Download(
        image=image, expected=expected, size_bytes=size_bytes, folder=folder, mirrors=addresses
    )


def _newest_dvd(media: str, arch: str) -> PublishedImage | None:
    dvds = [
        image
        for image in published_images()
        if (image.media, image.arch, image.kind) == (media, arch, ImageKind.DVD)
        and image.source is DigestSource.DISTRIBUTOR
    ]
    return max(dvds, key=lambda image: int(image.version.partition(".")[2]), default=None)


def _fetch_checksums(
    image: PublishedImage, mirrors: Sequence[str], key_file: Path | None
) -> Checksums:
    """Return the signed CHECKSUM file of the first mirror that has it."""
    problems: list[HardpanError] = []
    with tempfile.TemporaryDirectory(prefix="hardpan-checksum-") as name:
        for number, mirror in enumerate(mirrors):
            folder = Path(name) / str(number)
            folder.mkdir()
            base = f"{mirror.rstrip('/')}/{image.folder}/{_CHECKSUM}"
            try:
                _fetch(base, folder / _CHECKSUM)
                _fetch_signature(base, folder / _CHECKSUM)
                return read_signed_checksums(image.media, folder / _CHECKSUM, key_file)
            except (InputError, TrustError, UnreachableError) as e:
                problems.append(e)
    kinds = (TrustError, UnreachableError)
    kind = next((k for k in kinds if any(isinstance(p, k) for p in problems)), InputError)
    details = "; ".join(str(p).replace(f"{name}/", "") for p in problems)
    raise kind(
        f"{image.name}: nobody who is trusted states its digest: {details}",
        hint="compare the digest on another channel and pass it: --media-sha256",
    )


def _fetch_signature(base: str, path: Path) -> None:
    """Download the detached signature, if the mirror has one; a cleartext signature has none."""
    for suffix in SIGNATURE_SUFFIXES:
        try:
            _fetch(base + suffix, path.with_name(path.name + suffix))
        except UnreachableError:
            continue
        return


def _fetch(url: str, destination: Path) -> None:
    with open_url(
        url,
        max_bytes=MAX_SIGNED_BYTES,
        wait_timeout_s=_WAIT_TIMEOUT_S,
        transfer_timeout_s=_TRANSFER_TIMEOUT_S,
    ) as response:
        destination.write_bytes(response.read())
