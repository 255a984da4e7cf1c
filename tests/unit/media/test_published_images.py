"""The list of published images: what it has, and how an ISO is compared with it."""

from pathlib import Path

import pytest

from hardpan.builder.media import expected_digest, published_images
from hardpan.builder.media.checksum_file import ChecksumEntry, parse_checksums
from hardpan.builder.media.expected_digest import (
    UNVERIFIED,
    DigestOptions,
    ExpectedDigest,
    expected_digests,
    match_digest,
)
from hardpan.builder.media.published_images import DigestSource, ImageKind, PublishedImage
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, sha256_bytes

DVD = "Rocky-9.7-x86_64-dvd.iso"
CHECKSUM = """\
# a.iso: 12 bytes
SHA256 (a.iso) = {a}
SHA256 (b.iso) = {b}
""".format(a="a" * 64, b="B" * 64)


def test_every_release_has_a_dvd_for_both_architectures() -> None:
    dvds = {
        (image.media, image.arch)
        for image in published_images.published_images()
        if image.kind is ImageKind.DVD and image.sha256
    }

    assert dvds == {(m, a) for m in ("rocky9", "rocky10") for a in ("x86_64", "aarch64")}


def test_digest_and_size_are_stated_together() -> None:
    for image in published_images.published_images():
        is_stated = image.source is not DigestSource.NAMES
        assert (image.sha256 is not None, image.size_bytes is not None) == (is_stated, is_stated)
    digests = [i.sha256 for i in published_images.published_images() if i.sha256]
    assert len(digests) == len(set(digests)) > 30


def test_dvd_of_rocky_9_7_is_as_the_distributor_lists_it() -> None:
    image = published_images.find_by_name(DVD)

    assert image == PublishedImage(
        name=DVD,
        media="rocky9",
        version="9.7",
        arch="x86_64",
        kind=ImageKind.DVD,
        source=DigestSource.DISTRIBUTOR,
        size_bytes=13360889856,
        sha256="d48e902325dce6793935b4e13672a0d9a4f958e02d4e23fcf0a8a34c49ef03da",
    )
    assert image.folder == "9.7/isos/x86_64"
    assert published_images.find_by_digest(str(image.sha256)) == image


@pytest.mark.parametrize("media", ["rocky9", "rocky10"])
def test_shipped_key_is_an_openpgp_public_key(media: str) -> None:
    key = published_images.signing_key(media)

    assert key is not None
    assert key.path.read_text("ascii").startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


def test_other_media_have_no_key() -> None:
    assert published_images.signing_key("lab9") is None


def test_checksums_are_parsed() -> None:
    assert parse_checksums(CHECKSUM, "CHECKSUM") == {
        "a.iso": ChecksumEntry(sha256=Sha256("a" * 64), size_bytes=12),
        "b.iso": ChecksumEntry(sha256=Sha256("b" * 64), size_bytes=None),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"expected lines as 'SHA256 \(FILE\) = DIGEST', got none"),
        (f"{'a' * 64}  a.iso\n", "got none"),
        (f"SHA256 (../a.iso) = {'a' * 64}\n", "got none"),
        (CHECKSUM + f"SHA256 (a.iso) = {'c' * 64}\n", "two digests for 'a.iso': expected one"),
    ],
)
def test_other_checksum_files_are_rejected(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_checksums(text, "CHECKSUM")


@pytest.fixture
def dvd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the name of a published DVD whose published size is that of the file."""
    file = tmp_path / DVD
    file.write_bytes(b"iso")
    image = published_images.find_by_name(DVD)
    assert image is not None
    small = image.model_copy(update={"size_bytes": 3, "sha256": sha256_bytes(b"iso")})
    monkeypatch.setattr(
        expected_digest, "find_by_name", lambda name: small if name == DVD else None
    )
    monkeypatch.setattr(
        expected_digest, "find_by_digest", lambda x: small if x == small.sha256 else None
    )
    return file


def test_iso_with_a_published_name_must_have_the_published_digest(dvd: Path) -> None:
    expected = expected_digests("rocky9", dvd, DigestOptions())

    assert match_digest(dvd, sha256_bytes(b"iso"), expected) == (
        f"sha256 of {DVD} in the distributor's list of checksums"
    )
    with pytest.raises(TrustError, match=r"expected sha256 .*, got 0000") as caught:
        match_digest(dvd, Sha256("0" * 64), expected)
    assert "download the ISO again" in caught.value.hint


def test_iso_with_a_published_name_must_have_the_published_size(dvd: Path) -> None:
    dvd.write_bytes(b"is")

    with pytest.raises(InputError, match=r"expected 3 bytes, as the distributor's list .*, got 2"):
        expected_digests("rocky9", dvd, DigestOptions())


def test_iso_with_another_name_is_recognized_by_its_digest(dvd: Path) -> None:
    renamed = dvd.rename(dvd.with_name("rocky.iso"))
    expected = expected_digests("rocky9", renamed, DigestOptions())

    assert expected == ()
    assert DVD in match_digest(renamed, sha256_bytes(b"iso"), expected)
    assert match_digest(renamed, Sha256("0" * 64), expected) == UNVERIFIED


def test_digest_of_the_operator_replaces_that_of_the_list(dvd: Path) -> None:
    expected = expected_digests("rocky9", dvd, DigestOptions(sha256="1" * 64))

    assert expected == (
        ExpectedDigest(sha256=Sha256("1" * 64), stated_by="sha256 given by the operator"),
    )


def test_every_stated_digest_must_match(dvd: Path) -> None:
    expected = (
        ExpectedDigest(sha256=Sha256("1" * 64), stated_by="a"),
        ExpectedDigest(sha256=Sha256("2" * 64), stated_by="b"),
    )

    with pytest.raises(TrustError, match="expected sha256 2222"):
        match_digest(dvd, Sha256("1" * 64), expected)


def test_checksum_of_other_media_needs_a_key(dvd: Path) -> None:
    with pytest.raises(InputError, match="no key is known for lab9: expected --checksum-key"):
        expected_digests("lab9", dvd, DigestOptions(checksum=dvd))
