"""The typed profile: what an image must be, in the words people write it in.

Frozen, unknown settings refused, units in the names or in the value itself
(``size: 20 GiB``). What one section can tell about itself is checked here, what
needs several sections in ``hardpan.profiles.constraints.system``.
"""

from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hardpan.core.files import MiB
from hardpan.profiles.schema.ai_service import AiService
from hardpan.profiles.schema.audit import Audit
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
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.profiles.schema.tuning import Tuning
from hardpan.profiles.schema.types import (
    DayText,
    ProfileName,
    RulePattern,
    StrictBool,
    StrictInt,
    Text,
    UserName,
    XccdfId,
    parse_date,
)

Release = Literal["rocky9", "rocky10", "lab9"]
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


class RuleWaiver(ProfileSection):
    """A rule that this image does not meet, and who answers for it until when."""

    rule: RulePattern
    """Short id of the rule, without ``xccdf_org.ssgproject.content_rule_``; ``*`` stands for
    any characters."""

    reason: Text
    """Why the rule cannot or must not be met."""

    owner: Text
    """Who answers for it."""

    expires: Annotated[date, BeforeValidator(parse_date, json_schema_input_type=DayText)]
    """Last day on which the waiver holds, e.g. 2027-11-30."""

    def matches(self, rule: str) -> bool:
        """Whether it is about a rule, given by its short id or its full XCCDF id."""
        return fnmatchcase(rule.removeprefix(RULE_PREFIX), self.rule)


class StigSettings(ProfileSection):
    """What is scanned for and what is waived."""

    profile_id: XccdfId = "xccdf_org.ssgproject.content_profile_stig"
    """XCCDF profile."""

    content: Literal["rhel9", "rhel10"]
    """Which data stream."""

    waivers: tuple[RuleWaiver, ...] = ()
    """Documented deviations; everything else counts."""

    def waiver_for(self, rule: str, today: date) -> RuleWaiver | None:
        """The waiver that covers a rule: one that holds on ``today``, or else one that ended."""
        matching = [w for w in self.waivers if w.matches(rule)]
        return next((w for w in matching if w.expires >= today), matching[0] if matching else None)

    def expired_waivers(self, today: date) -> tuple[RuleWaiver, ...]:
        """The waivers that no longer hold on ``today``."""
        return tuple(w for w in self.waivers if w.expires < today)


class SmokeSettings(ProfileSection):
    """How hard the first AI workload test works."""

    matrix_size: StrictInt = Field(default=512, ge=64, le=32768)
    """Rows and columns of the square matrices that are multiplied."""

    matrix_rounds: StrictInt = Field(default=10, ge=1, le=10000)
    """How many products are timed."""

    batch: StrictInt = Field(default=8, ge=1, le=4096)
    """Sentences per embedding call."""

    batch_rounds: StrictInt = Field(default=5, ge=1, le=10000)
    """How many embedding calls are timed."""


class Profile(ProfileSection):
    """What an image must be."""

    name: ProfileName
    """Its name; not inherited."""

    title: Text
    """One line for people; not inherited."""

    description: Text | None = None
    """What it is for; not inherited."""

    release: Release
    """The distribution. ``lab9`` is the EL-shaped lab system, not Rocky Linux."""

    media: Media
    system: System
    storage: Storage
    boot: Boot
    users: tuple[User, ...] = Field(min_length=1)
    """Accounts made at install."""

    build_user: UserName
    """Which of ``users`` gets the operator's key and is logged in as for layers and scans."""

    fips: StrictBool
    """True starts the installer with fips=1, the only way into FIPS mode."""

    packages: Packages
    services: Services = Services()
    hardware: Hardware
    machine: Machine
    stig: StigSettings
    layers: tuple[LayerName, ...]
    """What is put on the booted image, in this order."""

    frameworks: Frameworks | None = None
    """The Python stacks; required with the layer ``ml_frameworks``."""

    smoke: SmokeSettings = SmokeSettings()
    ai_service: AiService | None = None
    """Required with the layer ``ai_service``."""

    kernel_hardening: KernelHardening | None = None
    """For the layer of this name; without it the layer keeps to its defaults."""

    tuning: Tuning | None = None
    """For the layer of this name; without it the layer keeps to its defaults."""

    audit: Audit | None = None
    """For the layer of this name; without it the layer keeps to its defaults."""

    repositories: tuple[SiteRepository, ...] = ()
    """The site's own mirrors and keys for repositories of the layers."""

    containers: Containers = Containers()

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """The command line's additions: the boot section's, the hardware's, then the layers'."""
        arguments = self.boot.kernel_arguments + self.hardware.kernel_arguments
        if "kernel_hardening" in self.layers:
            arguments += (self.kernel_hardening or KernelHardening()).kernel_arguments
        if "tuning" in self.layers:
            arguments += (self.tuning or Tuning()).kernel_arguments
        return tuple(dict.fromkeys(arguments))

    @property
    def install_packages(self) -> tuple[str, ...]:
        """What the installer installs: the packages section's, then what the layers need."""
        is_static = self.tuning is not None and self.tuning.manager == "static"
        layers = tuple(x for x in self.layers if not (is_static and x == "tuning"))
        log_packages = self.audit.log_packages(self.release) if self.audit else ()
        extra_packages = (*required_packages(self.frameworks, self.release), *log_packages)
        return tuple(
            dict.fromkeys((*with_layer_packages(self.packages.install, layers), *extra_packages))
        )

    @property
    def ai_python(self) -> str:
        """The Python on the host that has PyTorch; empty where none is asked for."""
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
        """True for the lab system, which must never be called Rocky Linux."""
        return self.release == "lab9"
