"""Profile sections of the system: media, disk, boot loader, users, packages and build VM."""

from typing import Literal

from pydantic import Field

from hardpan.profiles.schema.encryption import Encryption
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
    TimeZone,
    UserName,
)

FirmwareKind = Literal["bios", "uefi", "uefi-secure-boot"]
"""Firmware of a virtual machine."""


class Media(ProfileSection):
    """Install media of the image."""

    catalog: CatalogName
    """Name in ``builder/media/catalog.yaml``; ``lab9`` is built on this machine."""


class System(ProfileSection):
    """Host name, locale and time settings of the installed system."""

    hostname: HostName
    """Host name, plain or fully qualified."""

    language: Language = "en_US.UTF-8"
    """System locale."""

    keyboard: Keyboard = "us"
    """Keyboard layout."""

    timezone: TimeZone = "Etc/UTC"
    """Time zone; the hardware clock uses UTC."""

    ntp_servers: tuple[HostName, ...] = ()
    """NTP servers."""

    cloud_init: StrictBool = False
    """Installs cloud-init, which creates users, keys and the host name from a seed at first boot.
    Whoever can attach a disk to the machine can then create administrators."""


class Partition(ProfileSection):
    """A file system or swap."""

    mount: MountPoint
    """Mount point."""

    size_mib: MibSize = Field(alias="size")
    """Size, e.g. ``20 GiB`` or ``512 MiB``; with ``grow`` the minimum size."""

    grow: StrictBool = False
    """Makes this partition use the remaining disk space; at most one."""

    fstype: Literal["xfs", "ext4", "efi", "swap"] = "xfs"
    """File system type."""

    options: tuple[MountOption, ...] = ()
    """Mount options, e.g. nodev, nosuid, noexec."""


class Storage(ProfileSection):
    """Disk layout. All partitions except /boot and /boot/efi are logical volumes."""

    disk_size_mib: MibSize = Field(alias="disk_size")
    """Size of the disk, e.g. ``40 GiB``; the image file itself is sparse."""

    disk: DiskName = ""
    """Disk to install to, e.g. ``vda``; empty uses every disk."""

    erase_disks: StrictBool = False
    """Consent to an ISO that erases disks 5 seconds after its boot; without consent, here or by
    ``--erase-disks``, its boot menu waits until somebody chooses the install."""

    encryption: Encryption
    """LUKS, or none with a reason."""

    partitions: tuple[Partition, ...] = Field(min_length=1)
    """File systems, in creation order."""


class Boot(ProfileSection):
    """Boot loader and kernel command line."""

    superuser: Superuser
    """GRUB's superuser. Never root, admin, administrator or a user of the system."""

    password_pbkdf2: GrubHash
    """Password hash, as printed by ``grub2-mkpasswd-pbkdf2``."""

    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Kernel arguments; the installer adds ``fips=1`` itself."""

    timeout_s: StrictInt = Field(default=1, ge=0, le=60)
    """Boot menu timeout in seconds."""


class User(ProfileSection):
    """A user account. Root is locked and cannot be listed."""

    name: UserName
    """Login name."""

    gecos: Gecos | None = None
    """Full name."""

    groups: tuple[GroupName, ...] = ()
    """Supplementary groups."""

    ssh_keys: tuple[SshKey, ...] = ()
    """SSH public keys; the build also adds the operator's key to the build user."""

    password_hash: PasswordHash | None = None
    """Password hash; without it the password is locked and only SSH keys work."""

    sudo: Literal["none", "password", "nopasswd"] = "none"
    """sudo access."""

    @property
    def can_log_in(self) -> bool:
        """Whether the profile itself gives the user a way to log in."""
        return bool(self.ssh_keys) or self.password_hash is not None


class Packages(ProfileSection):
    """Packages to install and to exclude."""

    install: tuple[PackageName, ...] = ()
    """Packages, ``@groups`` and one ``@^environment``."""

    remove: tuple[PackageName, ...] = ()
    """Packages that are excluded, even from groups."""


class Services(ProfileSection):
    """systemd units enabled and disabled at install."""

    enabled: tuple[ServiceName, ...] = ()
    """Enabled units."""

    disabled: tuple[ServiceName, ...] = ()
    """Disabled units."""


class Machine(ProfileSection):
    """Virtual machine in which the image is built."""

    vcpus: StrictInt = Field(ge=1, le=64)
    """Virtual processors."""

    memory_mib: MibSize = Field(alias="memory")
    """Memory, e.g. ``4 GiB``."""

    firmware: FirmwareKind
    """Firmware of the build VM: ``bios``, ``uefi``, or ``uefi-secure-boot`` with the keys that the
    host's firmware package enrols (Microsoft's)."""
