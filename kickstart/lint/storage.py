"""Lint rules for partitions, volumes and mount options."""

import re
from collections.abc import Iterator

from hardpan.kickstart.syntax import KickstartCommand, KickstartDocument, LintProblem
from hardpan.profiles.constraints.stig_requirements import REQUIRED_OPTIONS

_FSTYPES = (
    *("biosboot", "efi", "ext2", "ext3", "ext4", "lvmpv", "prepboot", "swap", "vfat", "xfs"),
)
_FSOPTIONS = frozenset(
    {
        *("async", "atime", "auto", "defaults", "dev", "diratime", "discard", "exec", "lazytime"),
        *("noatime", "noauto", "nodev", "nodiratime", "noexec", "nofail", "nosuid", "nouser"),
        *("relatime", "ro", "rw", "strictatime", "suid", "sync", "user", "x-initrd.mount"),
        *("acl", "user_xattr", "data", "journal_checksum", "barrier", "commit", "errors"),
        *("gquota", "inode64", "largeio", "logbsize", "logbufs", "pquota", "prjquota", "uquota"),
        *("dmask", "fmask", "gid", "iocharset", "shortname", "uid", "umask", "utf8"),
        *("pri", "x-systemd.automount", "x-systemd.device-timeout", "size", "mode", "context"),
    }
)
_SHM = "/dev/shm"  # noqa: S108
_ESP = "/boot/efi"
_ESP_OPTIONS = re.compile(r"^for option in (?P<options>.+); do$", re.MULTILINE)
"""Line of the %post that adds mount options to the ESP's line in /etc/fstab."""


def storage_problems(document: KickstartDocument) -> Iterator[LintProblem]:
    """Yield the storage problems of ``document``."""
    yield from _check_automatic_partitioning(document)
    yield from _check_volumes(document)
    for command in document.commands_named("part", "partition", "logvol"):
        yield from _check_file_system(command)
    for option in _esp_options(document):
        if not _is_valid_option(option):
            yield LintProblem(line=0, text=f"unknown mount option {option!a} of {_ESP} in a %post")
    yield from _check_mounts(document)


def _check_automatic_partitioning(document: KickstartDocument) -> Iterator[LintProblem]:
    for command in document.commands_named("autopart", "reqpart"):
        yield LintProblem(
            line=command.line,
            text=f"{command.name} cannot set mount options; list every partition",
        )


def _check_volumes(document: KickstartDocument) -> Iterator[LintProblem]:
    partitions = {
        c.arguments[0] for c in document.commands_named("part", "partition") if c.arguments
    }
    groups: set[str] = set()
    for group in document.commands_named("volgroup"):
        groups.update(group.arguments[:1])
        for physical in group.arguments[1:]:
            if physical not in partitions:
                yield LintProblem(
                    line=group.line, text=f"volgroup on {physical}, which no part defines"
                )
    volume_names: set[tuple[str, str]] = set()
    for volume in document.commands_named("logvol"):
        group_name, name = volume.options.get("vgname", ""), volume.options.get("name", "")
        if group_name not in groups:
            yield LintProblem(
                line=volume.line,
                text=f"logvol in the volume group {group_name!a}, which no volgroup defines",
            )
        if (group_name, name) in volume_names:
            yield LintProblem(line=volume.line, text=f"a second logical volume {name!a}")
        volume_names.add((group_name, name))


def _check_file_system(command: KickstartCommand) -> Iterator[LintProblem]:
    fstype = command.options.get("fstype")
    if fstype is not None and fstype not in _FSTYPES:
        yield LintProblem(line=command.line, text=f"unknown file system {fstype!a}")
    for option in _mount_options(command):
        if not _is_valid_option(option):
            yield LintProblem(line=command.line, text=f"unknown mount option {option!a}")


def _check_mounts(document: KickstartDocument) -> Iterator[LintProblem]:
    mount_points: set[str] = set()
    for command in document.commands_named("part", "partition", "logvol"):
        mount = command.arguments[0] if command.arguments else ""
        if mount in mount_points and mount != "swap":
            yield LintProblem(line=command.line, text=f"a second {mount}")
        mount_points.add(mount)
        options = _mount_options(command)
        if mount == _ESP:
            yield from _check_esp_command(command)
            options = _esp_options(document)
        missing = [o for o in REQUIRED_OPTIONS.get(mount, ()) if o not in options]
        if missing:
            yield LintProblem(
                line=command.line, text=f"{mount} without {','.join(missing)}, required by the STIG"
            )
    if "/" not in mount_points:
        yield LintProblem(line=0, text="expected a root partition, got none")
    yield from _check_shared_memory(document)


def _check_esp_command(command: KickstartCommand) -> Iterator[LintProblem]:
    if "fsoptions" in command.options:
        yield LintProblem(
            line=command.line,
            text=f"Anaconda replaces --fsoptions of {_ESP}; expected a %post that edits /etc/fstab",
        )


def _esp_options(document: KickstartDocument) -> list[str]:
    """Return the mount options that a %post adds to the ESP's line in /etc/fstab."""
    return [
        option
        for script in document.scripts("%post")
        if _ESP in script.body and "/etc/fstab" in script.body
        for match in _ESP_OPTIONS.finditer(script.body)
        for option in match["options"].split()
    ]


def _check_shared_memory(document: KickstartDocument) -> Iterator[LintProblem]:
    fstab_line = f"tmpfs {_SHM} tmpfs defaults,{','.join(REQUIRED_OPTIONS[_SHM])} 0 0"
    if not any(fstab_line in script.body for script in document.scripts("%post")):
        yield LintProblem(
            line=0, text=f"expected a %post that writes '{fstab_line}' into /etc/fstab"
        )


def _is_valid_option(option: str) -> bool:
    return option.partition("=")[0] in _FSOPTIONS


def _mount_options(command: KickstartCommand) -> list[str]:
    return [o for o in command.options.get("fsoptions", "").split(",") if o]
