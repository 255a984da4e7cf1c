"""The machine that a profile describes: its media, disk, boot loader, people and packages."""

from typing import Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.public_keys import SshKey
from hardpan.profiles.schema.types import (
    CatalogName,
    DiskName,
    Gecos,
    GroupName,
    GrubHash,
    HostName,
    KernelArgument,
    Keyboard,
    Language,
    MibSize,
    MountOption,
    MountPoint,
    PackageName,
    PasswordHash,
    ServiceName,
    StrictBool,
    StrictInt,
    Superuser,
    Text,
    TimeZone,
    UserName,
)


class Media(ProfileSection):
    """Which install media the image is made from."""

    catalog: CatalogName
    """Name in ``builder/media/catalog.yaml``; ``lab9`` is built on this machine."""


class System(ProfileSection):
    """Name, language and time of the installed system."""

    hostname: HostName
    """Host name, plain or fully qualified."""

    language: Language = "en_US.UTF-8"
    """System locale."""

    keyboard: Keyboard = "us"
    """Keyboard layout."""

    timezone: TimeZone = "Etc/UTC"
    """Time zone; the hardware clock is kept in UTC."""

    ntp_servers: tuple[HostName, ...] = ()
    """Time servers, as few or many as the site has."""


class Encryption(ProfileSection):
    """Whether the volume group lies on LUKS."""

    mode: Literal["none", "luks2"]
    """``luks2`` takes its passphrase from a file at build time and marks the ISO as secret."""

    reason: Text | None = None
    """Why the disk is not encrypted; required with ``mode: none``."""


class Partition(ProfileSection):
    """One file system."""

    mount: MountPoint
    """Where it is mounted."""

    size_mib: MibSize = Field(alias="size")
    """Its size, e.g. ``20 GiB`` or ``512 MiB``; with ``grow`` the least size."""

    grow: StrictBool = False
    """True for the one that takes what is left of the disk."""

    fstype: Literal["xfs", "ext4", "efi", "swap"] = "xfs"
    """Kind of file system."""

    options: tuple[MountOption, ...] = ()
    """Mount options, e.g. nodev, nosuid, noexec."""


class Storage(ProfileSection):
    """The disk and what is on it. All but /boot and /boot/efi are logical volumes."""

    disk_size_mib: MibSize = Field(alias="disk_size")
    """Size of the disk, e.g. ``40 GiB``; the image file itself is sparse."""

    disk: DiskName = ""
    """The disk to use, e.g. ``vda``; empty takes every disk the installer sees."""

    encryption: Encryption
    """LUKS or a documented no."""

    partitions: tuple[Partition, ...] = Field(min_length=1)
    """File systems, in the order they are made."""


class Boot(ProfileSection):
    """The boot loader and the kernel's command line."""

    superuser: Superuser
    """GRUB's superuser. Never root, admin, administrator or a user of the system."""

    password_pbkdf2: GrubHash
    """Its password's hash, as ``grub2-mkpasswd-pbkdf2`` prints it."""

    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Added to the command line; ``fips=1`` is not among them, the installer adds it."""

    timeout_s: StrictInt = Field(default=1, ge=0, le=60)
    """Seconds the boot menu waits."""


class User(ProfileSection):
    """A person's account. Root is locked and cannot be listed."""

    name: UserName
    """Login name."""

    gecos: Gecos | None = None
    """Full name."""

    groups: tuple[GroupName, ...] = ()
    """Further groups."""

    ssh_keys: tuple[SshKey, ...] = ()
    """Public keys, beside the operator's key that the build adds to the build user."""

    password_hash: PasswordHash | None = None
    """Hash of the password; without it the password is locked and only keys let in."""

    sudo: Literal["none", "password", "nopasswd"] = "none"
    """What sudo allows."""


class Packages(ProfileSection):
    """What is installed and what must not be."""

    install: tuple[PackageName, ...] = ()
    """Packages, ``@groups`` and one ``@^environment``."""

    remove: tuple[PackageName, ...] = ()
    """Packages that are left out even where a group holds them."""


class Services(ProfileSection):
    """systemd units switched on and off at install."""

    enabled: tuple[ServiceName, ...] = ()
    """Started at boot."""

    disabled: tuple[ServiceName, ...] = ()
    """Not started at boot."""


class Machine(ProfileSection):
    """The virtual machine the image is built in."""

    vcpus: StrictInt = Field(ge=1, le=64)
    """Virtual processors."""

    memory_mib: MibSize = Field(alias="memory")
    """Memory, e.g. ``4 GiB``."""

    firmware: Literal["bios", "uefi"]
    """What the machine boots with, and so what the image then boots with."""
