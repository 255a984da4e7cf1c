"""The linter's eye on partitions, volumes and mount options."""

from collections.abc import Iterator

from hardpan.kickstart.syntax import Command, Document, Problem
from hardpan.profiles.stig import REQUIRED_OPTIONS

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


def problems(document: Document) -> Iterator[Problem]:
    """What is wrong with the storage of ``document``."""
    yield from _automatic(document)
    yield from _volumes(document)
    for command in document.named("part", "partition", "logvol"):
        yield from _file_system(command)
    yield from _mounts(document)


def _automatic(document: Document) -> Iterator[Problem]:
    for command in document.named("autopart", "reqpart"):
        yield Problem(
            line=command.line,
            text=f"{command.name} cannot set mount options; write every partition out",
        )


def _volumes(document: Document) -> Iterator[Problem]:
    partitions = {c.words[0] for c in document.named("part", "partition") if c.words}
    groups: set[str] = set()
    for group in document.named("volgroup"):
        groups.update(group.words[:1])
        for physical in group.words[1:]:
            if physical not in partitions:
                yield Problem(line=group.line, text=f"volgroup on {physical}, which no part makes")
    seen: set[tuple[str, str]] = set()
    for volume in document.named("logvol"):
        group_name, name = volume.options.get("vgname", ""), volume.options.get("name", "")
        if group_name not in groups:
            yield Problem(
                line=volume.line,
                text=f"logvol in the volume group {group_name!a}, which no volgroup makes",
            )
        if (group_name, name) in seen:
            yield Problem(line=volume.line, text=f"a second logical volume {name!a}")
        seen.add((group_name, name))


def _file_system(command: Command) -> Iterator[Problem]:
    fstype = command.options.get("fstype")
    if fstype is not None and fstype not in _FSTYPES:
        yield Problem(line=command.line, text=f"unknown file system {fstype!a}")
    for option in _options(command):
        if option.partition("=")[0] not in _FSOPTIONS:
            yield Problem(line=command.line, text=f"unknown mount option {option!a}")


def _mounts(document: Document) -> Iterator[Problem]:
    seen: set[str] = set()
    for command in document.named("part", "partition", "logvol"):
        mount = command.words[0] if command.words else ""
        if mount in seen and mount != "swap":
            yield Problem(line=command.line, text=f"a second {mount}")
        seen.add(mount)
        lacks = [o for o in REQUIRED_OPTIONS.get(mount, ()) if o not in _options(command)]
        if lacks:
            yield Problem(
                line=command.line, text=f"{mount} without {','.join(lacks)}, which the STIG wants"
            )
    if "/" not in seen:
        yield Problem(line=0, text="expected a root partition, found none")
    yield from _shared_memory(document)


def _shared_memory(document: Document) -> Iterator[Problem]:
    wanted = f"tmpfs {_SHM} tmpfs defaults,{','.join(REQUIRED_OPTIONS[_SHM])} 0 0"
    if not any(wanted in script.body for script in document.scripts("%post")):
        yield Problem(line=0, text=f"expected a %post that puts '{wanted}' into /etc/fstab")


def _options(command: Command) -> list[str]:
    return [o for o in command.options.get("fsoptions", "").split(",") if o]
