"""The profile: everything that describes an image.

Models are frozen and reject unknown settings; units are in the name or in the value
(``size: 20 GiB``). Single settings are validated here, constraints between sections in
``hardpan.profiles.constraints``.
"""

from datetime import date
from typing import Literal

from pydantic import Field

from hardpan.core.files import MiB
from hardpan.profiles.schema.ai_service import AiService
from hardpan.profiles.schema.audit import Audit
from hardpan.profiles.schema.boot_packages import BOOT_PACKAGES, EXCLUDED_PACKAGES
from hardpan.profiles.schema.containers import Containers
from hardpan.profiles.schema.frameworks import Frameworks, required_packages
from hardpan.profiles.schema.hardware import Hardware, ProfileSection
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.layer_packages import with_layer_packages
from hardpan.profiles.schema.machine import (
    Boot,
    Machine,
    Media,
    Packages,
    Services,
    Storage,
    System,
    User,
)
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.profiles.schema.rule_names import IdentifiedRule
from hardpan.profiles.schema.tuning import Tuning
from hardpan.profiles.schema.types import (
    ProfileName,
    StrictBool,
    StrictInt,
    Text,
    UserName,
    XccdfId,
)
from hardpan.profiles.schema.waivers import RuleWaiver

Release = Literal["rocky9", "rocky10", "lab9", "lab10"]
LAB_RELEASES = ("lab9", "lab10")
"""The lab systems: EL-shaped and assembled from Debian packages, not Rocky Linux."""
LayerName = Literal[
    "nvidia_driver",
    "cuda",
    "amd_driver",
    "rocm",
    "containers",
    "ml_frameworks",
    "ml_cpu",
    "kernel_hardening",
    "tuning",
    "ai_service",
    "audit",
    "stig",
]


class StigSettings(ProfileSection):
    """STIG benchmark and waivers."""

    profile_id: XccdfId = "xccdf_org.ssgproject.content_profile_stig"
    """XCCDF profile id."""

    content: Literal["rhel9", "rhel10"]
    """SCAP data stream."""

    waivers: tuple[RuleWaiver, ...] = ()
    """Documented deviations; all other failed rules are findings."""

    def waiver_for(self, rule: IdentifiedRule, today: date) -> RuleWaiver | None:
        """Return the waiver of a rule: an active one, otherwise an expired one."""
        matching = [w for w in self.waivers if w.matches(rule)]
        active = [w for w in matching if not w.has_expired(today)]
        return next(iter((*active, *matching)), None)

    def expired_waivers(self, today: date) -> tuple[RuleWaiver, ...]:
        """Return the waivers that are expired on ``today``."""
        return tuple(w for w in self.waivers if w.has_expired(today))


class SmokeSettings(ProfileSection):
    """Size of the AI workload smoke test."""

    matrix_size: StrictInt = Field(default=512, ge=64, le=32768)
    """Rows and columns of the multiplied square matrices."""

    matrix_rounds: StrictInt = Field(default=10, ge=1, le=10000)
    """Number of timed multiplications."""

    batch: StrictInt = Field(default=8, ge=1, le=4096)
    """Sentences per embedding call."""

    batch_rounds: StrictInt = Field(default=5, ge=1, le=10000)
    """Number of timed embedding calls."""


class Profile(ProfileSection):
    """Description of an image."""

    name: ProfileName
    """Profile name; not inherited."""

    title: Text
    """One-line title; not inherited."""

    description: Text | None = None
    """Purpose; not inherited."""

    release: Release
    """The distribution. ``lab9`` and ``lab10`` are the EL-shaped lab systems, not Rocky Linux."""

    media: Media
    system: System
    storage: Storage
    boot: Boot
    users: tuple[User, ...] = Field(min_length=1)
    """Accounts created at install."""

    build_user: UserName
    """Member of ``users`` with the operator's key; layers and scans log in as this user."""

    build_key: Literal["keep", "remove"] = "remove"
    """Whether the operator's key stays in the finished image; ``prove`` and later scans need it."""

    fips: StrictBool
    """Starts the installer with fips=1, which enables FIPS mode."""

    packages: Packages
    services: Services = Services()
    hardware: Hardware
    machine: Machine
    stig: StigSettings
    layers: tuple[LayerName, ...]
    """Layers applied to the booted image, in this order."""

    frameworks: Frameworks | None = None
    """The Python stacks; required with the layer ``ml_frameworks``."""

    smoke: SmokeSettings = SmokeSettings()
    ai_service: AiService | None = None
    """Required with the layer ``ai_service``."""

    kernel_hardening: KernelHardening | None = None
    """Settings of the layer of this name; optional."""

    tuning: Tuning | None = None
    """Settings of the layer of this name; optional."""

    audit: Audit | None = None
    """Settings of the layer of this name; optional."""

    repositories: tuple[SiteRepository, ...] = ()
    """The site's own mirrors and keys for repositories of the layers."""

    containers: Containers = Containers()

    @property
    def build_user_has_key(self) -> bool:
        """Whether the build user can log in to the finished image with a key."""
        user = next(u for u in self.users if u.name == self.build_user)
        return self.build_key == "keep" or bool(user.ssh_keys)

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """Kernel arguments of the boot section, the hardware and the layers."""
        arguments = self.boot.kernel_arguments + self.hardware.kernel_arguments
        arguments += self.storage.encryption.kernel_arguments
        if "kernel_hardening" in self.layers:
            arguments += (self.kernel_hardening or KernelHardening()).kernel_arguments
        if "tuning" in self.layers:
            arguments += (self.tuning or Tuning()).kernel_arguments
        return tuple(dict.fromkeys(arguments))

    @property
    def install_packages(self) -> tuple[str, ...]:
        """Packages to install: the packages section's, the layers' and those of the boot."""
        is_static = self.tuning is not None and self.tuning.manager == "static"
        layers = tuple(x for x in self.layers if not (is_static and x == "tuning"))
        log_packages = self.audit.log_packages(self.release) if self.audit else ()
        extra_packages = (
            *BOOT_PACKAGES.get(self.release, ()),
            *(("cloud-init",) if self.system.cloud_init else ()),
            *self.storage.encryption.packages,
            *required_packages(self.frameworks, self.release),
            *log_packages,
        )
        return tuple(
            dict.fromkeys((*with_layer_packages(self.packages.install, layers), *extra_packages))
        )

    @property
    def excluded_packages(self) -> tuple[str, ...]:
        """Packages that the installer leaves out, even of groups."""
        excluded = (*self.packages.remove, *EXCLUDED_PACKAGES.get(self.release, ()))
        return tuple(x for x in dict.fromkeys(excluded) if x not in self.packages.install)

    @property
    def ai_python(self) -> str:
        """Path of the Python that has PyTorch; empty without PyTorch."""
        stacks = self.frameworks.stacks if self.frameworks else ()
        stack_python = next((stack.interpreter for stack in stacks if stack.has_torch), "")
        is_packaged = "ml_cpu" in self.layers or (
            stacks and "python3-torch" in self.install_packages
        )
        return stack_python or ("/usr/bin/python3" if is_packaged else "")

    @property
    def disk_size_mib(self) -> MiB:
        """Size of the disk in MiB."""
        return self.storage.disk_size_mib

    @property
    def is_lab(self) -> bool:
        """Whether this is the lab system, which must never be called Rocky Linux."""
        return self.release in LAB_RELEASES
