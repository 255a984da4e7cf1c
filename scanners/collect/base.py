"""The collector protocol, its input and output, and the registry of collectors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import InputError
from hardpan.core.events import Emit
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.fips.model import FipsAnswers
from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX, HostCheck
from hardpan.scanners.model.scan import ScannedHost
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.ssh.client import SshConnection

MAX_REASON_CHARS = 400
"""Characters of the reason why something failed on a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedState:
    """The state of a running system that the profile requires."""

    mounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Mount point -> required options."""

    kernel_arguments: tuple[str, ...] = ()
    fips: bool = False
    boot_superuser: str = ""
    build_user: str = ""
    """The user that must be able to log in; empty: not checked."""

    sudo_nopasswd: bool = False
    """True when the profile lets that user run sudo without a password."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    absent_packages: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    ports: tuple[int, ...] = (22,)
    """TCP ports that may listen on other addresses than the loopback ones."""

    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Kernel settings of the layers, in addition to the STIG's."""

    suid: tuple[str, ...] = ()
    """Shell patterns for the programs that may be SUID or SGID; empty: not checked."""

    tuned_profile: str = ""
    """The required profile of tuned; empty: not checked."""

    transparent_hugepages: str = ""
    """The required mode, e.g. ``madvise``; empty: not checked."""

    ai_python: str = ""
    """Python that must be able to import torch; empty: not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectTask:
    """Input of a collector."""

    prepared: PreparedContent | None = None
    """The content to evaluate; ``openscap`` needs it."""

    expected: ExpectedState = field(default_factory=ExpectedState)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedEvidence:
    """Output of a collector; each one sets its own fields."""

    files: Mapping[str, bytes | CompressedBlob] = field(default_factory=dict)
    """File name -> content, attached unchanged."""

    arfs: tuple[Arf | UnreadableArf, ...] = ()
    """One for each part of the content, in its order."""

    engine: str = ""
    """Version of oscap on the target, and its engines."""

    checks: tuple[HostCheck, ...] = ()
    packages: tuple[str, ...] = ()
    """Sorted NEVRAs."""

    host: ScannedHost | None = None
    fips: FipsAnswers | None = None
    """Answers about FIPS mode, not yet assessed."""


class Collector(Protocol):
    """Reads facts from a target. Never changes it permanently, never assesses."""

    def collect(
        self, connection: SshConnection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect this collector's evidence, or raise ``ToolError``.

        ``timeout_s`` is the limit for all commands together.
        """


COLLECTORS = {
    "fips": "hardpan.scanners.collect.fips:FipsFacts",
    "host": "hardpan.scanners.collect.host:HostIdentity",
    "hostfacts": "hardpan.scanners.collect.hostfacts:HostFacts",
    "openscap": "hardpan.scanners.collect.openscap:OpenScap",
    "packages": "hardpan.scanners.collect.packages:PackageCollector",
}
"""Name -> ``module:class``."""


def build_failed_check(part: str, reason: str) -> HostCheck:
    """Return the check that records that ``part`` could not be collected."""
    printable_reason = "".join(c for c in reason if c.isprintable())[:MAX_REASON_CHARS]
    return HostCheck(
        name=NOT_COLLECTED_PREFIX + part, outcome="error", message=printable_reason, duration_s=0
    )


def create_collector(name: str) -> Collector:
    """Create the collector called ``name``; its module is imported only now."""
    if name not in COLLECTORS:
        raise InputError(f"no collector {name!r}", hint=f"known: {', '.join(sorted(COLLECTORS))}")
    module, _, cls = COLLECTORS[name].partition(":")
    return cast(Collector, getattr(import_module(module), cls)())
