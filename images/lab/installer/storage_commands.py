# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage commands of a kickstart -> ``StoragePlan``."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from .plan import (
    Firmware,
    Luks,
    MiB,
    PartitionKind,
    PartitionSpec,
    StoragePlan,
    Volume,
    VolumeGroup,
)
from .reader import ParsedCommand
from .storage_references import find_reference_problems

_FILESYSTEMS = ("xfs", "ext4")
_KIND_BY_FSTYPE = {
    "biosboot": PartitionKind.BIOSBOOT,
    "efi": PartitionKind.EFI,
    "swap": PartitionKind.SWAP,
}
_MIN_FIPS_PASSPHRASE_LENGTH = 8
ESP_OPTIONS = "defaults,uid=0,gid=0,umask=077,shortname=winnt"
"""What Anaconda writes for ``part /boot/efi``, whatever ``--fsoptions`` has."""

_REQPART_ESP_OPTIONS = "umask=0077,shortname=winnt"
"""blivet's own, which ``reqpart`` leaves as they are."""

_OPTION = re.compile(r"[A-Za-z0-9_.:+=@/-]+(,[A-Za-z0-9_.:+=@/-]+)*")

ReportProblem = Callable[[int, str], None]


def build_storage(
    commands: Iterable[ParsedCommand],
    *,
    fips: bool,
    firmware: Firmware,
    report_problem: ReportProblem,
) -> StoragePlan:
    """What the storage commands ask for; what cannot be read goes to ``report_problem``."""
    command_list = tuple(commands)
    part_commands = [c for c in command_list if c.name in ("part", "partition")]
    partitions = [
        *_expand_reqpart(command_list, firmware),
        *(_parse_partition(c, fips=fips, report_problem=report_problem) for c in part_commands),
    ]
    groups = tuple(_parse_group(c) for c in command_list if c.name == "volgroup")
    volumes = tuple(_parse_volume(c, report_problem) for c in command_list if c.name == "logvol")
    only, ignore = _parse_ignoredisk(command_list)
    return StoragePlan(
        disk=_find_disk(command_list, part_commands, report_problem),
        clear=_parse_clearpart(command_list, report_problem),
        only_use=only,
        ignore=ignore,
        partitions=tuple(partitions),
        groups=groups,
        volumes=volumes,
        problems=find_reference_problems(partitions, groups, volumes),
    )


def _expand_reqpart(commands: tuple[ParsedCommand, ...], firmware: Firmware) -> list[PartitionSpec]:
    """Return the partitions of ``reqpart``: what the firmware needs, and /boot."""
    reqparts = [c for c in commands if c.name == "reqpart"]
    if not reqparts:
        return []
    biosboot = PartitionSpec(
        kind=PartitionKind.BIOSBOOT, mount="biosboot", fstype="biosboot", size_mib=MiB(1)
    )
    esp = PartitionSpec(
        kind=PartitionKind.EFI,
        mount="/boot/efi",
        fstype="efi",
        size_mib=MiB(200),
        max_mib=MiB(600),
        grow=True,
        options=_REQPART_ESP_OPTIONS,
    )
    partitions = [esp if firmware is Firmware.UEFI else biosboot]
    if reqparts[-1].data.addBoot:
        partitions.append(
            PartitionSpec(
                kind=PartitionKind.FILESYSTEM, mount="/boot", fstype="xfs", size_mib=MiB(1024)
            )
        )
    return partitions


def _parse_partition(
    command: ParsedCommand, *, fips: bool, report_problem: ReportProblem
) -> PartitionSpec:
    d, line = command.data, command.line
    if re.fullmatch(r"pv\.\S+", d.mountpoint):
        kind, fstype = PartitionKind.PV, "lvmpv"
    else:
        fstype = d.fstype or ("swap" if d.mountpoint == "swap" else "xfs")
        if d.mountpoint in ("biosboot", "swap"):
            fstype = d.mountpoint
        kind = _KIND_BY_FSTYPE.get(fstype, PartitionKind.FILESYSTEM)
    _check_mount(command, d.mountpoint, fstype, report_problem)
    if not d.size:
        report_problem(line, f"part {d.mountpoint}: --size is missing")
    return PartitionSpec(
        kind=kind,
        mount="biosboot" if kind is PartitionKind.BIOSBOOT else d.mountpoint,
        fstype=fstype,
        size_mib=MiB(d.size or 1),
        max_mib=MiB(d.maxSizeMB) if d.maxSizeMB else None,
        grow=bool(d.grow),
        options=_parse_partition_options(command, report_problem),
        luks=_parse_luks(command, fips=fips, report_problem=report_problem),
    )


def _parse_luks(
    command: ParsedCommand, *, fips: bool, report_problem: ReportProblem
) -> Luks | None:
    d, line = command.data, command.line
    if not d.encrypted:
        if d.passphrase or d.luks_version or d.pbkdf:
            report_problem(line, f"part {d.mountpoint}: LUKS options without --encrypted")
        return None
    if not d.mountpoint.startswith("pv."):
        report_problem(
            line, f"part {d.mountpoint}: only a physical volume (pv.NN) can be encrypted"
        )
    if d.luks_version not in ("", "luks2"):
        report_problem(
            line, f"part {d.mountpoint}: --luks-version={d.luks_version} is not implemented"
        )
    if d.pbkdf not in ("", "pbkdf2", "argon2id"):
        report_problem(line, f"part {d.mountpoint}: --pbkdf={d.pbkdf} is not implemented")
    if fips and d.pbkdf == "argon2id":
        report_problem(line, f"part {d.mountpoint}: FIPS mode needs --pbkdf=pbkdf2")
    if not d.passphrase:
        report_problem(line, f"part {d.mountpoint}: --encrypted needs --passphrase")
    elif fips and len(d.passphrase) < _MIN_FIPS_PASSPHRASE_LENGTH:
        report_problem(
            line,
            f"Passphrase given in the {command.name} command is too short in FIPS mode. "
            f"Please use at least {_MIN_FIPS_PASSPHRASE_LENGTH} characters.",
        )
    return Luks(passphrase=d.passphrase, pbkdf="pbkdf2" if fips else d.pbkdf or "argon2id")


def _parse_group(command: ParsedCommand) -> VolumeGroup:
    d = command.data
    return VolumeGroup(name=d.vgname, pvs=tuple(d.physvols), extent_kib=d.pesize or 4096)


def _parse_volume(command: ParsedCommand, report_problem: ReportProblem) -> Volume:
    d = command.data
    fstype = "swap" if d.mountpoint == "swap" else d.fstype or "xfs"
    _check_mount(command, d.mountpoint, fstype, report_problem)
    if not d.size:
        report_problem(command.line, f"logvol {d.mountpoint}: --size is missing")
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", d.name or ""):
        report_problem(command.line, f"logvol {d.mountpoint}: not a volume's name: {d.name!r}")
    return Volume(
        mount=d.mountpoint,
        group=d.vgname,
        name=d.name or "",
        fstype=fstype,
        size_mib=MiB(d.size or 1),
        max_mib=MiB(d.maxSizeMB) if d.maxSizeMB else None,
        grow=bool(d.grow),
        options=_parse_options(command, report_problem),
    )


def _check_mount(
    command: ParsedCommand, mount: str, fstype: str, report_problem: ReportProblem
) -> None:
    label, line = f"{command.name} {mount}", command.line
    if mount.startswith("pv.") and command.name != "logvol":
        return
    if fstype in _KIND_BY_FSTYPE:
        expected = {"biosboot": "biosboot", "efi": "/boot/efi", "swap": "swap"}[fstype]
        if mount != expected:
            report_problem(line, f"{label}: --fstype={fstype} is for {expected} only")
    elif fstype not in _FILESYSTEMS:
        report_problem(line, f"{label}: no file system {fstype!r}: expected xfs or ext4")
    elif not re.fullmatch(r"/|(/[A-Za-z0-9_.-]+)+", mount) or "/.." in mount:
        report_problem(line, f"{label}: not a mount point")


def _parse_partition_options(command: ParsedCommand, report_problem: ReportProblem) -> str | None:
    options = _parse_options(command, report_problem)
    return ESP_OPTIONS if command.data.mountpoint == "/boot/efi" else options


def _parse_options(command: ParsedCommand, report_problem: ReportProblem) -> str | None:
    options = command.data.fsopts
    if options and not _OPTION.fullmatch(options):
        report_problem(command.line, f"{command.name}: not mount options: {options!r}")
    return options or None


def _find_disk(
    commands: tuple[ParsedCommand, ...], parts: list[ParsedCommand], report_problem: ReportProblem
) -> str | None:
    disks = {c.data.disk for c in parts if c.data.disk}
    disks |= {c.data.bootDrive for c in commands if c.name == "bootloader" and c.data.bootDrive}
    if len(disks) > 1:
        report_problem(0, f"partitions on more than one disk are not implemented: {sorted(disks)}")
    return min(disks) if disks else None


def _parse_clearpart(
    commands: tuple[ParsedCommand, ...], report_problem: ReportProblem
) -> tuple[str, ...]:
    clearparts = [c for c in commands if c.name == "clearpart"]
    if not clearparts or "--all" not in clearparts[0].options:
        line = clearparts[0].line if clearparts else 0
        report_problem(line, "clearpart --all is needed: keeping partitions is not implemented")
        return ()
    data = clearparts[0].data
    if data.disklabel not in ("", "gpt"):
        report_problem(
            clearparts[0].line, f"clearpart: --disklabel={data.disklabel} is not implemented"
        )
    return tuple(data.drives)


def _parse_ignoredisk(
    commands: tuple[ParsedCommand, ...],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    entries: list[Any] = [c.data for c in commands if c.name == "ignoredisk"]
    only = tuple(d for x in entries for d in x.onlyuse or ())
    return only, tuple(d for x in entries for d in x.ignoredisk or ())
