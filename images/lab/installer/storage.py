# SPDX-License-Identifier: GPL-2.0-or-later
"""Make partitions, LUKS, LVM and file systems, and mount them for the installation."""

import os
import shutil
import signal
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import layout
from .config_files import Mount
from .console import InstallerConsole
from .disks import InstallDisk
from .plan import InstallError, PartitionKind, StoragePlan, Volume
from .process import SYSROOT, append_log, run
from .storage_configuration import DiskLayout

_SHORT_TIMEOUT_S = 60
_LONG_TIMEOUT_S = 300
_MOUNT_TYPES = {"efi": "vfat"}
_LVM_DEVICES = Path("/etc/lvm/devices/system.devices")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallTarget:
    """The disk as it now is."""

    disk: str
    mounts: tuple[Mount, ...]
    """Parents first, swap last."""

    luks_uuids: tuple[str, ...]
    """UUIDs of the LUKS devices."""

    groups: tuple[str, ...]
    """LVM volume groups."""

    pv_devices: tuple[str, ...] = ()
    """Devices of the physical volumes."""

    def find_mount(self, point: str) -> Mount | None:
        """What is mounted there."""
        return next((m for m in self.mounts if m.mount == point), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileSystemRequest:
    """A file system to create."""

    device: str
    mount: str
    fstype: str
    options: str | None
    is_mapped: bool


def prepare_disk(disk_layout: DiskLayout, console: InstallerConsole) -> InstallTarget:
    """Erase, divide, format and mount, with blivet's line for each format.

    Raises:
        InstallError: a program failed.
    """
    storage, disk = disk_layout.storage, disk_layout.disk
    partition_extents = disk_layout.extents
    _erase(disk_layout.cleared)
    console.print_line(f"Creating disklabel on {disk.path}")
    run(layout.sgdisk_argv(disk.path, partition_extents), timeout_s=_SHORT_TIMEOUT_S, log="storage")
    _wait_for_devices([s.device(disk.path) for s in partition_extents])
    requests: list[_FileSystemRequest] = []
    device_by_pv: dict[str, str] = {}
    luks_uuids: list[str] = []
    for extent in partition_extents:
        p, device = extent.partition, extent.device(disk.path)
        run(["wipefs", "--all", "--quiet", device], timeout_s=_SHORT_TIMEOUT_S, log="storage")
        if p.kind is PartitionKind.PV:
            if p.luks is not None:
                luks_uuid = str(uuid.uuid4())
                luks_uuids.append(luks_uuid)
                name = f"luks-{luks_uuid}"
                secret = p.luks.passphrase
                console.print_line(f"Creating luks on {device}")
                for argv in (
                    layout.luks_format_argv(device, p.luks, luks_uuid),
                    layout.luks_open_argv(device, name),
                ):
                    run(argv, stdin=secret, timeout_s=_LONG_TIMEOUT_S, log="storage")
                device = f"/dev/mapper/{name}"
            console.print_line(f"Creating lvmpv on {device}")
            device_by_pv[p.mount] = device
        elif p.kind is PartitionKind.BIOSBOOT:
            console.print_line(f"Creating biosboot on {device}")
        else:
            requests.append(
                _FileSystemRequest(
                    device=device,
                    mount=p.mount,
                    fstype=p.fstype,
                    options=p.options,
                    is_mapped=False,
                )
            )
    requests += _create_volumes(storage, device_by_pv)
    for request in requests:
        console.print_line(f"Creating {request.fstype} on {request.device}")
    # Two at a time: blivet makes them one after the other, which costs seconds in emulation.
    with ThreadPoolExecutor(max_workers=2) as pool:
        unordered_mounts = tuple(pool.map(_create_filesystem, requests))
    order = layout.order_mounts([m.mount for m in unordered_mounts if not m.is_swap])
    mounts = sorted(
        unordered_mounts, key=lambda m: len(order) if m.is_swap else order.index(m.mount)
    )
    for m in (m for m in mounts if not m.is_swap):
        _mount(m)
    return InstallTarget(
        disk=disk.path,
        mounts=tuple(mounts),
        luks_uuids=tuple(luks_uuids),
        groups=tuple(g.name for g in storage.groups),
        pv_devices=tuple(device_by_pv.values()),
    )


def _erase(disks: Sequence[InstallDisk]) -> None:
    # Volume groups of an earlier system would hold the disk.
    run(["lvm", "vgchange", "-an"], timeout_s=_SHORT_TIMEOUT_S, ok=None, log="storage")
    for disk in disks:
        # The old partitions first: a new one in the same place would show the old data.
        name = disk.path.removeprefix("/dev/")
        old = sorted(f"/dev/{p.parent.name}" for p in Path("/sys/block", name).glob("*/partition"))
        run(
            ["wipefs", "--all", "--force", *old, disk.path],
            timeout_s=_SHORT_TIMEOUT_S,
            log="storage",
        )


def _wait_for_devices(devices: Sequence[str]) -> None:
    run(["udevadm", "settle", "--timeout=60"], timeout_s=90, ok=None, log="storage")
    missing = [d for d in devices if not Path(d).exists()]
    if missing:
        raise InstallError(f"the kernel shows no {', '.join(missing)} after partitioning")


def _create_volumes(storage: StoragePlan, device_by_pv: dict[str, str]) -> list[_FileSystemRequest]:
    """Make the volume groups and their volumes."""
    requests: list[_FileSystemRequest] = []
    for group in storage.groups:
        for argv in layout.lvm_group_argvs(group, [device_by_pv[pv] for pv in group.pvs]):
            run(argv, timeout_s=_SHORT_TIMEOUT_S, log="storage")
        query = ["lvm", "vgs", "--noheadings", "-o", "vg_extent_count", group.name]
        output = run(query, timeout_s=_SHORT_TIMEOUT_S, log="storage").output.split()
        if not output or not output[-1].isdigit():
            raise InstallError(f"lvm reports no size for volume group {group.name}")
        volumes = [v for v in storage.volumes if v.group == group.name]
        extent_counts = layout.compute_extents(group, volumes, int(output[-1]))
        for volume, count in zip(volumes, extent_counts, strict=True):
            run(layout.lvm_volume_argv(volume, count), timeout_s=_SHORT_TIMEOUT_S, log="storage")
            requests.append(_volume_request(volume))
    return requests


def _volume_request(volume: Volume) -> _FileSystemRequest:
    return _FileSystemRequest(
        device=f"/dev/mapper/{layout.mapper_name(volume.group, volume.name)}",
        mount=volume.mount,
        fstype=volume.fstype,
        options=volume.options,
        is_mapped=True,
    )


def _create_filesystem(request: _FileSystemRequest) -> Mount:
    fs_uuid = str(uuid.uuid4())
    if request.fstype == "efi":
        fs_uuid = f"{fs_uuid[:4]}-{fs_uuid[4:8]}".upper()
    argv = layout.mkfs_argv(request.fstype, request.device, fs_uuid)
    run(argv, timeout_s=_LONG_TIMEOUT_S, log="storage")
    return Mount(
        spec=request.device if request.is_mapped else f"UUID={fs_uuid}",
        device=request.device,
        mount=request.mount,
        fstype=_MOUNT_TYPES.get(request.fstype, request.fstype),
        options=request.options,
        uuid=fs_uuid,
    )


def _mount(m: Mount) -> None:
    mount_point = SYSROOT / m.mount.lstrip("/")
    mount_point.mkdir(parents=True, exist_ok=True)
    options = ["-o", m.options] if m.options else []
    argv = ["mount", "-t", m.fstype, *options, m.device, str(mount_point)]
    run(argv, timeout_s=_SHORT_TIMEOUT_S, log="storage")


def write_lvm_devices(target: InstallTarget) -> None:
    """Write the list of physical volumes that LVM in the new system is limited to."""
    argv = ["lvm", "lvmdevices", "--yes", "--config", "devices/use_devicesfile=1", "--adddev"]
    for device in target.pv_devices:
        run([*argv, device], timeout_s=_SHORT_TIMEOUT_S, log="storage")
    if _LVM_DEVICES.exists():
        copy = SYSROOT / _LVM_DEVICES.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_LVM_DEVICES, copy)
        copy.chmod(0o600)


def bind_kernel_filesystems() -> None:
    """Bind-mount the kernel's file systems into the new system."""
    for name in ("proc", "sys", "dev", "run"):
        mount_point = SYSROOT / name
        mount_point.mkdir(exist_ok=True)
        run(["mount", "--rbind", f"/{name}", str(mount_point)], timeout_s=_SHORT_TIMEOUT_S)
        run(["mount", "--make-rslave", str(mount_point)], timeout_s=_SHORT_TIMEOUT_S)


def _kill_remaining_processes() -> None:
    """End what scripts and packages left running in the new system: it would stay busy."""
    for entry in Path("/proc").glob("[0-9]*"):
        for name in ("root", "cwd"):
            try:
                is_inside = (entry / name).readlink().is_relative_to(SYSROOT)
            except OSError:
                break
            if is_inside:
                append_log("anaconda", f"ending process {entry.name}, left in the new system")
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
                break


def unmount_all(target: InstallTarget) -> None:
    """Unmount everything, in order; what is still busy is an error."""
    _kill_remaining_processes()
    for name in ("run", "dev", "sys", "proc"):
        run(["umount", "--recursive", "--lazy", str(SYSROOT / name)], timeout_s=_SHORT_TIMEOUT_S)
    for m in reversed([m for m in target.mounts if not m.is_swap]):
        run(["umount", str(SYSROOT / m.mount.lstrip("/"))], timeout_s=_LONG_TIMEOUT_S)
    for group in target.groups:
        run(["lvm", "vgchange", "-an", group], timeout_s=_SHORT_TIMEOUT_S, log="storage")
    for luks_uuid in target.luks_uuids:
        run(["cryptsetup", "close", f"luks-{luks_uuid}"], timeout_s=_SHORT_TIMEOUT_S, log="storage")
    run(["sync"], timeout_s=_LONG_TIMEOUT_S)
