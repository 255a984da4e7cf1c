# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage plan laid out on this machine's disks, and Anaconda's checks of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import layout
from .disks import InstallDisk, choose_disks
from .partition_order import order_partitions
from .plan import Firmware, InstallError, MiB, PartitionKind, StoragePlan
from .release import Release
from .storage_checker import PlacedDevice, StorageReport, check_boot_device, check_storage

_UNPLACED_KINDS = frozenset({PartitionKind.PV, PartitionKind.BIOSBOOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayout:
    """Where everything goes."""

    storage: StoragePlan
    """The plan, its partitions in blivet's order."""

    disk: InstallDisk
    cleared: tuple[InstallDisk, ...]
    """Disks to erase."""

    extents: tuple[layout.PartitionExtent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the checks need to know of the machine."""

    disks: tuple[InstallDisk, ...]
    firmware: Firmware
    memory_mib: MiB
    disk_names: Mapping[str, str] | None = None
    """Names that kickstarts use for disks; ``None``: the links in /dev."""


def configure_storage(
    storage: StoragePlan,
    machine: Machine,
    *,
    release: Release,
    print_line: Callable[[str], None],
) -> DiskLayout | None:
    """Lay out and check, with Anaconda's lines; ``None``: refused, the lines have the reasons."""
    print_line("Saving storage configuration...")
    try:
        disk_layout = _lay_out(storage, machine, release)
    except InstallError as e:
        print_line("Failed to save storage configuration")
        print_line(str(e))
        return None
    if problem := check_boot_device(disk_layout.storage, machine.firmware):
        print_line("Failed to save boot loader configuration")
        print_line(problem)
        return None
    print_line("Checking storage configuration...")
    report = check_storage(
        disk_layout.storage,
        list_devices(disk_layout),
        release=release,
        firmware=machine.firmware,
        disk=disk_layout.disk.path.removeprefix("/dev/"),
        memory_mib=machine.memory_mib,
    )
    _print_report(report, print_line)
    return None if report.errors else disk_layout


def _print_report(report: StorageReport, print_line: Callable[[str], None]) -> None:
    for message in (*report.errors, *report.warnings):
        print_line(message)


def _lay_out(storage: StoragePlan, machine: Machine, release: Release) -> DiskLayout:
    if storage.problems:
        raise InstallError("\n".join(storage.problems))
    ordered = replace(
        storage,
        partitions=order_partitions(
            storage.partitions, firmware=machine.firmware, major=release.major
        ),
    )
    disk, cleared = choose_disks(ordered, machine.disks, machine.disk_names)
    extents = layout.place_partitions(ordered.partitions, disk.size_mib, str(disk))
    for group in ordered.groups:
        volumes = [v for v in ordered.volumes if v.group == group.name]
        layout.compute_group_sizes(group, volumes, extents)
    return DiskLayout(storage=ordered, disk=disk, cleared=cleared, extents=extents)


def list_devices(disk_layout: DiskLayout) -> tuple[PlacedDevice, ...]:
    """Every file system and swap space, with the size that it gets."""
    devices = [
        PlacedDevice(
            mount=e.partition.mount,
            fstype=e.partition.fstype,
            size_mib=e.size_mib,
            on_partition=True,
        )
        for e in disk_layout.extents
        if e.partition.kind not in _UNPLACED_KINDS
    ]
    for group in disk_layout.storage.groups:
        volumes = [v for v in disk_layout.storage.volumes if v.group == group.name]
        sizes: Sequence[int] = layout.compute_group_sizes(group, volumes, disk_layout.extents)
        devices += [
            PlacedDevice(
                mount=volume.mount, fstype=volume.fstype, size_mib=MiB(size), on_partition=False
            )
            for volume, size in zip(volumes, sizes, strict=True)
        ]
    return tuple(devices)
