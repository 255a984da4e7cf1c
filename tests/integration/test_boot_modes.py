"""The remastered media boots by BIOS and UEFI, as a CD and as a USB disk, with the kickstart.

That the installer then takes it is what the demo is about.
A test of the CD alone proves nothing about USB: there UEFI reads the menu in the
FAT image, not the one in ISO 9660 (weldr/lorax#1292).
"""

from pathlib import Path
from typing import Literal

import pytest

from hardpan import clock, kickstart
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.machine.qemu import Spec, create_disk, running
from hardpan.builder.media.inspect import extract, facts
from hardpan.builder.media.remaster import remaster
from hardpan.builder.receipts import Iso, Media
from hardpan.events import silent
from hardpan.files import Sha256
from hardpan.profiles.load import load
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


@pytest.fixture(scope="module", params=["el10", "el9"])
def unattended(
    request: pytest.FixtureRequest, lab: Media, tmp_path_factory: pytest.TempPathFactory
) -> Iso:
    """Lab media in each layout with the default profile's kickstart, under a label of its own."""
    room = tmp_path_factory.mktemp("iso")
    profile = load("lab-stig")
    return remaster(
        lab if request.param == "el10" else in_the_layout_of_el9(lab, room),
        kickstart.render(profile, KEY),
        room / "x.iso",
        # Without the last, this kernel keeps its command line to itself.
        arguments=[*kickstart.boot_arguments(profile, LABEL), "ignore_loglevel"],
        secret=False,
        emit=silent,
        volume_id=LABEL,
    )


def in_the_layout_of_el9(lab: Media, room: Path) -> Media:
    """Media with the lab's kernel and GRUB and the distribution's isolinux; without packages."""
    tree = room / "tree"
    wanted = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "EFI/BOOT/grub.cfg")
    for name in wanted:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
    extract(lab.path, {f"/{name}": tree / name for name in wanted})
    known = facts(lab.path)
    with lab.path.open("rb") as iso:
        iso.seek(known.efi_offset)
        (tree / "images/efiboot.img").write_bytes(iso.read(known.efi_size))
    return tiny_media.with_isolinux(tree, room / "el9.iso", label=lab.volume_id)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("first", ["cdrom", "usb"])
def test_the_kernel_starts_with_every_argument(
    unattended: Iso, tmp_path: Path, firmware: str, first: Literal["cdrom", "usb"]
) -> None:
    create_disk(tmp_path / "disk.qcow2", size_mib=1024)
    spec = Spec(
        disk=tmp_path / "disk.qcow2",
        vcpus=1,
        memory_mib=2048,
        firmware=firmware,
        cdrom=unattended.path,
        first=first,
    )
    power = acceleration()

    with running(spec, power, log=tmp_path / "boot.log") as guest:
        end = clock.monotonic() + 60 * power.patience
        while not (said := [x for x in guest.watch() if "Command line:" in x]):
            assert clock.monotonic() < end, "\n".join(guest.console.tail)

    wanted = kickstart.boot_arguments(load("lab-stig"), LABEL)
    assert "inst.ks=" in wanted[0]
    assert [argument for argument in wanted if argument not in said[0].split()] == []
