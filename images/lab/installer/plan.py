# SPDX-License-Identifier: GPL-2.0-or-later
"""The content of a kickstart as frozen data."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

MiB = NewType("MiB", int)
"""A size in mebibytes (2**20 bytes)."""


class PartitionKind(Enum):
    """What a partition is for; the value is sgdisk's type code."""

    BIOSBOOT = "ef02"
    EFI = "ef00"
    FILESYSTEM = "8300"
    SWAP = "8200"
    PV = "8e00"


class Firmware(Enum):
    """The firmware that started the installer."""

    BIOS = "BIOS"
    UEFI = "UEFI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Luks:
    """How a partition is encrypted: always LUKS2."""

    passphrase: str = field(repr=False)
    pbkdf: str
    """``pbkdf2`` or ``argon2id``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSpec:
    """A ``part`` line."""

    kind: PartitionKind
    mount: str
    """Mount point, ``swap``, ``biosboot``, or the name of a physical volume (``pv.01``)."""

    fstype: str
    """``xfs``, ``ext4``, ``efi``, ``swap``, ``biosboot`` or ``lvmpv``."""

    size_mib: MiB
    max_mib: MiB | None = None
    """Where growing ends; ``None``: at the end of the disk."""

    grow: bool = False
    options: str | None = None
    """Mount options as fstab has them; ``None``: ``defaults``."""

    luks: Luks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGroup:
    """A ``volgroup`` line."""

    name: str
    pvs: tuple[str, ...]
    extent_kib: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A ``logvol`` line."""

    mount: str
    """Mount point, or ``swap``."""

    group: str
    name: str
    fstype: str
    size_mib: MiB
    max_mib: MiB | None = None
    grow: bool = False
    options: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePlan:
    """The disk's future."""

    disk: str | None
    """The disk that is installed to, as the kickstart names it; ``None``: the first one."""

    clear: tuple[str, ...]
    """Disks to erase; empty: all that may be used."""

    only_use: tuple[str, ...]
    ignore: tuple[str, ...]
    partitions: tuple[PartitionSpec, ...]
    groups: tuple[VolumeGroup, ...]
    volumes: tuple[Volume, ...]
    problems: tuple[str, ...] = ()
    """Why Anaconda could not configure it; reported when storage is configured, as there."""

    def has(self, kind: PartitionKind) -> bool:
        """Whether there is a partition of this kind."""
        return any(p.kind is kind for p in self.partitions)


class SourceKind(Enum):
    """The commands that name an installation source."""

    URL = "url"
    CDROM = "cdrom"
    HARDDRIVE = "harddrive"
    NFS = "nfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationSource:
    """Where the packages come from."""

    kind: SourceKind
    location: str = ""
    """URL, the folder on the hard drive, or ``SERVER:PATH``."""

    partition: str = ""
    """``harddrive --partition``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository: one of the source's, or a ``repo`` line."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSelection:
    """The ``%packages`` sections, as one transaction."""

    install: tuple[str, ...] = ()
    """Packages, without those that Anaconda adds."""

    exclude: tuple[str, ...] = ()
    environment: str | None = None
    groups: tuple[str, ...] = ()
    """Groups besides ``core``, as dnf's specifications: ``standard``, ``standard/mandatory``."""

    excluded_groups: tuple[str, ...] = ()
    core: bool = True
    """False with ``--nocore``."""

    languages: str | None = None
    """``--inst-langs``; ``None``: all."""

    weak_dependencies: bool = True
    """Install weak dependencies too."""

    docs: bool = True
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A password as a crypt(3) hash, or none, or a locked one."""

    crypted: str | None = field(default=None, repr=False)
    locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAccount:
    """A ``user`` line."""

    name: str
    password: Password
    groups: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    gecos: str = ""
    home: str | None = None
    shell: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAccount:
    """A ``group`` line."""

    name: str
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallSettings:
    """The ``firewall`` line."""

    enabled: bool
    services: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDevice:
    """A ``network`` line with a device."""

    name: str
    """An interface, a MAC address, or ``link``: the first one with a carrier."""

    onboot: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    """Everything that is written into the installed system's configuration."""

    lang: str = "C.UTF-8"
    keymap: str = "us"
    timezone: str = "Etc/UTC"
    utc: bool = True
    time_servers: tuple[str, ...] = ()
    """Lines for chrony.conf: ``server NAME iburst`` or ``pool NAME iburst``."""

    time_disabled: bool = False
    hostname: str | None = None
    devices: tuple[NetworkDevice, ...] = ()
    """Interfaces that get their addresses by DHCP."""

    root: Password = field(default_factory=lambda: Password(locked=True))
    users: tuple[UserAccount, ...] = ()
    groups: tuple[GroupAccount, ...] = ()
    ssh_keys: tuple[tuple[str, str], ...] = ()
    """User name and the line for authorized_keys."""

    firewall: FirewallSettings | None = None
    selinux: str | None = None
    """``enforcing``, ``permissive`` or ``disabled``; ``None``: what the packages bring."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLoader:
    """The ``bootloader`` line."""

    append: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    """A ``grub.pbkdf2.sha512…`` hash."""

    timeout_s: int | None = None


class ScriptSection(Enum):
    """The sections that hold scripts."""

    PRE = "%pre"
    PRE_INSTALL = "%pre-install"
    POST = "%post"
    ON_ERROR = "%onerror"
    TRACEBACK = "%traceback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script section."""

    section: ScriptSection
    line: int
    body: str
    interpreter: str = "/bin/sh"
    chroot: bool = False
    fatal: bool = False
    """``--erroronfail``."""

    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPlan:
    """The whole kickstart."""

    storage: StoragePlan
    source: InstallationSource | None
    """``None``: the kickstart names none."""

    repositories: tuple[Repository, ...]
    """``repo`` lines."""

    packages: PackageSelection
    system: SystemSettings
    bootloader: BootLoader
    scripts: tuple[Script, ...]
    finish: str
    """``poweroff``, ``reboot`` or ``halt``."""

    warnings: tuple[str, ...] = ()
    """What the parser warned of."""

    text: str = field(default="", repr=False)
    """The kickstart that Anaconda would generate from its own state."""

    def scripts_in(self, section: ScriptSection) -> tuple[Script, ...]:
        """The scripts of one kind, in order."""
        return tuple(s for s in self.scripts if s.section is section)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class InstallerProblem:
    """A problem in the kickstart."""

    line: int
    """Its line in the kickstart; 0 when it is about the whole."""

    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class RefusedKickstartError(Exception):
    """The kickstart is refused; has all reasons and the warnings before them."""

    def __init__(
        self, problems: tuple[InstallerProblem, ...], warnings: tuple[str, ...] = ()
    ) -> None:
        self.problems = tuple(sorted(set(problems)))
        self.warnings = warnings
        count = len(self.problems)
        details = "; ".join(str(p) for p in self.problems)
        super().__init__(f"{count} problem{'s' * (count != 1)} in the kickstart: {details}")


class InstallError(Exception):
    """The installation cannot go on; the message says what and where."""
