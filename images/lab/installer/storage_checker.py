# SPDX-License-Identifier: GPL-2.0-or-later
"""Anaconda's storage checker: what it refuses, and what it only warns of. Pure.

Read in ``pyanaconda/modules/storage/checker/utils.py``, with the constraints of
``data/anaconda.conf`` and of Rocky's product file, and the boot loader's own checks in
``pyanaconda/modules/storage/bootloader/base.py`` (branches rhel-9 and rhel-10).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .plan import Firmware, MiB, PartitionKind, PartitionSpec, StoragePlan
from .release import Release

_RECOMMENDED_MIB = {"/": 250, "/usr": 250, "/tmp": 50, "/var": 384, "/home": 100, "/boot": 512}  # noqa: S108
_MUST_BE_ON_ROOT = frozenset({"/bin", "/dev", "/sbin", "/etc", "/lib", "/root", "/mnt", "/proc"})
_MUST_BE_ON_LINUX = frozenset({"/", "/var", "/tmp", "/usr", "/home", "/usr/share", "/usr/lib"})  # noqa: S108
_MIN_RAM_WITHOUT_SWAP_MIB = 320 + 200
"""``min_ram`` and ``NO_SWAP_EXTRA_RAM``."""

_FORMATS = {"efi": "EFI System Partition", "biosboot": "BIOS Boot"}
_MAX_MIB = {"xfs": 16 * 1024**4, "ext4": 1024**4, "efi": 1024**2, "biosboot": 2}
_BIOSBOOT_MISSING_9 = (
    "Your BIOS-based system needs a special partition to boot from a GPT disk label. To "
    "continue, please create a 1MiB 'biosboot' type partition."
)
_SWAP_MISSING = {
    9: "You have not specified a swap partition. Although not strictly required in all cases, it "
    "will significantly improve performance for most installations.",
    10: "A swap partition has not been specified. To significantly improve performance for most "
    "installations, it is recommended to specify a swap partition.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedDevice:
    """A file system or swap space with the size that it gets."""

    mount: str
    fstype: str
    size_mib: MiB
    on_partition: bool
    """False: on a logical volume."""


@dataclass(slots=True, kw_only=True)
class StorageReport:
    """Result of the checks."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_boot_device(storage: StoragePlan, firmware: Firmware) -> str | None:
    """Why the boot loader has no device to go to; ``None``: it has one.

    Anaconda finds this while it configures storage, before its checker runs.
    """
    if firmware is Firmware.UEFI and not storage.has(PartitionKind.EFI):
        return (
            "Failed to find a suitable stage1 device: EFI System Partition must be mounted on "
            "one of /boot/efi."
        )
    return None


def check_storage(
    storage: StoragePlan,
    devices: Sequence[PlacedDevice],
    *,
    release: Release,
    firmware: Firmware,
    disk: str,
    memory_mib: MiB,
) -> StorageReport:
    """Run the checks in Anaconda's order."""
    report = StorageReport()
    by_mount = {d.mount: d for d in devices if d.mount.startswith("/")}
    if "/" not in by_mount:
        report.errors.append(
            "You have not defined a root partition (/), which is required for installation of "
            f"{release.product} to continue."
        )
    _check_sizes(by_mount, release, report)
    _check_boot_file_system(storage.partitions, by_mount, report)
    _check_biosboot(storage, release, firmware, disk, report)
    _check_swap(devices, release, memory_mib, report)
    _check_places(by_mount, report)
    return report


def _check_sizes(
    by_mount: Mapping[str, PlacedDevice], release: Release, report: StorageReport
) -> None:
    for mount, size_mib in _RECOMMENDED_MIB.items():
        if mount in by_mount and by_mount[mount].size_mib < size_mib:
            report.warnings.append(
                f"Your {mount} partition is less than {size_mib} MiB which is lower than "
                f"recommended for a normal {release.product} install."
            )
    # blivet's minimum of xfs: mkfs.xfs refuses less than 300 MiB in both releases.
    min_mib = {"xfs": 16 if release.major == 9 else 300, "efi": 50, "ext4": 2}
    for device in by_mount.values():
        low, high = min_mib.get(device.fstype, 0), _MAX_MIB.get(device.fstype, 1024**4)
        problem = "small" if device.size_mib < low else "large" if device.size_mib > high else ""
        if problem:
            name = _FORMATS.get(device.fstype, device.fstype)
            report.errors.append(
                f"Your {device.mount} partition is too {problem} for {name} formatting "
                f"(allowable size is {low} MiB to {high} MiB)"
            )


def _check_boot_file_system(
    partitions: Sequence[PartitionSpec], by_mount: Mapping[str, PlacedDevice], report: StorageReport
) -> None:
    """GRUB's own checks of what holds the kernel."""
    boot = by_mount.get("/boot") or by_mount.get("/")
    if boot is None:
        return
    if not boot.on_partition:
        report.errors.append("/boot file system cannot be of type lvmlv")
    if any(p.luks for p in partitions) and "/boot" not in by_mount:
        report.errors.append("/boot file system cannot be on an encrypted block device.")


def _check_biosboot(
    storage: StoragePlan, release: Release, firmware: Firmware, disk: str, report: StorageReport
) -> None:
    if firmware is not Firmware.BIOS or storage.has(PartitionKind.BIOSBOOT):
        return
    text = _BIOSBOOT_MISSING_9
    if release.major != 9:
        text = f"{text.removesuffix('.')} on the {disk} disk."
    report.errors.append(text)


def _check_swap(
    devices: Sequence[PlacedDevice], release: Release, memory_mib: MiB, report: StorageReport
) -> None:
    if any(d.fstype == "swap" for d in devices):
        return
    if memory_mib < _MIN_RAM_WITHOUT_SWAP_MIB:
        report.errors.append(
            f"You have not specified a swap partition. {_MIN_RAM_WITHOUT_SWAP_MIB} MiB of memory "
            "is required to continue installation without a swap partition, but you only have "
            f"{memory_mib} MiB."
        )
    else:
        report.warnings.append(_SWAP_MISSING[release.major])


def _check_places(by_mount: Mapping[str, PlacedDevice], report: StorageReport) -> None:
    for device in by_mount.values():
        if device.mount in _MUST_BE_ON_LINUX and device.fstype == "efi":
            report.errors.append(f"The mount point {device.mount} must be on a linux file system.")
    report.errors += [
        f"This mount point is invalid. The {mount} directory must be on the / file system."
        for mount in by_mount
        if mount in _MUST_BE_ON_ROOT
    ]
