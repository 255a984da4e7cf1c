"""What a collector is, what it is given and gives back, and the table of them."""

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
"""Characters of why something failed on a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedState:
    """What the profile says about the target, as far as a running system shows it."""

    mounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Mount point -> options that must be in force."""

    kernel_arguments: tuple[str, ...] = ()
    fips: bool = False
    boot_superuser: str = ""
    build_user: str = ""
    """The user that must still be able to log in; empty: not checked."""

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
    """Kernel settings that the layers set, beside the STIG's own."""

    suid: tuple[str, ...] = ()
    """Shell patterns for the programs that may be SUID or SGID; empty: not checked."""

    tuned_profile: str = ""
    """What tuned must follow; empty: not checked."""

    transparent_hugepages: str = ""
    """Who must get huge pages unasked; empty: not checked."""

    ai_python: str = ""
    """Python that must be able to import torch; empty: none is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectTask:
    """What a collector may need to know."""

    prepared: PreparedContent | None = None
    """The content to evaluate; ``openscap`` needs it."""

    expected: ExpectedState = field(default_factory=ExpectedState)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedEvidence:
    """What a collector brought; each one fills its own fields."""

    files: Mapping[str, bytes | CompressedBlob] = field(default_factory=dict)
    """File name -> content, to be attached as it came."""

    arfs: tuple[Arf | UnreadableArf, ...] = ()
    """One for each part of the content, in its order."""

    engine: str = ""
    """Version of oscap on the target, and its engines."""

    checks: tuple[HostCheck, ...] = ()
    packages: tuple[str, ...] = ()
    """Sorted NEVRAs."""

    host: ScannedHost | None = None
    fips: FipsAnswers | None = None
    """What was said about FIPS mode, not yet judged."""


class Collector(Protocol):
    """Reads facts from a target. Never changes it for good, never judges."""

    def collect(
        self, connection: SshConnection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Gather this collector's evidence, or raise ``ToolError``.

        ``timeout_s`` is the limit for all of it, however often the target is asked.
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
    """What is in the evidence where ``part`` could not be asked or its answer cannot be read."""
    printable_reason = "".join(c for c in reason if c.isprintable())[:MAX_REASON_CHARS]
    return HostCheck(
        name=NOT_COLLECTED_PREFIX + part, outcome="error", message=printable_reason, duration_s=0
    )


def create_collector(name: str) -> Collector:
    """Make the collector called ``name``; its module is imported only now."""
    if name not in COLLECTORS:
        raise InputError(f"no collector {name!r}", hint=f"known: {', '.join(sorted(COLLECTORS))}")
    module, _, cls = COLLECTORS[name].partition(":")
    return cast(Collector, getattr(import_module(module), cls)())
