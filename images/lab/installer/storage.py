# SPDX-License-Identifier: GPL-2.0-or-later
"""Make partitions, LUKS, LVM and file systems, and mount them for the installation."""

import os
import signal
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import layout
from .console import Console
from .disks import Disk, choose, present
from .plan import InstallError, Kind, Storage, Volume
from .proc import SYSROOT, note, run
from .texts import Mount

_FAST_S = 60
_SLOW_S = 300
_AS_MOUNTED = {"efi": "vfat"}
_ESP_OPTIONS = "umask=0077,shortname=winnt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The disk as it now is."""

    disk: str
    mounts: tuple[Mount, ...]
    """Parents first, swap last."""

    luks: tuple[str, ...]
    """UUIDs of the LUKS devices."""

    groups: tuple[str, ...]
    """LVM volume groups."""

    def at(self, point: str) -> Mount | None:
        """What is mounted there."""
        return next((m for m in self.mounts if m.mount == point), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A file system to be made."""

    device: str
    mount: str
    fstype: str
    options: str | None
    mapped: bool


def prepare(storage: Storage, console: Console) -> Target:
    """Erase, divide, format and mount.

    Raises:
        InstallError: a disk is missing or too small, or a program failed.
    """
    disk, cleared = choose(storage, present())
    console.say(f"installing to {disk}; erasing {', '.join(map(str, cleared))}")
    slots = layout.slots(storage.partitions, disk.size_mib, str(disk))
    for group in storage.groups:
        layout.need_room(group, [v for v in storage.volumes if v.group == group.name], slots)
    _erase(cleared)
    run(layout.sgdisk(disk.path, slots), timeout_s=_FAST_S, log="storage")
    _settle([s.device(disk.path) for s in slots])
    wanted: list[_Wanted] = []
    physical: dict[str, str] = {}
    luks: list[str] = []
    for slot in slots:
        p, device = slot.partition, slot.device(disk.path)
        run(["wipefs", "--all", "--quiet", device], timeout_s=_FAST_S, log="storage")
        if p.kind is Kind.PV:
            if p.luks is not None:
                identity = str(uuid.uuid4())
                luks.append(identity)
                name = f"luks-{identity}"
                secret = p.luks.passphrase
                console.say(f"encrypting {device} (LUKS2, {p.luks.pbkdf})")
                for argv in (
                    layout.luks_format(device, p.luks, identity),
                    layout.luks_open(device, name),
                ):
                    run(argv, stdin=secret, timeout_s=_SLOW_S, log="storage")
                device = f"/dev/mapper/{name}"
            physical[p.mount] = device
        elif p.kind is not Kind.BIOSBOOT:
            wanted.append(
                _Wanted(
                    device=device, mount=p.mount, fstype=p.fstype, options=p.options, mapped=False
                )
            )
    wanted += _volumes(storage, physical)
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = tuple(pool.map(_format, wanted))
    order = layout.mount_order([m.mount for m in made if not m.is_swap])
    mounts = sorted(made, key=lambda m: len(order) if m.is_swap else order.index(m.mount))
    for m in (m for m in mounts if not m.is_swap):
        _mount(m)
    return Target(
        disk=disk.path,
        mounts=tuple(mounts),
        luks=tuple(luks),
        groups=tuple(g.name for g in storage.groups),
    )


def _erase(disks: Sequence[Disk]) -> None:
    # Volume groups of an earlier system would hold the disk.
    run(["lvm", "vgchange", "-an"], timeout_s=_FAST_S, ok=None, log="storage")
    for disk in disks:
        # The old partitions first: a new one in the same place would show the old data.
        name = disk.path.removeprefix("/dev/")
        old = sorted(f"/dev/{p.parent.name}" for p in Path("/sys/block", name).glob("*/partition"))
        run(["wipefs", "--all", "--force", *old, disk.path], timeout_s=_FAST_S, log="storage")


def _settle(devices: Sequence[str]) -> None:
    run(["udevadm", "settle", "--timeout=60"], timeout_s=90, ok=None, log="storage")
    missing = [d for d in devices if not Path(d).exists()]
    if missing:
        raise InstallError(f"the kernel shows no {', '.join(missing)} after partitioning")


def _volumes(storage: Storage, physical: dict[str, str]) -> list[_Wanted]:
    """Make the volume groups and their volumes."""
    wanted: list[_Wanted] = []
    for group in storage.groups:
        for argv in layout.lvm_group(group, [physical[pv] for pv in group.pvs]):
            run(argv, timeout_s=_FAST_S, log="storage")
        query = ["lvm", "vgs", "--noheadings", "-o", "vg_extent_count", group.name]
        total = run(query, timeout_s=_FAST_S, log="storage").out.split()
        if not total or not total[-1].isdigit():
            raise InstallError(f"lvm does not tell the size of volume group {group.name}")
        volumes = [v for v in storage.volumes if v.group == group.name]
        counts = layout.extents(group, volumes, int(total[-1]))
        for volume, count in zip(volumes, counts, strict=True):
            run(layout.lvm_volume(volume, count), timeout_s=_FAST_S, log="storage")
            wanted.append(_of_volume(volume))
    return wanted


def _of_volume(volume: Volume) -> _Wanted:
    return _Wanted(
        device=f"/dev/mapper/{layout.mapper_name(volume.group, volume.name)}",
        mount=volume.mount,
        fstype=volume.fstype,
        options=volume.options,
        mapped=True,
    )


def _format(wanted: _Wanted) -> Mount:
    identity = str(uuid.uuid4())
    if wanted.fstype == "efi":
        identity = f"{identity[:4]}-{identity[4:8]}".upper()
    argv = layout.mkfs(wanted.fstype, wanted.device, identity)
    run(argv, timeout_s=_SLOW_S, log="storage")
    default = _ESP_OPTIONS if wanted.fstype == "efi" else None
    return Mount(
        spec=wanted.device if wanted.mapped else f"UUID={identity}",
        device=wanted.device,
        mount=wanted.mount,
        fstype=_AS_MOUNTED.get(wanted.fstype, wanted.fstype),
        options=wanted.options or default,
        uuid=identity,
    )


def _mount(m: Mount) -> None:
    point = SYSROOT / m.mount.lstrip("/")
    point.mkdir(parents=True, exist_ok=True)
    options = ["-o", m.options] if m.options else []
    argv = ["mount", "-t", m.fstype, *options, m.device, str(point)]
    run(argv, timeout_s=_FAST_S, log="storage")


def bind_kernel() -> None:
    """Show the kernel's file systems inside the new system."""
    for name in ("proc", "sys", "dev", "run"):
        point = SYSROOT / name
        point.mkdir(exist_ok=True)
        run(["mount", "--rbind", f"/{name}", str(point)], timeout_s=_FAST_S)
        run(["mount", "--make-rslave", str(point)], timeout_s=_FAST_S)


def _evict() -> None:
    """End what scripts and packages left running in the new system: it would stay busy."""
    for entry in Path("/proc").glob("[0-9]*"):
        for name in ("root", "cwd"):
            try:
                inside = (entry / name).readlink().is_relative_to(SYSROOT)
            except OSError:
                break
            if inside:
                note("anaconda", f"ending process {entry.name}, left in the new system")
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
                break


def release(target: Target) -> None:
    """Unmount everything, in order; what is still busy is an error."""
    _evict()
    for name in ("run", "dev", "sys", "proc"):
        run(["umount", "--recursive", "--lazy", str(SYSROOT / name)], timeout_s=_FAST_S)
    for m in reversed([m for m in target.mounts if not m.is_swap]):
        run(["umount", str(SYSROOT / m.mount.lstrip("/"))], timeout_s=_SLOW_S)
    for group in target.groups:
        run(["lvm", "vgchange", "-an", group], timeout_s=_FAST_S, log="storage")
    for identity in target.luks:
        run(["cryptsetup", "close", f"luks-{identity}"], timeout_s=_FAST_S, log="storage")
    run(["sync"], timeout_s=_SLOW_S)
