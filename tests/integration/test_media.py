"""Finding and remastering install media: real xorriso, mtools, isomd5sum."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder.media import sources
from hardpan.builder.media.inspect import exists, extract, facts
from hardpan.builder.media.remaster import MENUS, remaster
from hardpan.builder.receipts import Iso, Media
from hardpan.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.events import Event, silent
from hardpan.files import sha256_bytes, sha256_file
from hardpan.process import run
from tests.integration import tiny_media

pytestmark = pytest.mark.integration

NEW = "HARDPAN-TINY"


def arguments(label: str = tiny_media.LABEL) -> tuple[str, ...]:
    return (f"inst.ks=hd:LABEL={label}:/ks.cfg", "fips=1", "console=ttyS0,115200")


@pytest.fixture(scope="module", params=["el9", "el10"])
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Media:
    made: Callable[[Path], Media] = getattr(tiny_media, request.param)
    return made(tmp_path_factory.mktemp(request.param))


def made(media: Media, to: Path, *, secret: bool = False, volume_id: str | None = None) -> Iso:
    return remaster(
        media,
        "text\n",
        to,
        arguments=arguments(volume_id or tiny_media.LABEL),
        secret=secret,
        emit=silent,
        volume_id=volume_id,
    )


def menus(iso: Path, room: Path) -> dict[str, str]:
    """Every copy of the boot menu, the one in the FAT image too."""
    room.mkdir()
    places = {name: room / str(n) for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, places)
    known = facts(iso)
    (room / "fat").write_bytes(iso.read_bytes()[known.efi_offset :][: known.efi_size])
    run(["mcopy", "-n", "-i", room / "fat", "::/EFI/BOOT/grub.cfg", room / "f"], timeout_s=20)
    return {**{n: p.read_text() for n, p in places.items()}, "FAT": (room / "f").read_text()}


def partitions(iso: Path) -> dict[str, int]:
    """Number -> first byte of each GPT partition."""
    argv = ["xorriso", "-indev", iso, "-report_system_area", "plain"]
    told = run(argv, timeout_s=20).stdout
    found = re.findall(r"^GPT start and size : +(\d+) +(\d+)", told, re.MULTILINE)
    return {number: 512 * int(start) for number, start in found}


def test_the_same_inputs_give_the_same_bytes(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(media, tmp_path / "1.iso")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    copy = tmp_path / "copy.iso"
    copy.write_bytes(media.path.read_bytes())
    os.utime(copy, (1, 1))
    moved = Media(path=copy, sha256=media.sha256, size=media.size, volume_id="", name="x")
    two = made(moved, tmp_path / "2.iso")

    assert one.sha256 == two.sha256 == sha256_file(tmp_path / "1.iso")


def test_every_copy_of_the_menu_obeys_the_kickstart(media: Media, tmp_path: Path) -> None:
    made(media, tmp_path / "x.iso")

    copies = menus(tmp_path / "x.iso", tmp_path / "menus")
    bios = "/isolinux/isolinux.cfg" if facts(media.path).efi_path else "/boot/grub2/grub.cfg"
    assert set(copies) == {bios, "/EFI/BOOT/grub.cfg", "FAT"}
    for text in copies.values():
        assert text.count(" ".join(arguments())) == 2
        assert "ERASES DISKS" in text
        assert f"LABEL={tiny_media.LABEL} inst.rescue quiet" in text


def test_there_is_one_efi_image_and_firmware_loads_the_new_one(
    media: Media, tmp_path: Path
) -> None:
    made(media, tmp_path / "x.iso")

    before, after = facts(media.path), facts(tmp_path / "x.iso")
    assert after.efi_path == before.efi_path
    assert after.efi_size == before.efi_size
    assert after.system_area == before.system_area
    assert after.efi_offset in partitions(tmp_path / "x.iso").values()
    assert (tmp_path / "x.iso").read_bytes().count(b"FAT12   ") == 1


def test_the_copy_keeps_label_boot_records_and_kernel(media: Media, tmp_path: Path) -> None:
    iso = made(media, tmp_path / "x.iso")

    before, after = facts(media.path), facts(tmp_path / "x.iso")
    assert iso.volume_id == after.volume_id == before.volume_id
    assert after.boot_records == before.boot_records == ("BIOS", "UEFI")
    for n, path in enumerate((media.path, tmp_path / "x.iso")):
        extract(path, {"/images/pxeboot/vmlinuz": tmp_path / f"k{n}"})
    assert sha256_file(tmp_path / "k0") == sha256_file(tmp_path / "k1")


def test_the_kickstart_on_it_is_the_one_that_was_given(media: Media, tmp_path: Path) -> None:
    iso = made(media, tmp_path / "x.iso")

    extract(iso.path, {"/ks.cfg": tmp_path / "ks"})
    assert (tmp_path / "ks").read_bytes() == b"text\n"
    assert iso.kickstart_sha256 == sha256_bytes(b"text\n")


def test_a_label_of_its_own_reaches_the_rescue_entry_too(media: Media, tmp_path: Path) -> None:
    iso = made(media, tmp_path / "x.iso", volume_id=NEW)

    assert iso.volume_id == facts(iso.path).volume_id == NEW
    for text in menus(iso.path, tmp_path / "menus").values():
        assert f"inst.stage2=hd:LABEL={NEW} inst.rescue" in text
        assert tiny_media.LABEL not in text


@pytest.mark.parametrize("label", ["", "has blank", "lower", "A" * 33, "A\n"])
def test_a_label_that_would_need_escaping_is_refused(
    media: Media, tmp_path: Path, label: str
) -> None:
    with pytest.raises(InputError, match="expected a volume label of 32"):
        made(media, tmp_path / "x.iso", volume_id=label)


def test_a_kickstart_on_a_volume_of_another_name_would_not_be_found(
    media: Media, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the ISO's label is 'TINY-10-0-x86_64'"):
        remaster(
            media, "x", tmp_path / "x.iso", arguments=arguments(NEW), secret=False, emit=silent
        )


def test_media_that_was_remastered_can_be_remastered_again(media: Media, tmp_path: Path) -> None:
    first = made(media, tmp_path / "1.iso")
    again = Media(
        path=first.path,
        sha256=first.sha256,
        size=first.path.stat().st_size,
        volume_id=first.volume_id,
        name="x",
    )

    made(again, tmp_path / "2.iso")

    assert menus(tmp_path / "2.iso", tmp_path / "b") == menus(first.path, tmp_path / "a")


@pytest.mark.parametrize("secret", [False, True])
def test_iso_is_private_whatever_umask_and_whatever_was_there(
    media: Media, tmp_path: Path, secret: bool
) -> None:
    """A kickstart without a passphrase has password hashes still."""
    iso, other = tmp_path / "x.iso", tmp_path / "other"
    other.write_text("other")
    other.chmod(0o644)
    iso.symlink_to(other)
    before = os.umask(0)
    try:
        made(media, iso, secret=secret)
    finally:
        os.umask(before)

    assert not iso.is_symlink()
    assert iso.stat().st_mode & 0o777 == 0o600
    assert (other.read_text(), other.stat().st_mode & 0o777) == ("other", 0o644)
    extract(iso, {"/ks.cfg": tmp_path / "ks"})
    assert (tmp_path / "ks").read_bytes() == b"text\n"


def test_an_iso_that_does_not_read_back_as_meant_is_not_left_there(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardpan.builder.media.grubcfg.names_kickstart", lambda *_: False)

    with pytest.raises(ToolError, match="not as meant: a boot menu lacks it"):
        made(media, tmp_path / "x.iso")

    assert not list(tmp_path.iterdir())


def test_too_little_disk_is_told_before_anything_is_written(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 10 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)

    with pytest.raises(ResourceError, match=r"the remastered ISO needs \d+ MiB .* 10 MiB are free"):
        made(media, tmp_path / "x.iso")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such ISO"),
        (b"hello", "expected an ISO 9660 image, found something else"),
        (b"\0" * 40_000, "expected an ISO 9660 image, found something else"),
        (b"\0" * 32_768 + b"\x01CD001\x01" + b"\0" * 4_000, "xorriso cannot read it|expected an"),
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


def test_a_download_that_stopped_early_is_told_as_such(media: Media, tmp_path: Path) -> None:
    path = tmp_path / "x.iso"
    path.write_bytes(media.path.read_bytes()[:-4096])

    with pytest.raises(InputError, match="the ISO is truncated"):
        sources.find("rocky10", file=path, sha256=None, cache=tmp_path, emit=silent)


def test_media_of_another_product_is_refused_by_its_label(media: Media, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a volume label like .*Rocky-10"):
        sources.find("rocky10", file=media.path, sha256=None, cache=tmp_path, emit=silent)


def test_what_vouches_for_a_given_iso_is_told(tmp_path: Path) -> None:
    rocky = tiny_media.el10(tmp_path, label="Rocky-10-2-x86_64-dvd")
    seen: list[Event] = []

    def found(sha256: str | None) -> Media:
        return sources.find(
            "rocky10", file=rocky.path, sha256=sha256, cache=tmp_path, emit=seen.append
        )

    with pytest.raises(TrustError, match="expected sha256 000"):
        found("0" * 64)
    assert found(rocky.sha256).signature == "sha256 given by the operator"
    assert "nothing" in found(None).signature
    assert "no --media-sha256 was given" in str(seen[-1])


def test_rocky_without_a_file_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        sources.find("rocky9", file=None, sha256=None, cache=tmp_path, emit=silent)

    assert "no --media FILE was given" in str(caught.value)
    assert "pub/rocky/9/isos" in caught.value.hint


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no media 'rocky8'") as caught:
        sources.find("rocky8", file=None, sha256=None, cache=tmp_path, emit=silent)

    assert "lab9, rocky10, rocky9" in caught.value.hint
