"""Finding and remastering install media: real xorriso, mtools, isomd5sum."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder.artifacts import InstallMedia, UnattendedIso
from hardpan.builder.media import sources
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.builder.media.inspect import exists, extract, inspect_iso
from hardpan.builder.media.iso9660 import has_joliet
from hardpan.builder.media.remaster import MENUS, remaster
from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.core.events import Event, discard
from hardpan.core.files import sha256_bytes, sha256_file
from hardpan.core.process import run
from tests.integration import rocky_dvd, tiny_media

pytestmark = pytest.mark.integration

NEW_LABEL = "HARDPAN-TINY"


def arguments(label: str = tiny_media.LABEL) -> tuple[str, ...]:
    return (f"inst.ks=hd:LABEL={label}:/ks.cfg", "fips=1", "console=ttyS0,115200")


@pytest.fixture(scope="module", params=["el9", "el10"])
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InstallMedia:
    make_media: Callable[[Path], InstallMedia] = getattr(tiny_media, f"make_{request.param}_media")
    return make_media(tmp_path_factory.mktemp(request.param))


def remaster_media(
    media: InstallMedia, destination: Path, *, secret: bool = False, volume_id: str | None = None
) -> UnattendedIso:
    return remaster(
        media,
        "text\n",
        destination,
        arguments=arguments(volume_id or tiny_media.LABEL),
        secret=secret,
        emit=discard,
        volume_id=volume_id,
    )


def read_menus(iso: Path, workdir: Path) -> dict[str, str]:
    """Every copy of the boot menu, the one in the FAT image too."""
    workdir.mkdir()
    places = {name: workdir / str(n) for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, places)
    iso_facts = inspect_iso(iso)
    (workdir / "fat").write_bytes(iso.read_bytes()[iso_facts.efi_offset :][: iso_facts.efi_size])
    run(["mcopy", "-n", "-i", workdir / "fat", "::/EFI/BOOT/grub.cfg", workdir / "f"], timeout_s=20)
    return {**{n: p.read_text() for n, p in places.items()}, "FAT": (workdir / "f").read_text()}


def partitions(iso: Path) -> dict[str, int]:
    """Number -> first byte of each GPT partition."""
    argv = ["xorriso", "-indev", iso, "-report_system_area", "plain"]
    report = run(argv, timeout_s=20).stdout
    matches = re.findall(r"^GPT start and size : +(\d+) +(\d+)", report, re.MULTILINE)
    return {number: 512 * int(start) for number, start in matches}


def test_remaster_is_deterministic(
    media: InstallMedia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_iso = remaster_media(media, tmp_path / "1.iso")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    copy = tmp_path / "copy.iso"
    copy.write_bytes(media.path.read_bytes())
    os.utime(copy, (1, 1))
    moved = InstallMedia(
        path=copy, sha256=media.sha256, size_bytes=media.size_bytes, volume_id="", name="x"
    )
    second_iso = remaster_media(moved, tmp_path / "2.iso")

    assert first_iso.sha256 == second_iso.sha256 == sha256_file(tmp_path / "1.iso")


def identifiers(iso: Path) -> tuple[str, str]:
    """The modification date that blkid shows as UUID, and the disk GUID of the GPT."""
    guid = run(["xorriso", "-indev", iso, "-report_system_area", "gpt_disk_guid"], timeout_s=20)
    data = iso.read_bytes()
    return data[0x8000 + 830 : 0x8000 + 846].decode(), guid.stdout.strip()


def test_isos_of_two_profiles_have_different_identifiers(
    media: InstallMedia, tmp_path: Path
) -> None:
    first = remaster_media(media, tmp_path / "1.iso", volume_id=NEW_LABEL)
    second = remaster_media(media, tmp_path / "2.iso", volume_id=f"{NEW_LABEL}-2")

    first_ids, second_ids = identifiers(first.path), identifiers(second.path)
    assert first_ids[0] != second_ids[0]
    assert first_ids[1] != second_ids[1]
    assert all(len(part) in (16, 36) for part in (*first_ids, *second_ids))
    assert identifiers(media.path)[0] not in (first_ids[0], second_ids[0])


def test_joliet_tree_is_preserved(media: InstallMedia, tmp_path: Path) -> None:
    iso = remaster_media(media, tmp_path / "x.iso")

    assert has_joliet(media.path)
    argv = ["xorriso", "-read_fs", "norock", "-indev", iso.path, "-find", "/", "-type", "f"]
    names = set(run(argv, timeout_s=20).stdout.split())
    assert {"'/ks.cfg'", "'/EFI/BOOT/grub.cfg'", "'/images/pxeboot/vmlinuz'"} <= names


def test_no_joliet_tree_is_added(tmp_path: Path) -> None:
    media = tiny_media.make_el10_media(tmp_path / "media", joliet=False)

    assert not has_joliet(remaster_media(media, tmp_path / "x.iso").path)


def test_treeinfo_has_digest_of_edited_efi_image(media: InstallMedia, tmp_path: Path) -> None:
    iso = remaster_media(media, tmp_path / "x.iso")

    if not exists(iso.path, "/images/efiboot.img"):
        assert not exists(media.path, "/images/efiboot.img")
        return
    extract(iso.path, {"/.treeinfo": tmp_path / "t", "/images/efiboot.img": tmp_path / "e"})
    assert (tmp_path / "t").read_text() == (
        f"[checksums]\nimages/efiboot.img = sha256:{sha256_file(tmp_path / 'e')}\n"
    )


def test_entry_that_tests_the_media_does_so(media: InstallMedia, tmp_path: Path) -> None:
    remaster_media(media, tmp_path / "x.iso")

    menus = read_menus(tmp_path / "x.iso", tmp_path / "menus").values()
    assert [(text.count("rd.live.check"), text.count("Test this")) for text in menus] == [
        *[(1, 1)] * 3
    ]


def test_every_menu_copy_has_kickstart_arguments(media: InstallMedia, tmp_path: Path) -> None:
    remaster_media(media, tmp_path / "x.iso")

    copies = read_menus(tmp_path / "x.iso", tmp_path / "menus")
    bios = "/isolinux/isolinux.cfg" if inspect_iso(media.path).efi_path else "/boot/grub2/grub.cfg"
    assert set(copies) == {bios, "/EFI/BOOT/grub.cfg", "FAT"}
    for text in copies.values():
        assert text.count(" ".join(arguments())) == 2
        assert "ERASES DISKS" in text
        assert f"LABEL={tiny_media.LABEL} inst.rescue quiet" in text


def test_only_edited_efi_image_remains(media: InstallMedia, tmp_path: Path) -> None:
    remaster_media(media, tmp_path / "x.iso")

    media_facts, iso_facts = inspect_iso(media.path), inspect_iso(tmp_path / "x.iso")
    assert iso_facts.efi_path == media_facts.efi_path
    assert iso_facts.efi_size == media_facts.efi_size
    assert iso_facts.system_area == media_facts.system_area
    assert iso_facts.efi_offset in partitions(tmp_path / "x.iso").values()
    assert (tmp_path / "x.iso").read_bytes().count(b"FAT12   ") == 1


def test_copy_preserves_label_boot_records_and_kernel(media: InstallMedia, tmp_path: Path) -> None:
    iso = remaster_media(media, tmp_path / "x.iso")

    media_facts, iso_facts = inspect_iso(media.path), inspect_iso(tmp_path / "x.iso")
    assert iso.volume_id == iso_facts.volume_id == media_facts.volume_id
    assert iso_facts.boot_records == media_facts.boot_records == ("BIOS", "UEFI")
    for n, path in enumerate((media.path, tmp_path / "x.iso")):
        extract(path, {"/images/pxeboot/vmlinuz": tmp_path / f"k{n}"})
    assert sha256_file(tmp_path / "k0") == sha256_file(tmp_path / "k1")


def test_iso_contains_kickstart(media: InstallMedia, tmp_path: Path) -> None:
    iso = remaster_media(media, tmp_path / "x.iso")

    extract(iso.path, {"/ks.cfg": tmp_path / "ks"})
    assert (tmp_path / "ks").read_bytes() == b"text\n"
    assert iso.kickstart_sha256 == sha256_bytes(b"text\n")


def test_new_label_is_set_in_rescue_entry(media: InstallMedia, tmp_path: Path) -> None:
    iso = remaster_media(media, tmp_path / "x.iso", volume_id=NEW_LABEL)

    assert iso.volume_id == inspect_iso(iso.path).volume_id == NEW_LABEL
    for text in read_menus(iso.path, tmp_path / "menus").values():
        assert f"inst.stage2=hd:LABEL={NEW_LABEL} inst.rescue" in text
        assert tiny_media.LABEL not in text


@pytest.mark.parametrize("label", ["", "has blank", "lower", "A" * 33, "A\n"])
def test_unsafe_label_is_rejected(media: InstallMedia, tmp_path: Path, label: str) -> None:
    with pytest.raises(InputError, match="expected a volume label of 32"):
        remaster_media(media, tmp_path / "x.iso", volume_id=label)


def test_kickstart_argument_must_name_iso_label(media: InstallMedia, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the ISO's label is 'TINY-10-0-x86_64'"):
        remaster(
            media,
            "x",
            tmp_path / "x.iso",
            arguments=arguments(NEW_LABEL),
            secret=False,
            emit=discard,
        )


def test_remastered_media_can_be_remastered(media: InstallMedia, tmp_path: Path) -> None:
    first_iso = remaster_media(media, tmp_path / "1.iso")
    remastered_media = InstallMedia(
        path=first_iso.path,
        sha256=first_iso.sha256,
        size_bytes=first_iso.path.stat().st_size,
        volume_id=first_iso.volume_id,
        name="x",
    )

    remaster_media(remastered_media, tmp_path / "2.iso")

    assert read_menus(tmp_path / "2.iso", tmp_path / "b") == read_menus(
        first_iso.path, tmp_path / "a"
    )


@pytest.mark.parametrize("secret", [False, True])
def test_iso_is_private_regardless_of_umask_and_existing_link(
    media: InstallMedia, tmp_path: Path, secret: bool
) -> None:
    """A kickstart without a passphrase has password hashes still."""
    iso, other = tmp_path / "x.iso", tmp_path / "other"
    other.write_text("other")
    other.chmod(0o644)
    iso.symlink_to(other)
    previous_umask = os.umask(0)
    try:
        remaster_media(media, iso, secret=secret)
    finally:
        os.umask(previous_umask)

    assert not iso.is_symlink()
    assert iso.stat().st_mode & 0o777 == 0o600
    assert (other.read_text(), other.stat().st_mode & 0o777) == ("other", 0o644)
    extract(iso, {"/ks.cfg": tmp_path / "ks"})
    assert (tmp_path / "ks").read_bytes() == b"text\n"


def test_iso_failing_verification_is_removed(
    media: InstallMedia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardpan.builder.media.grubcfg.has_kickstart_arguments", lambda *_: False)

    with pytest.raises(ToolError, match="fails verification: a boot menu lacks the kickstart"):
        remaster_media(media, tmp_path / "x.iso")

    assert not list(tmp_path.iterdir())


def test_insufficient_disk_space_is_reported_before_writing(
    media: InstallMedia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 10 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)

    with pytest.raises(ResourceError, match=r"the remastered ISO needs \d+ MiB .* 10 MiB are free"):
        remaster_media(media, tmp_path / "x.iso")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such ISO"),
        (b"hello", "expected an ISO 9660 image, got something else"),
        (b"\0" * 40_000, "expected an ISO 9660 image, got something else"),
        (b"\0" * 32_768 + b"\x01CD001\x01" + b"\0" * 4_000, "xorriso cannot read it|expected an"),
    ],
)
def test_invalid_iso_is_rejected(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "x.iso"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=says):
        sources.provide_media("rocky10", file=path, cache=tmp_path, emit=discard)


def test_truncated_download_is_reported(media: InstallMedia, tmp_path: Path) -> None:
    path = tmp_path / "x.iso"
    path.write_bytes(media.path.read_bytes()[:-4096])

    with pytest.raises(InputError, match="the ISO is truncated"):
        sources.provide_media("rocky10", file=path, cache=tmp_path, emit=discard)


def test_iso_verification_is_recorded(tmp_path: Path) -> None:
    rocky = rocky_dvd.write_iso(rocky_dvd.complete_dvd(10), tmp_path / "dvd")
    events: list[Event] = []

    def provide(sha256: str | None) -> InstallMedia:
        return sources.provide_media(
            "rocky10",
            file=rocky,
            digest=DigestOptions(sha256=sha256),
            cache=tmp_path,
            emit=events.append,
        )

    with pytest.raises(TrustError, match="expected sha256 000"):
        provide("0" * 64)
    assert provide(sha256_file(rocky)).verified_by == "sha256 given by the operator"
    assert "none" in provide(None).verified_by
    assert "no --media-sha256 and no --checksum was given" in str(events[-1])


def test_missing_rocky_iso_reports_download_location(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        sources.provide_media("rocky9", file=None, cache=tmp_path, emit=discard)

    assert "no --media FILE was given" in str(caught.value)
    assert "pub/rocky/9/isos" in caught.value.hint


def test_unknown_media_lists_catalog(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no media 'rocky8'") as caught:
        sources.provide_media("rocky8", file=None, cache=tmp_path, emit=discard)

    assert "lab9, rocky10, rocky9" in caught.value.hint
