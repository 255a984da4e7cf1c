"""Everything that a build needs before its first stage."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.builder import install, sysprep
from hardpan.builder.artifacts import (
    Assessment,
    BootedGuest,
    InstallMedia,
    OfflineContent,
    SshAccess,
)
from hardpan.builder.build_lock import BuildLock
from hardpan.builder.media.repositories import MediaContent
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.probe import Acceleration, detect_acceleration
from hardpan.core.events import Emit
from hardpan.core.file_lock import lock_folder
from hardpan.core.files import MiB
from hardpan.profiles.schema.profile import Profile

AssessGuest = Callable[[BootedGuest], Assessment]
"""Scans a booted guest and returns its failing rules with their fixes."""

OpenShell = Callable[[BootedGuest], AbstractContextManager[sysprep.RootShell]]
"""Opens a root shell on a booted guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that a build needs before its first stage."""

    profile: Profile
    media: InstallMedia
    access: SshAccess
    output_folder: Path
    """Folder of the outputs."""

    cache_folder: Path
    """Folder of base installs, layers and media, shared by all builds."""

    emit: Emit
    packages_bytes: int = 0
    """Installed size of the packages that the installer installs; 0 if it is not known."""

    luks_passphrase: str = field(default="", repr=False)
    """Opens the LUKS volume, where the profile has one."""

    erase_disks: bool = False
    """Consent to an ISO that erases disks without asking."""

    choose_acceleration: Callable[[], Acceleration] = detect_acceleration
    """Called when a guest is started: the probe of KVM starts one, too."""

    stall_timeout_s: float | None = None
    """Limit of an install without output and disk access; None for the default of this host."""

    install_timeout_s: float | None = None
    """Time limit of the whole install; None for the default of this host."""

    offline: OfflineContent | None = None
    """What the layers' files on the ISO are made with; None for an ISO without them."""

    max_iso_mib: MiB | None = None
    """Limit of an ISO with the layers' files; None for that of install media."""

    media_content: MediaContent | None = None
    """What is on the media; None if only an ISO is built from media without repositories."""

    required_lock: BuildLock | None = None
    """What the image has to be built from; None for whatever the media and repositories have."""

    command: str = "hardpan"
    """Describes this build to others that wait for its locks."""

    may_wait: bool = True
    """Wait for another build of the same base install; False raises an error instead."""

    @property
    def acceleration(self) -> Acceleration:
        """How guests run on this host."""
        return self.choose_acceleration()

    @property
    def install_deadlines(self) -> install.Deadlines:
        """Time limits of the install."""
        return install.choose_deadlines(
            self.acceleration, stall_s=self.stall_timeout_s, total_s=self.install_timeout_s
        )

    @property
    def waits_for_key(self) -> bool:
        """Whether the ISO's boot menu asks before it erases disks."""
        return not (self.erase_disks or self.profile.storage.erase_disks)

    def lock(self, folder: Path, *, stage: str) -> AbstractContextManager[None]:
        """Keep other builds out of ``folder`` for the length of the block."""
        return lock_folder(
            folder, command=self.command, stage=stage, emit=self.emit, may_wait=self.may_wait
        )

    @property
    def removed_key(self) -> sysprep.BuildKey | None:
        """The operator's key; None if the profile keeps it or has it among its own."""
        return sysprep.removed_key(self.profile, self.access.public_key)

    def vm_spec(self, disk: Path) -> VmSpec:
        """Return the virtual machine that the profile is built in, with ``disk``."""
        machine = self.profile.machine
        return VmSpec(
            disk=disk,
            vcpus=machine.vcpus,
            memory_mib=machine.memory_mib,
            firmware=machine.firmware,
            disk_passphrase=self.luks_passphrase,
        )
