"""What Anaconda's storage checker refuses, and what it warns of."""

import pytest

from images.lab.installer.disks import InstallDisk
from images.lab.installer.plan import Firmware, MiB
from images.lab.installer.release import Release
from images.lab.installer.storage_configuration import DiskLayout, Machine, configure_storage
from images.lab.installer.translate import make_plan

EL9 = Release(major=9, product="hardpan lab", version="9.0")
EL10 = Release(major=10, product="hardpan lab", version="10.0")


def _configure(
    text: str,
    *,
    release: Release = EL9,
    firmware: Firmware = Firmware.UEFI,
    disk_mib: int = 32768,
    memory_mib: int = 2048,
) -> tuple[DiskLayout | None, list[str]]:
    plan = make_plan(text, fips=False, strict=False, release=release, firmware=firmware)
    machine = Machine(
        disks=(InstallDisk(path="/dev/vda", size_mib=MiB(disk_mib)),),
        firmware=firmware,
        memory_mib=MiB(memory_mib),
        disk_names={},
    )
    lines: list[str] = []
    result = configure_storage(plan.storage, machine, release=release, print_line=lines.append)
    return result, lines


def test_sound_storage_is_laid_out_in_blivets_order(good: str) -> None:
    result, lines = _configure(good)

    assert result is not None
    assert [(e.number, e.partition.mount) for e in result.extents] == [
        (1, "/boot/efi"),
        (2, "/boot"),
        (3, "biosboot"),
        (4, "pv.01"),
    ]
    assert lines == ["Saving storage configuration...", "Checking storage configuration..."]


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("pv.01\nlogvol", "pv.02\nlogvol", 'Tried to use undefined partition "pv.02"'),
        ("volgroup vg0 pv.01", "volgroup vg0 pv.01\nvolgroup vg0 pv.01", "is already in use."),
        ("part pv.01", "part pv.01 --size=9\npart pv.01", "is defined multiple times."),
        ("/tmp --vgname=vg0", "/tmp --vgname=vg1", 'No volume group exists with the name "vg1"'),
        ("--name=tmp", "--name=root", 'Logical volume name "root" is already in use'),
        ("logvol /tmp", "logvol /", "mount point / is given more than once"),
        ("--fstype=swap --size=512", "--fstype=swap --size=3", "must be larger than the volume"),
        (
            "--disklabel=gpt",
            "--disklabel=gpt --drives=vdz",
            "'vdz' of the kickstart does not exist",
        ),
        ("--fstype=xfs --size=4096", "--fstype=xfs --size=99999", "not enough disk space"),
    ],
)
def test_unusable_storage_commands_fail_when_storage_is_configured(
    good: str, was: str, now: str, problem: str
) -> None:
    assert was in good

    result, lines = _configure(good.replace(was, now))

    assert result is None
    assert lines[:2] == [
        "Saving storage configuration...",
        "Failed to save storage configuration",
    ]
    assert problem in lines[2]


ROOT_MISSING = (
    "You have not defined a root partition (/), which is required for installation of hardpan lab "
    "to continue."
)
ESP_TOO_SMALL = (
    "Your /boot/efi partition is too small for EFI System Partition formatting (allowable size is "
    "50 MiB to 1048576 MiB)"
)
XFS_TOO_SMALL = (
    "Your /tmp partition is too small for xfs formatting (allowable size is 16 MiB to "
    "17592186044416 MiB)"
)
BIOSBOOT_MISSING = (
    "Your BIOS-based system needs a special partition to boot from a GPT disk label. To continue, "
    "please create a 1MiB 'biosboot' type partition."
)
REFUSED = (
    (Firmware.UEFI, "logvol / ", "logvol /srv ", ROOT_MISSING),
    (Firmware.UEFI, "/boot/efi --fstype=efi --size=256", "/boot/efi --fstype=efi --size=49",
     ESP_TOO_SMALL),
    (Firmware.UEFI, "/tmp --vgname=vg0 --name=tmp --fstype=xfs --size=1024",
     "/tmp --vgname=vg0 --name=tmp --fstype=xfs --size=15",
     XFS_TOO_SMALL),
    (Firmware.UEFI, "logvol /tmp", "logvol /etc",
     "This mount point is invalid. The /etc directory must be on the / file system."),
    (Firmware.UEFI, "part /boot --fstype=xfs", "part /data --fstype=xfs",
     "/boot file system cannot be of type lvmlv"),
    (Firmware.BIOS, "part biosboot --fstype=biosboot --size=1\n", "",
     BIOSBOOT_MISSING),
)  # fmt: skip


@pytest.mark.parametrize(("firmware", "was", "now", "problem"), REFUSED)
def test_storage_checker_refuses(
    good: str, firmware: Firmware, was: str, now: str, problem: str
) -> None:
    assert was in good

    result, lines = _configure(good.replace(was, now), firmware=firmware)

    assert result is None
    assert lines[1] == "Checking storage configuration..."
    assert problem in lines


def test_uefi_without_esp_has_no_boot_device(good: str) -> None:
    lines = [x for x in good.splitlines() if not x.startswith("part /boot/efi")]

    result, output = _configure("\n".join(lines) + "\n")

    assert result is None
    assert output[1] == "Failed to save boot loader configuration"
    assert output[2] == (
        "Failed to find a suitable stage1 device: EFI System Partition must be mounted on one of "
        "/boot/efi."
    )
    assert _configure("\n".join(lines) + "\n", firmware=Firmware.BIOS)[0] is not None


def test_uefi_needs_no_biosboot_and_el_10_names_the_disk(good: str) -> None:
    text = good.replace("part biosboot --fstype=biosboot --size=1\n", "")

    assert _configure(text)[0] is not None
    assert _configure(text, release=EL10, firmware=Firmware.BIOS)[1][-1].endswith(
        "'biosboot' type partition on the vda disk."
    )


def test_missing_swap_is_refused_with_little_memory_only(good: str) -> None:
    text = "\n".join(x for x in good.splitlines() if "swap" not in x) + "\n"

    result, lines = _configure(text, memory_mib=519)
    assert result is None
    assert lines[-1].startswith("You have not specified a swap partition. 520 MiB of memory is req")

    for release, warning in (
        (EL9, "You have not specified a swap"),
        (EL10, "A swap partition has"),
    ):
        result, lines = _configure(text, release=release, memory_mib=520)
        assert result is not None
        assert lines[-1].startswith(warning)


def test_small_boot_is_only_a_warning(good: str) -> None:
    result, lines = _configure(good.replace("/boot --fstype=xfs --size=1024", "/boot --size=500"))

    assert result is not None
    assert lines[-1] == (
        "Your /boot partition is less than 512 MiB which is lower than recommended for a normal "
        "hardpan lab install."
    )


@pytest.mark.parametrize(("release", "is_accepted"), [(EL9, True), (EL10, False)])
def test_minimum_of_xfs_is_the_releases(good: str, release: Release, is_accepted: bool) -> None:
    text = good.replace("--name=tmp --fstype=xfs --size=1024", "--name=tmp --size=299")

    assert (_configure(text, release=release)[0] is not None) is is_accepted
