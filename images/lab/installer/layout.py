# SPDX-License-Identifier: GPL-2.0-or-later
"""Compute the disk layout and the commands that create it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .plan import InstallError, Luks, MiB, PartitionKind, PartitionSpec, Volume, VolumeGroup

_GPT_MIB = 2
"""One MiB before the first partition and one for the second GPT."""

_PV_HEADER_MIB = 1
"""What LVM keeps of a partition for itself."""

_LUKS_HEADER_MIB = 16
"""LUKS2's header."""

_LABELS = {
    PartitionKind.BIOSBOOT: "BIOS boot",
    PartitionKind.EFI: "EFI System Partition",
    PartitionKind.PV: "LVM",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionExtent:
    """A partition with its place on the disk."""

    number: int
    start_mib: MiB
    size_mib: MiB
    partition: PartitionSpec

    def device(self, disk: str) -> str:
        """The partition's device: ``/dev/vda1``, ``/dev/nvme0n1p1``."""
        return f"{disk}{'p' if disk[-1].isdigit() else ''}{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRequest:
    """A size that may grow. Units are the caller's."""

    name: str
    size: int
    max_size: int | None
    grow: bool


def distribute_space(requests: Sequence[SizeRequest], space: int) -> list[int]:
    """Sizes that fit ``space``: what grows gets the rest, in proportion to its size.

    Raises:
        InstallError: the sizes do not fit even without growing.
    """
    sizes = [w.size for w in requests]
    remaining = space - sum(sizes)
    if remaining < 0:
        details = ", ".join(f"{w.name} {w.size}" for w in requests)
        raise InstallError(f"needed {sum(sizes)}, available {space} ({details})")
    growing = [
        i for i, w in enumerate(requests) if w.grow and (w.max_size is None or w.max_size > w.size)
    ]
    while growing and remaining > 0:
        weight = sum(requests[i].size for i in growing)
        grants = {i: remaining * requests[i].size // weight for i in growing}
        # What rounding leaves goes to the last of them.
        grants[growing[-1]] += remaining - sum(grants.values())
        remaining = 0
        for i, grant in grants.items():
            max_size = requests[i].max_size
            added = grant if max_size is None else min(grant, max_size - sizes[i])
            sizes[i] += added
            remaining += grant - added
        growing = [i for i in growing if (m := requests[i].max_size) is None or sizes[i] < m]
    return sizes


def place_partitions(
    partitions: Sequence[PartitionSpec], disk_mib: int, disk: str
) -> tuple[PartitionExtent, ...]:
    """Every partition's place.

    Raises:
        InstallError: the disk is too small.
    """
    requests = [
        SizeRequest(name=p.mount, size=p.size_mib, max_size=p.max_mib, grow=p.grow)
        for p in partitions
    ]
    try:
        sizes = distribute_space(requests, disk_mib - _GPT_MIB)
    except InstallError as e:
        raise InstallError(f"not enough disk space on {disk}, in MiB: {e}") from e
    partition_extents: list[PartitionExtent] = []
    start = 1
    for number, (partition, size) in enumerate(zip(partitions, sizes, strict=True), 1):
        partition_extents.append(
            PartitionExtent(
                number=number, start_mib=MiB(start), size_mib=MiB(size), partition=partition
            )
        )
        start += size
    return tuple(partition_extents)


def compute_group_sizes(
    group: VolumeGroup, volumes: Sequence[Volume], partition_extents: Sequence[PartitionExtent]
) -> list[int]:
    """Sizes of a group's volumes in MiB, before anything is erased.

    Raises:
        InstallError: they do not fit the partitions, not even without growing.
    """
    pvs = [s for s in partition_extents if s.partition.mount in group.pvs]
    available = sum(
        s.size_mib - (_LUKS_HEADER_MIB if s.partition.luks else 0) - _PV_HEADER_MIB for s in pvs
    )
    requests = [
        SizeRequest(name=v.name, size=v.size_mib, max_size=v.max_mib, grow=v.grow) for v in volumes
    ]
    try:
        return distribute_space(requests, available)
    except InstallError as e:
        raise InstallError(f"not enough disk space in {group.name}, in MiB: {e}") from e


def compute_extents(group: VolumeGroup, volumes: Sequence[Volume], total: int) -> list[int]:
    """The number of extents of each volume of a group that has ``total`` of them.

    Raises:
        InstallError: the group is too small.
    """

    def to_extents(mib: int) -> int:
        return -(-mib * 1024 // group.extent_kib)

    requests = [
        SizeRequest(
            name=v.name,
            size=to_extents(v.size_mib),
            max_size=to_extents(v.max_mib) if v.max_mib else None,
            grow=v.grow,
        )
        for v in volumes
    ]
    try:
        return distribute_space(requests, total)
    except InstallError as e:
        size = f"extents of {group.extent_kib} KiB"
        raise InstallError(
            f"not enough disk space in volume group {group.name}, in {size}: {e}"
        ) from e


def sgdisk_argv(disk: str, partition_extents: Sequence[PartitionExtent]) -> list[str]:
    """One call that makes a fresh GPT with every partition."""
    argv = ["sgdisk", "--zap-all", "--clear", "--set-alignment=2048"]
    for s in partition_extents:
        # In sectors of 512 bytes, both ends named: nothing is left to rounding.
        first = s.start_mib * 2048
        last = first + s.size_mib * 2048 - 1
        label = _LABELS.get(s.partition.kind, s.partition.mount)
        argv += [
            f"--new={s.number}:{first}:{last}",
            f"--typecode={s.number}:{s.partition.kind.value}",
            f"--change-name={s.number}:{label}",
        ]
    return [*argv, disk]


def mkfs_argv(fstype: str, device: str, uuid: str) -> list[str]:
    """Make a file system with a known UUID. No discard: the disk is new."""
    match fstype:
        case "xfs":
            return ["mkfs.xfs", "-f", "-q", "-K", "-m", f"uuid={uuid}", device]
        case "ext4":
            return ["mkfs.ext4", "-F", "-q", "-E", "nodiscard", "-U", uuid, device]
        case "efi":
            return ["mkfs.vfat", "-F", "32", "-i", uuid.replace("-", ""), device]
        case "swap":
            return ["mkswap", "-q", "-U", uuid, device]
        case _:
            raise InstallError(f"no file system {fstype!r}")


def luks_format_argv(device: str, luks: Luks, uuid: str) -> list[str]:
    """Format with LUKS2; the passphrase comes on stdin, never in argv."""
    return [
        "cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--uuid", uuid,
        "--pbkdf", luks.pbkdf, "--key-file", "-", device,
    ]  # fmt: skip


def luks_open_argv(device: str, name: str) -> list[str]:
    """Open a LUKS volume that ``luks_format`` created."""
    return ["cryptsetup", "open", "--type", "luks2", "--key-file", "-", device, name]


def lvm_group_argvs(group: VolumeGroup, devices: Sequence[str]) -> list[list[str]]:
    """Make the physical volumes and the group on them."""
    size = f"{group.extent_kib}k"
    return [
        ["lvm", "pvcreate", "-y", "-ff", *devices],
        ["lvm", "vgcreate", "-y", "-s", size, group.name, *devices],
    ]


def lvm_volume_argv(volume: Volume, count: int) -> list[str]:
    """Make one logical volume of ``count`` extents."""
    return ["lvm", "lvcreate", "-y", "-W", "y", "-l", str(count), "-n", volume.name, volume.group]


def mapper_name(group: str, volume: str) -> str:
    """The device mapper's name of a logical volume: hyphens inside a name are doubled."""
    return f"{group.replace('-', '--')}-{volume.replace('-', '--')}"


def order_mounts(mounts: Sequence[str]) -> list[str]:
    """Mount points, parents first."""
    return sorted(mounts, key=lambda m: (m.rstrip("/").count("/"), m))


def to_device_path(disk: str) -> str:
    """A kickstart's name for a disk as a path below /dev."""
    name = disk.removeprefix("/dev/")
    if not re.fullmatch(r"[A-Za-z0-9:._-]+(/[A-Za-z0-9:._-]+)*", name) or ".." in name:
        raise InstallError(f"not the name of a disk: {disk!r}")
    return f"/dev/{name}"
