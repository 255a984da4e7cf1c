# SPDX-License-Identifier: GPL-2.0-or-later
"""Where everything goes on the disk, and the commands that put it there. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .plan import Group, InstallError, Kind, Luks, MiB, Partition, Volume

_ENDS_MIB = 2
"""One MiB before the first partition and one for the second GPT."""

_PV_MIB = 1
"""What LVM keeps of a partition for itself."""

_LUKS_MIB = 16
"""LUKS2's header."""

_LABELS = {Kind.BIOSBOOT: "BIOS boot", Kind.EFI: "EFI System Partition", Kind.PV: "LVM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A partition with its place on the disk."""

    number: int
    start_mib: MiB
    size_mib: MiB
    partition: Partition

    def device(self, disk: str) -> str:
        """The partition's device: ``/dev/vda1``, ``/dev/nvme0n1p1``."""
        return f"{disk}{'p' if disk[-1].isdigit() else ''}{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A size that may grow. Units are the caller's."""

    name: str
    size: int
    most: int | None
    grow: bool


def share(wishes: Sequence[Wish], space: int) -> list[int]:
    """Sizes that fit ``space``: what grows gets the rest, in proportion to its size.

    Raises:
        InstallError: the sizes do not fit even without growing.
    """
    sizes = [w.size for w in wishes]
    rest = space - sum(sizes)
    if rest < 0:
        told = ", ".join(f"{w.name} {w.size}" for w in wishes)
        raise InstallError(f"needed {sum(sizes)}, available {space} ({told})")
    open_ = [i for i, w in enumerate(wishes) if w.grow and (w.most is None or w.most > w.size)]
    while open_ and rest > 0:
        weight = sum(wishes[i].size for i in open_)
        grants = {i: rest * wishes[i].size // weight for i in open_}
        # What rounding leaves goes to the last of them.
        grants[open_[-1]] += rest - sum(grants.values())
        rest = 0
        for i, grant in grants.items():
            most = wishes[i].most
            room = grant if most is None else min(grant, most - sizes[i])
            sizes[i] += room
            rest += grant - room
        open_ = [i for i in open_ if (m := wishes[i].most) is None or sizes[i] < m]
    return sizes


def slots(partitions: Sequence[Partition], disk_mib: int, disk: str) -> tuple[Slot, ...]:
    """Every partition's place.

    Raises:
        InstallError: the disk is too small.
    """
    wishes = [Wish(name=p.mount, size=p.size_mib, most=p.max_mib, grow=p.grow) for p in partitions]
    try:
        sizes = share(wishes, disk_mib - _ENDS_MIB)
    except InstallError as e:
        raise InstallError(f"not enough disk space on {disk}, in MiB: {e}") from e
    found: list[Slot] = []
    start = 1
    for number, (partition, size) in enumerate(zip(partitions, sizes, strict=True), 1):
        found.append(
            Slot(number=number, start_mib=MiB(start), size_mib=MiB(size), partition=partition)
        )
        start += size
    return tuple(found)


def need_room(group: Group, volumes: Sequence[Volume], places: Sequence[Slot]) -> None:
    """Check that a group's volumes fit its partitions, before anything is erased.

    Raises:
        InstallError: they do not, not even without growing.
    """
    pvs = [s for s in places if s.partition.mount in group.pvs]
    available = sum(s.size_mib - (_LUKS_MIB if s.partition.luks else 0) - _PV_MIB for s in pvs)
    wishes = [Wish(name=v.name, size=v.size_mib, most=None, grow=v.grow) for v in volumes]
    try:
        share(wishes, available)
    except InstallError as e:
        raise InstallError(f"not enough disk space in {group.name}, in MiB: {e}") from e


def extents(group: Group, volumes: Sequence[Volume], total: int) -> list[int]:
    """The number of extents of each volume of a group that has ``total`` of them.

    Raises:
        InstallError: the group is too small.
    """

    def count(mib: int) -> int:
        return -(-mib * 1024 // group.extent_kib)

    wishes = [
        Wish(name=v.name, size=count(v.size_mib), most=count(v.max_mib) if v.max_mib else None,
             grow=v.grow)
        for v in volumes
    ]  # fmt: skip
    try:
        return share(wishes, total)
    except InstallError as e:
        size = f"extents of {group.extent_kib} KiB"
        raise InstallError(
            f"not enough disk space in volume group {group.name}, in {size}: {e}"
        ) from e


def sgdisk(disk: str, places: Sequence[Slot]) -> list[str]:
    """One call that makes a fresh GPT with every partition."""
    argv = ["sgdisk", "--zap-all", "--clear", "--set-alignment=2048"]
    for s in places:
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


def mkfs(fstype: str, device: str, uuid: str) -> list[str]:
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


def luks_format(device: str, luks: Luks, uuid: str) -> list[str]:
    """Format with LUKS2; the passphrase comes on stdin, never in argv."""
    return [
        "cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--uuid", uuid,
        "--pbkdf", luks.pbkdf, "--key-file", "-", device,
    ]  # fmt: skip


def luks_open(device: str, name: str) -> list[str]:
    """Open what ``luks_format`` made."""
    return ["cryptsetup", "open", "--type", "luks2", "--key-file", "-", device, name]


def lvm_group(group: Group, devices: Sequence[str]) -> list[list[str]]:
    """Make the physical volumes and the group on them."""
    size = f"{group.extent_kib}k"
    return [
        ["lvm", "pvcreate", "-y", "-ff", *devices],
        ["lvm", "vgcreate", "-y", "-s", size, group.name, *devices],
    ]


def lvm_volume(volume: Volume, count: int) -> list[str]:
    """Make one logical volume of ``count`` extents."""
    return ["lvm", "lvcreate", "-y", "-W", "y", "-l", str(count), "-n", volume.name, volume.group]


def mapper_name(group: str, volume: str) -> str:
    """The device mapper's name of a logical volume: hyphens inside a name are doubled."""
    return f"{group.replace('-', '--')}-{volume.replace('-', '--')}"


def mount_order(mounts: Sequence[str]) -> list[str]:
    """Mount points, parents first."""
    return sorted(mounts, key=lambda m: (m.rstrip("/").count("/"), m))


def disk_name(given: str) -> str:
    """A kickstart's name for a disk as a path below /dev."""
    name = given.removeprefix("/dev/")
    if not re.fullmatch(r"[A-Za-z0-9:._-]+(/[A-Za-z0-9:._-]+)*", name) or ".." in name:
        raise InstallError(f"not the name of a disk: {given!r}")
    return f"/dev/{name}"
