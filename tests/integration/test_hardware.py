"""The finished image boots on other hardware than its build VM: bus, firmware, disk name, TPM."""

from pathlib import Path

import pytest

from hardpan.builder.artifacts import SshAccess
from hardpan.builder.vm.devices import DiskBus
from hardpan.core.files import sha256_file
from hardpan.profiles.schema.machine import FirmwareKind
from tests.integration.finished_image import (
    booted,
    connected,
    find_access,
    find_image,
    make_spec,
    read,
)

pytestmark = [pytest.mark.integration, pytest.mark.system]

# TPM2_GetRandom of 16 bytes (TPM 2.0 Library, part 3, section 16.1), sent without any tool.
_RANDOM_SCRIPT = """
import os
tpm = os.open("/dev/tpmrm0", os.O_RDWR)
os.write(tpm, bytes.fromhex("8001" "0000000c" "0000017b" "0010"))
answer = os.read(tpm, 4096)
print(answer[6:10].hex(), answer[12:].hex())
"""


@pytest.fixture(scope="module")
def image() -> Path:
    return find_image()


@pytest.fixture(scope="module")
def access() -> SshAccess:
    return find_access()


@pytest.mark.parametrize(
    ("bus", "firmware", "is_second_disk", "disk"),
    [
        ("virtio-blk", "bios", False, "vda"),
        ("virtio-blk", "uefi", False, "vda"),
        ("nvme", "uefi", False, "nvme0n1"),
        ("sata", "bios", False, "sda"),
        ("virtio-scsi", "bios", True, "sdb"),
    ],
)
def test_image_boots_on_hardware_variant(
    image: Path,
    access: SshAccess,
    tmp_path: Path,
    bus: DiskBus,
    firmware: FirmwareKind,
    is_second_disk: bool,
    disk: str,
) -> None:
    digest = sha256_file(image)
    spec = make_spec(image, disk_bus=bus, firmware=firmware, has_empty_first_disk=is_second_disk)

    with booted(spec, access, tmp_path) as guest, connected(guest) as connection:
        boot_disk = read(connection, "lsblk --noheadings -o PKNAME $(findmnt -no SOURCE /boot)")
        has_efi = read(connection, "test -d /sys/firmware/efi && echo yes || echo no")

    assert guest.host_keys
    assert boot_disk == disk
    assert has_efi == ("no" if firmware == "bios" else "yes")
    assert sha256_file(image) == digest


def test_tpm_extends_pcrs_and_returns_random_numbers(
    image: Path, access: SshAccess, tmp_path: Path
) -> None:
    spec = make_spec(image, firmware="uefi", tpm_state=tmp_path / "tpm")

    with booted(spec, access, tmp_path) as guest, connected(guest) as connection:
        version = read(connection, "cat /sys/class/tpm/tpm0/tpm_version_major")
        pcrs = read(connection, "cat /sys/class/tpm/tpm0/pcr-sha256/[0-9]").splitlines()
        first, second = (
            read(connection, f"python3 -I -c '{_RANDOM_SCRIPT}'").split() for _ in range(2)
        )

    assert version == "2"
    assert len(set(pcrs[:8])) > 3  # the firmware has measured itself and the boot loader
    assert "0" * 64 not in pcrs[:8]
    assert first[0] == second[0] == "00000000"
    assert len(first[1]) == len(second[1]) == 32
    assert first[1] != second[1]
