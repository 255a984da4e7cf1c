"""The remastered media boots by BIOS and UEFI, as a CD and as a USB disk, into the installer.

A test of the CD alone proves nothing about USB: there UEFI reads the menu in the
FAT image, not the one in ISO 9660 (weldr/lorax#1292).
"""

from pathlib import Path
from typing import Literal

import pytest

import kickstart
from builder.machine.console import Console
from builder.machine.probe import acceleration
from builder.machine.qemu import Spec, create_disk, running
from builder.media.inspect import extract, facts
from builder.media.remaster import remaster
from builder.receipts import Iso, Media
from hardpan import clock
from hardpan.events import silent
from hardpan.files import Sha256
from profiles.load import load
from tests.integration import tiny_media

pytestmark = pytest.mark.integration
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5vRZ8QHc0V1u7mzrE6p1m1D3JwWQ9QhGk3T5w9x2A test"
LABEL = "HARDPAN-OTHER-LABEL"


@pytest.fixture(scope="module")
def lab(lab_media: dict[str, object]) -> Media:
    path = Path(str(lab_media["iso"]))
    return Media(
        path=path,
        sha256=Sha256(str(lab_media["sha256"])),
        size=path.stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )


@pytest.fixture(scope="module")
def unattended(lab: Media, tmp_path_factory: pytest.TempPathFactory) -> Iso:
    """The lab media with the default profile's kickstart, under a label of its own."""
    return remastered(lab, tmp_path_factory.mktemp("iso") / "x.iso")


@pytest.fixture(scope="module")
def unattended_el9(lab: Media, tmp_path_factory: pytest.TempPathFactory) -> Iso:
    """The same with the lab's kernel and GRUB in EL9's layout; it has no packages."""
    room = tmp_path_factory.mktemp("el9")
    tree = room / "tree"
    wanted = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "EFI/BOOT/grub.cfg")
    for name in wanted:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
    extract(lab.path, {f"/{name}": tree / name for name in wanted})
    known = facts(lab.path)
    with lab.path.open("rb") as iso:
        iso.seek(known.efi_offset)
        (tree / "images/efiboot.img").write_bytes(iso.read(known.efi_size))
    media = tiny_media.with_isolinux(tree, room / "el9.iso", label=lab.volume_id)
    # Or the kernel keeps its command line to itself.
    return remastered(media, room / "x.iso", "ignore_loglevel")


def remastered(media: Media, to: Path, *more: str) -> Iso:
    profile = load("lab-stig")
    return remaster(
        media,
        kickstart.render(profile, KEY),
        to,
        arguments=[*kickstart.boot_arguments(profile, LABEL), *more],
        secret=False,
        emit=silent,
        volume_id=LABEL,
    )


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("first", ["cdrom", "usb"])
def test_media_in_the_layout_of_el9_starts_the_installer_with_the_kickstart(
    unattended_el9: Iso, tmp_path: Path, firmware: str, first: Literal["cdrom", "usb"]
) -> None:
    create_disk(tmp_path / "disk.qcow2", size_mib=1024)
    spec = Spec(
        disk=tmp_path / "disk.qcow2",
        vcpus=1,
        memory_mib=2048,
        firmware=firmware,
        cdrom=unattended_el9.path,
        first=first,
    )
    power = acceleration()

    with running(spec, power, log=tmp_path / "boot.log") as guest:
        end = clock.monotonic() + 60 * power.patience
        while not (said := [x for x in guest.watch() if "Command line:" in x]):
            assert clock.monotonic() < end, "\n".join(guest.console.tail)

    for argument in kickstart.boot_arguments(load("lab-stig"), LABEL):
        assert argument in said[0].split()
    # GRUB has the initrd in a line of its own, isolinux among the arguments.
    assert (" initrd=" in said[0]) == (firmware == "bios")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("first", ["cdrom", "usb"])
def test_the_installer_starts_and_takes_the_kickstart(
    unattended: Iso, tmp_path: Path, firmware: str, first: Literal["cdrom", "usb"]
) -> None:
    disk = tmp_path / "disk.qcow2"
    create_disk(disk, size_mib=32 * 1024)
    machine = Spec(
        disk=disk,
        vcpus=2,
        memory_mib=2048,
        firmware=firmware,
        cdrom=unattended.path,
        first=first,
    )

    console = until_the_kickstart_is_read(machine, tmp_path / "boot.log")

    assert console.failure == ""
    assert console.phase in ("pre", "storage")


def until_the_kickstart_is_read(machine: Spec, log: Path) -> Console:
    """What the guest said; one that panics under emulation is started again, as an install is."""
    power = acceleration()
    for _ in range(power.starts):
        with running(machine, power, log=log) as guest:
            end = clock.monotonic() + 60 * power.patience
            # The phases after the first are reached only with a kickstart that was found and read.
            while guest.console.step[0] < 2 and not guest.is_off and not guest.panicked():
                guest.watch()
                assert clock.monotonic() < end, "\n".join(guest.console.tail)
            if not guest.panicked():
                break
    return guest.console
