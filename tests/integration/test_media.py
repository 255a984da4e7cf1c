"""Remastering the lab media: real xorriso, mtools, isomd5sum."""

from pathlib import Path

import pytest

from builder.media import sources
from builder.media.inspect import extract, facts
from builder.media.remaster import remaster
from builder.receipts import Media
from hardpan import files
from hardpan.errors import InputError, ResourceError, TrustError
from hardpan.events import silent
from hardpan.files import Sha256, sha256_file

pytestmark = pytest.mark.integration

ARGUMENTS = ("inst.ks=hd:LABEL=HARDPAN-LAB-9:/ks.cfg", "fips=1", "console=ttyS0,115200")


@pytest.fixture(scope="module")
def media(lab_media: dict[str, object]) -> Media:
    path = Path(str(lab_media["iso"]))
    return Media(
        path=path,
        sha256=Sha256(str(lab_media["sha256"])),
        size=path.stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )


def made(media: Media, to: Path, *, secret: bool = False) -> str:
    iso = remaster(media, "text\n", to, arguments=ARGUMENTS, secret=secret, emit=silent)
    return iso.sha256


def test_the_same_inputs_give_the_same_bytes(media: Media, tmp_path: Path) -> None:
    one = made(media, tmp_path / "1.iso")
    two = made(media, tmp_path / "2.iso", secret=False)

    assert one == two == sha256_file(tmp_path / "1.iso")


def test_the_copy_keeps_label_boot_records_and_kernel(media: Media, tmp_path: Path) -> None:
    made(media, tmp_path / "x.iso")

    before, after = facts(media.path), facts(tmp_path / "x.iso")
    assert (after.volume_id, after.boot_records) == (before.volume_id, before.boot_records)
    for n, iso in enumerate((media.path, tmp_path / "x.iso")):
        extract(iso, {"/images/pxeboot/vmlinuz": tmp_path / f"k{n}"})
    assert sha256_file(tmp_path / "k0") == sha256_file(tmp_path / "k1")


def test_a_secret_kickstart_makes_the_iso_private(media: Media, tmp_path: Path) -> None:
    made(media, tmp_path / "x.iso", secret=True)

    assert (tmp_path / "x.iso").stat().st_mode & 0o777 == 0o600


def test_too_little_disk_is_told_before_anything_is_written(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 10 << 20})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: full)

    with pytest.raises(ResourceError, match=r"the remastered ISO needs \d+ MiB .* 10 MiB are free"):
        made(media, tmp_path / "x.iso")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such ISO"),
        (b"hello", "expected an ISO 9660 image, found something else"),
        (b"\0" * 40_000, "expected an ISO 9660 image, found something else"),
        (b"\0" * 32_769 + b"CD001" + b"\0" * 4_000, "xorriso cannot read it|expected an install"),
    ],
)
def test_a_file_that_is_no_install_iso_is_refused(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "x.iso"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=says):
        sources.find("rocky10", file=path, sha256=None, cache=tmp_path, emit=silent)


def test_media_of_another_product_is_refused_by_its_label(media: Media, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a volume label like .*Rocky-10"):
        sources.find("rocky10", file=media.path, sha256=None, cache=tmp_path, emit=silent)


def test_a_wrong_digest_is_trust_broken(media: Media, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="expected sha256 000"):
        sources.find("lab9", file=media.path, sha256="0" * 64, cache=tmp_path, emit=silent)


def test_rocky_without_a_file_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        sources.find("rocky9", file=None, sha256=None, cache=tmp_path, emit=silent)

    assert "no --media FILE was given" in str(caught.value)
    assert "pub/rocky/9/isos" in caught.value.hint


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no media 'rocky8'") as caught:
        sources.find("rocky8", file=None, sha256=None, cache=tmp_path, emit=silent)

    assert "lab9, rocky10, rocky9" in caught.value.hint
