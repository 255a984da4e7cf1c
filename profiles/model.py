"""The typed profile: what an image must be, in the words people write it in.

Frozen, unknown settings refused, units in the names or in the value itself
(``size: 20 GiB``). What one section can tell about itself is checked here, what
needs several sections in ``hardpan.profiles.rules``.
"""

from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hardpan.files import MiB
from hardpan.profiles.audit import Audit
from hardpan.profiles.containers import Containers
from hardpan.profiles.frameworks import Frameworks, needed
from hardpan.profiles.hardware import Hardware, Section
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.machine import Boot, Machine, Media, Packages, Services, Storage, System, User
from hardpan.profiles.needs import with_needed
from hardpan.profiles.repositories import SiteRepository
from hardpan.profiles.sovereign import Sovereign
from hardpan.profiles.tuning import Tuning
from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.profiles.words import (
    DayText,
    ProfileName,
    RulePattern,
    Text,
    UserName,
    Whole,
    XccdfId,
    Yes,
    day,
)

Release = Literal["rocky9", "rocky10", "lab9"]
Layer = Literal[
    "nvidia_driver",
    "cuda",
    "amd_driver",
    "rocm",
    "containers",
    "ml_frameworks",
    "ml_cpu",
    "kernel_hardening",
    "tuning",
    "sovereign_stack",
    "audit",
    "stig",
]


class RuleWaiver(Section):
    """A rule that this image does not meet, and who answers for it until when."""

    rule: RulePattern
    """Short id of the rule, without ``xccdf_org.ssgproject.content_rule_``; ``*`` stands for
    any characters."""

    reason: Text
    """Why the rule cannot or must not be met."""

    owner: Text
    """Who answers for it."""

    expires: Annotated[date, BeforeValidator(day, json_schema_input_type=DayText)]
    """Last day on which the waiver holds, e.g. 2027-11-30."""

    def covers(self, rule: str) -> bool:
        """Whether it is about a rule, given by its short id or its full XCCDF id."""
        return fnmatchcase(rule.removeprefix(RULE_PREFIX), self.rule)


class Stig(Section):
    """What is scanned for and what is waived."""

    profile_id: XccdfId = "xccdf_org.ssgproject.content_profile_stig"
    """XCCDF profile."""

    content: Literal["rhel9", "rhel10"]
    """Which data stream."""

    waivers: tuple[RuleWaiver, ...] = ()
    """Documented deviations; everything else counts."""

    def waiver(self, rule: str, today: date) -> RuleWaiver | None:
        """The waiver that covers a rule: one that holds on ``today``, or else one that ended."""
        found = [w for w in self.waivers if w.covers(rule)]
        return next((w for w in found if w.expires >= today), found[0] if found else None)

    def expired(self, today: date) -> tuple[RuleWaiver, ...]:
        """The waivers that no longer hold on ``today``."""
        return tuple(w for w in self.waivers if w.expires < today)


class Smoke(Section):
    """How hard the first AI workload test works."""

    matrix_size: Whole = Field(default=512, ge=64, le=32768)
    """Rows and columns of the square matrices that are multiplied."""

    matrix_rounds: Whole = Field(default=10, ge=1, le=10000)
    """How many products are timed."""

    batch: Whole = Field(default=8, ge=1, le=4096)
    """Sentences per embedding call."""

    batch_rounds: Whole = Field(default=5, ge=1, le=10000)
    """How many embedding calls are timed."""


class Profile(Section):
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

    fips: Yes
    """True starts the installer with fips=1, the only way into FIPS mode."""

    packages: Packages
    services: Services = Services()
    hardware: Hardware
    machine: Machine
    stig: Stig
    layers: tuple[Layer, ...]
    """What is put on the booted image, in this order."""

    frameworks: Frameworks | None = None
    """The Python stacks; required with the layer ``ml_frameworks``."""

    smoke: Smoke = Smoke()
    sovereign: Sovereign | None = None
    """Required with the layer ``sovereign_stack``."""

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
        made = self.boot.kernel_arguments + self.hardware.kernel_arguments
        if "kernel_hardening" in self.layers:
            made += (self.kernel_hardening or KernelHardening()).kernel_arguments
        if "tuning" in self.layers:
            made += (self.tuning or Tuning()).kernel_arguments
        return tuple(dict.fromkeys(made))

    @property
    def install(self) -> tuple[str, ...]:
        """What the installer installs: the packages section's, then what the layers need."""
        static = self.tuning is not None and self.tuning.manager == "static"
        asking = tuple(x for x in self.layers if not (static and x == "tuning"))
        logs = self.audit.packages(self.release) if self.audit else ()
        more = (*needed(self.frameworks, self.release), *logs)
        return tuple(dict.fromkeys((*with_needed(self.packages.install, asking), *more)))

    @property
    def ai_python(self) -> str:
        """The Python on the host that has PyTorch; empty where none is asked for."""
        stacks = self.frameworks.stacks if self.frameworks else ()
        own = next((stack.interpreter for stack in stacks if stack.has_torch), "")
        packaged = "ml_cpu" in self.layers or (stacks and "python3-torch" in self.install)
        return own or ("/usr/bin/python3" if packaged else "")

    @property
    def disk_size_mib(self) -> MiB:
        """Size of the disk in MiB."""
        return self.storage.disk_size_mib

    @property
    def is_lab(self) -> bool:
        """True for the lab system, which must never be called Rocky Linux."""
        return self.release == "lab9"
