# SPDX-License-Identifier: GPL-2.0-or-later
"""List the guest's disks and select those that the kickstart names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .layout import to_device_path
from .plan import InstallError, MiB, StoragePlan

_EXCLUDED_PREFIXES = ("loop", "ram", "zram", "dm-", "sr", "fd", "md", "nbd", "mtd")
_REPO = "/run/install/repo"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallDisk:
    """A disk that could be installed to."""

    path: str
    size_mib: MiB

    def __str__(self) -> str:
        return f"{self.path.removeprefix('/dev/')} ({self.size_mib} MiB)"


def list_disks(sys_block: Path = Path("/sys/block")) -> tuple[InstallDisk, ...]:
    """All writable disks but the one that holds the media."""
    media = _media_disk()
    disks: list[InstallDisk] = []
    for entry in sorted(sys_block.iterdir()):
        sectors = int((entry / "size").read_text())
        is_usable = (entry / "ro").read_text().strip() == "0" and sectors > 0
        if is_usable and not entry.name.startswith(_EXCLUDED_PREFIXES) and entry.name != media:
            disks.append(InstallDisk(path=f"/dev/{entry.name}", size_mib=MiB(sectors // 2048)))
    return tuple(disks)


def choose_disks(
    storage: StoragePlan, disks: Sequence[InstallDisk], names: Mapping[str, str] | None = None
) -> tuple[InstallDisk, tuple[InstallDisk, ...]]:
    """The disk to install to, and all that are to be erased.

    ``names`` maps names of the kickstart to devices; by default the links in /dev do.

    Raises:
        InstallError: a disk that the kickstart names does not exist, or no disk is usable.
    """
    by_path = {d.path: d for d in disks}
    available = ", ".join(map(str, disks)) or "none"

    def find(name: str) -> InstallDisk:
        path = to_device_path(name)
        device = names.get(path, path) if names is not None else os.path.realpath(path)
        if device not in by_path:
            raise InstallError(
                f"the disk {name!r} of the kickstart does not exist; available: {available}"
            )
        return by_path[device]

    allowed = [find(n) for n in storage.only_use]
    ignored = [find(n) for n in storage.ignore]
    usable = [d for d in (allowed or disks) if d not in ignored]
    if not usable:
        raise InstallError(f"no disk to install to; available: {available}")
    target = find(storage.disk) if storage.disk else None
    cleared = tuple(find(n) for n in storage.clear) or tuple(usable)
    target = target or next((d for d in usable if d in cleared), usable[0])
    for disk in (target, *cleared):
        if disk not in usable:
            raise InstallError(f"{disk} is excluded by ignoredisk, yet the kickstart names it")
    if target not in cleared:
        raise InstallError(f"{target} is to be installed to, but clearpart does not clear it")
    return target, cleared


def _media_disk() -> str:
    """The name of the disk that the media is mounted from, or nothing."""
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        device, point, *_ = line.split(" ")
        if point == _REPO and device.startswith("/dev/"):
            entry = Path("/sys/class/block", Path(device).name).resolve()
            return entry.parent.name if (entry / "partition").exists() else entry.name
    return ""
