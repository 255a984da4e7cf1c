# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage commands of a kickstart -> ``Storage``, checked for sense."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .plan import Group, Kind, Luks, MiB, Partition, Storage, Volume
from .reader import Command

_FILESYSTEMS = ("xfs", "ext4")
_KINDS = {
    "biosboot": Kind.BIOSBOOT,
    "efi": Kind.EFI,
    "swap": Kind.SWAP,
}
_FIPS_PASSPHRASE = 8
_LEAST_MIB = {"xfs": 300, "efi": 34}
_ESP_OPTIONS = "umask=0077,shortname=winnt"
_OPTION = re.compile(r"[A-Za-z0-9_.:+=@/-]+(,[A-Za-z0-9_.:+=@/-]+)*")

Complain = Callable[[int, str], None]


def storage(commands: Iterable[Command], *, fips: bool, complain: Complain) -> Storage:
    """What the storage commands ask for; what makes no sense goes to ``complain``."""
    rows = tuple(commands)
    parts = [c for c in rows if c.name in ("part", "partition")]
    partitions = [*_required(rows), *(_partition(c, fips=fips, complain=complain) for c in parts)]
    groups = tuple(_group(c) for c in rows if c.name == "volgroup")
    volumes = tuple(_volume(c, complain) for c in rows if c.name == "logvol")
    only, ignore = _ignored(rows)
    found = Storage(
        disk=_disk(rows, parts, complain),
        clear=_cleared(rows, complain),
        only_use=only,
        ignore=ignore,
        partitions=tuple(partitions),
        groups=groups,
        volumes=volumes,
    )
    _check(found, rows, complain)
    return found


def _required(rows: tuple[Command, ...]) -> list[Partition]:
    """What ``reqpart`` stands for: the lab's disks start by BIOS and by UEFI."""
    asked = [c for c in rows if c.name == "reqpart"]
    if not asked:
        return []
    made = [
        Partition(kind=Kind.BIOSBOOT, mount="biosboot", fstype="biosboot", size_mib=MiB(1)),
        Partition(kind=Kind.EFI, mount="/boot/efi", fstype="efi", size_mib=MiB(600),
                  options=_ESP_OPTIONS),
    ]  # fmt: skip
    if asked[-1].data.addBoot:
        made.append(
            Partition(kind=Kind.FILESYSTEM, mount="/boot", fstype="xfs", size_mib=MiB(1024))
        )
    return made


def _partition(command: Command, *, fips: bool, complain: Complain) -> Partition:
    d, line = command.data, command.line
    if re.fullmatch(r"pv\.\S+", d.mountpoint):
        kind, fstype = Kind.PV, "lvmpv"
    else:
        fstype = d.fstype or ("swap" if d.mountpoint == "swap" else "xfs")
        if d.mountpoint in ("biosboot", "swap"):
            fstype = d.mountpoint
        kind = _KINDS.get(fstype, Kind.FILESYSTEM)
    _check_mount(command, d.mountpoint, fstype, complain)
    if not d.size:
        complain(line, f"part {d.mountpoint}: --size is missing")
    return Partition(
        kind=kind,
        mount="biosboot" if kind is Kind.BIOSBOOT else d.mountpoint,
        fstype=fstype,
        size_mib=MiB(d.size or 1),
        max_mib=MiB(d.maxSizeMB) if d.maxSizeMB else None,
        grow=bool(d.grow),
        options=_options(command, complain),
        luks=_luks(command, fips=fips, complain=complain),
    )


def _luks(command: Command, *, fips: bool, complain: Complain) -> Luks | None:
    d, line = command.data, command.line
    if not d.encrypted:
        if d.passphrase or d.luks_version or d.pbkdf:
            complain(line, f"part {d.mountpoint}: LUKS options without --encrypted")
        return None
    if not d.mountpoint.startswith("pv."):
        complain(line, f"part {d.mountpoint}: only a physical volume (pv.NN) can be encrypted")
    if d.luks_version not in ("", "luks2"):
        complain(line, f"part {d.mountpoint}: --luks-version={d.luks_version} is not implemented")
    if d.pbkdf not in ("", "pbkdf2", "argon2id"):
        complain(line, f"part {d.mountpoint}: --pbkdf={d.pbkdf} is not implemented")
    if fips and d.pbkdf == "argon2id":
        complain(line, f"part {d.mountpoint}: FIPS mode needs --pbkdf=pbkdf2")
    if not d.passphrase:
        complain(line, f"part {d.mountpoint}: --encrypted needs --passphrase")
    elif fips and len(d.passphrase) < _FIPS_PASSPHRASE:
        complain(line, f"part {d.mountpoint}: FIPS mode needs a passphrase of 8 characters or more")
    return Luks(passphrase=d.passphrase, pbkdf="pbkdf2" if fips else d.pbkdf or "argon2id")


def _group(command: Command) -> Group:
    d = command.data
    return Group(name=d.vgname, pvs=tuple(d.physvols), extent_kib=d.pesize or 4096)


def _volume(command: Command, complain: Complain) -> Volume:
    d = command.data
    fstype = "swap" if d.mountpoint == "swap" else d.fstype or "xfs"
    _check_mount(command, d.mountpoint, fstype, complain)
    if not d.size:
        complain(command.line, f"logvol {d.mountpoint}: --size is missing")
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", d.name or ""):
        complain(command.line, f"logvol {d.mountpoint}: not a volume's name: {d.name!r}")
    return Volume(
        mount=d.mountpoint,
        group=d.vgname,
        name=d.name or "",
        fstype=fstype,
        size_mib=MiB(d.size or 1),
        max_mib=MiB(d.maxSizeMB) if d.maxSizeMB else None,
        grow=bool(d.grow),
        options=_options(command, complain),
    )


def _check_mount(command: Command, mount: str, fstype: str, complain: Complain) -> None:
    where, line = f"{command.name} {mount}", command.line
    least = _LEAST_MIB.get(fstype, 0)
    if 0 < (command.data.size or 0) < least and not command.data.grow:
        complain(line, f"{where}: {fstype} needs at least {least} MiB")
    if mount.startswith("pv.") and command.name != "logvol":
        return
    if fstype in _KINDS:
        fixed = {"biosboot": "biosboot", "efi": "/boot/efi", "swap": "swap"}[fstype]
        if mount != fixed:
            complain(line, f"{where}: --fstype={fstype} is for {fixed} only")
    elif fstype not in _FILESYSTEMS:
        complain(line, f"{where}: no file system {fstype!r}: expected xfs or ext4")
    elif not re.fullmatch(r"/|(/[A-Za-z0-9_.-]+)+", mount) or "/.." in mount:
        complain(line, f"{where}: not a mount point")


def _options(command: Command, complain: Complain) -> str | None:
    given = command.data.fsopts
    if given and not _OPTION.fullmatch(given):
        complain(command.line, f"{command.name}: not mount options: {given!r}")
    return given or None


def _disk(rows: tuple[Command, ...], parts: list[Command], complain: Complain) -> str | None:
    named = {c.data.disk for c in parts if c.data.disk}
    named |= {c.data.bootDrive for c in rows if c.name == "bootloader" and c.data.bootDrive}
    if len(named) > 1:
        complain(0, f"partitions on more than one disk are not implemented: {sorted(named)}")
    return min(named) if named else None


def _cleared(rows: tuple[Command, ...], complain: Complain) -> tuple[str, ...]:
    found = [c for c in rows if c.name == "clearpart"]
    if not found or "--all" not in found[0].given:
        line = found[0].line if found else 0
        complain(line, "clearpart --all is needed: keeping partitions is not implemented")
        return ()
    data = found[0].data
    if data.disklabel not in ("", "gpt"):
        complain(found[0].line, f"clearpart: --disklabel={data.disklabel} is not implemented")
    return tuple(data.drives)


def _ignored(rows: tuple[Command, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found: list[Any] = [c.data for c in rows if c.name == "ignoredisk"]
    only = tuple(d for x in found for d in x.onlyuse or ())
    return only, tuple(d for x in found for d in x.ignoredisk or ())


def _check(found: Storage, rows: tuple[Command, ...], complain: Complain) -> None:
    of_pv = Counter(pv for g in found.groups for pv in g.pvs)
    pvs = {p.mount for p in found.partitions if p.kind is Kind.PV}
    for c in (c for c in rows if c.name == "volgroup"):
        for pv in c.data.physvols:
            if pv not in pvs:
                complain(c.line, f"volgroup {c.data.vgname}: no partition {pv}")
    for pv in sorted(pvs):
        if of_pv[pv] != 1:
            complain(0, f"{pv}: belongs to {of_pv[pv]} volume groups, expected 1")
    names = {g.name for g in found.groups}
    for c in (c for c in rows if c.name == "logvol"):
        if c.data.vgname not in names:
            complain(c.line, f"logvol {c.data.mountpoint}: no volgroup {c.data.vgname!r}")
    _check_twice(found, complain)
    if "/" not in _mounts(found):
        complain(0, "nothing is mounted at /")
    if not (found.has(Kind.BIOSBOOT) or found.has(Kind.EFI)):
        complain(0, "a biosboot or a /boot/efi partition is needed to start the system")
    in_luks = any(p.luks for p in found.partitions)
    if in_luks and "/boot" not in {p.mount for p in found.partitions}:
        complain(0, "/boot must be a partition of its own when the rest is encrypted")


def _mounts(found: Storage) -> list[str]:
    return [p.mount for p in found.partitions] + [v.mount for v in found.volumes]


def _check_twice(found: Storage, complain: Complain) -> None:
    mounts = Counter(m for m in _mounts(found) if m != "swap")
    names = Counter(f"{v.group}/{v.name}" for v in found.volumes)
    groups = Counter(g.name for g in found.groups)
    for what, seen in (("mount point", mounts), ("volume", names), ("volgroup", groups)):
        for name in (n for n, count in seen.items() if count > 1):
            complain(0, f"{what} {name} is given more than once")
