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
from builder.media.remaster import remaster
from builder.receipts import Iso, Media
from hardpan import clock
from hardpan.events import silent
from hardpan.files import Sha256
from profiles.load import load

pytestmark = pytest.mark.integration
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5vRZ8QHc0V1u7mzrE6p1m1D3JwWQ9QhGk3T5w9x2A test"
LABEL = "HARDPAN-OTHER-LABEL"


@pytest.fixture(scope="module")
def unattended(lab_media: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iso:
    """The lab media with the default profile's kickstart, under a label of its own."""
    profile = load("lab-stig")
    path = Path(str(lab_media["iso"]))
    media = Media(
        path=path,
        sha256=Sha256(str(lab_media["sha256"])),
        size=path.stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )
    return remaster(
        media,
        kickstart.render(profile, KEY),
        tmp_path_factory.mktemp("iso") / "x.iso",
        arguments=kickstart.boot_arguments(profile, LABEL),
        secret=False,
        emit=silent,
        volume_id=LABEL,
    )


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
