"""The collector interface, its input and output, and the registry of collectors."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import HardpanError, InputError, ToolError, UnavailableError
from hardpan.core.events import Emit
from hardpan.scanners.collect.job_count import FALLBACK_JOBS
from hardpan.scanners.collect.openscap_packages import PushedPackage
from hardpan.scanners.collect.raw_answers import AnswerLog
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.fips.model import FipsAnswers
from hardpan.scanners.model.results import (
    NOT_COLLECTED_PREFIX,
    CheckOutcome,
    CompatibilityReport,
    HostCheck,
    SmokeReport,
)
from hardpan.scanners.model.scan import ScannedHost
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.ssh.connection import Connection

SCE_PLUGIN = "the SCE plugin of OpenSCAP"
"""Name of what evaluates script checks."""

MAX_REASON_CHARS = 400
"""Characters of the reason why something failed on a target."""

_MAX_OUTPUT_CHARS = 160
"""Characters of a program's output in that reason, so that the remedy is not cut off."""


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

    forbids_build_tools: bool = False
    """True when the image must have no compiler, module source or key of a build."""

    tuned_profile: str = ""
    """The required profile of tuned; empty: not checked."""

    transparent_hugepages: str = ""
    """The required mode, e.g. ``madvise``; empty: not checked."""

    ai_python: str = ""
    """Python that must be able to import torch; empty: not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSettings:
    """Sizes of the AI workload test."""

    matrix_size: int
    matrix_rounds: int
    batch: int
    batch_rounds: int
    python: str = "/usr/bin/python3"
    """The target's Python that has PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceServer:
    """The target's inference server, as the target itself reaches it."""

    model: str
    """Name under which the model is served."""

    model_file: str
    """File on the target whose digest identifies the model: weights, or a list of files."""

    cafile: str
    """File on the target with the certificate that the proxy must present."""

    engine: str
    """Serving engine, e.g. ``llama_cpp``."""

    backend: str = "cpu"
    """``cpu``, ``cuda`` or ``rocm``."""

    key_file: str = "/root/hardpan-access/api-key"
    """File on the target with an API key; each machine generates one at first boot."""

    host: str = "localhost"
    port: int = 443
    max_tokens: int = 16
    """Maximum tokens of one answer."""

    answer_timeout_s: float = 120.0
    """Time limit of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChallenge:
    """What the host is to sign with its host key."""

    message: bytes
    namespace: str
    """SSHSIG namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectTask:
    """Input of a collector."""

    prepared: PreparedContent | None = None
    """The content to evaluate; ``openscap`` needs it."""

    openscap_packages: tuple[PushedPackage, ...] = ()
    """Packages of OpenSCAP to upload for the scan."""

    distro: str = "linux"
    """Distribution in package URLs, e.g. ``debian-12``."""

    expected: ExpectedState | None = None
    """The state that ``hostfacts`` compares with; None without a hardpan profile."""

    required_checks: frozenset[str] = frozenset()
    """Ids of the checks that the host must meet; see ``check_registry.CheckRegistry``."""

    workload: WorkloadSettings | None = None
    """``smoke`` needs it."""

    server: InferenceServer | None = None
    """``chat`` needs it; None if the profile has no inference server."""

    challenge: HostChallenge | None = None
    """``host_signature`` needs it."""

    answer_log: AnswerLog = field(default_factory=AnswerLog)
    """Where the collector records what the target answered, before it parses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedEvidence:
    """Output of a collector; each one sets its own fields."""

    files: Mapping[str, bytes | CompressedBlob] = field(default_factory=dict)
    """File name -> content, attached unchanged."""

    arfs: tuple[Arf | UnreadableArf, ...] = ()
    """One for each part of the content, in its order."""

    untouched_arf: Arf | UnreadableArf | None = None
    """The ARF of the untouched content; None if it was not evaluated separately."""

    engine: str = ""
    """Version of oscap on the target, and its engines."""

    checks: tuple[HostCheck, ...] = ()
    packages: tuple[str, ...] = ()
    """Sorted NEVRAs."""

    host: ScannedHost | None = None
    release: OsRelease | None = None
    """The fields of os-release that the content is chosen by; ``host`` sets it."""

    job_count: int = FALLBACK_JOBS
    file_count: int = 0
    """Processes that may evaluate content on the target at once; ``host`` sets it."""

    missing_for_scripts: tuple[str, ...] = (SCE_PLUGIN,)
    """What the target lacks to evaluate script checks (SCE); ``host`` sets it."""

    fips: FipsAnswers | None = None
    """Answers about FIPS mode, not yet assessed."""

    smoke: SmokeReport | None = None
    compatibility: CompatibilityReport | None = None
    host_signature: bytes = b""
    """SSHSIG by the host's key; empty if the host cannot sign."""


_ARF_NAME = re.compile(r"(?:ARF )?arf-[0-9]+\.xml")


class Collector(ABC):
    """Collects one kind of evidence from a target. Never changes the target permanently."""

    @abstractmethod
    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect this collector's evidence, or raise ``ToolError``.

        ``timeout_s`` is the limit for all commands together.
        """

    def build_failed_evidence(self, task: CollectTask, check: HostCheck) -> CollectedEvidence:
        """Build the evidence of a collector that failed; empty unless a report needs more.

        ``check`` has the outcome and the reason.
        """
        return CollectedEvidence()


COLLECTORS = {
    "chat": "hardpan.scanners.collect.chat:ChatTest",
    "compatibility": "hardpan.scanners.collect.compatibility:CompatibilityChecks",
    "fips": "hardpan.scanners.collect.fips:FipsFacts",
    "host": "hardpan.scanners.collect.host:HostIdentity",
    "host_signature": "hardpan.scanners.collect.host_signature:HostSignature",
    "hostfacts": "hardpan.scanners.collect.hostfacts:HostFacts",
    "openscap": "hardpan.scanners.collect.openscap:OpenScap",
    "packages": "hardpan.scanners.collect.packages:PackageCollector",
    "platform": "hardpan.scanners.collect.hostfacts:PlatformChecks",
    "smoke": "hardpan.scanners.collect.smoke:SmokeTest",
}
"""Name -> ``module:class``."""

OPTIONAL_COLLECTORS = (
    *("chat", "compatibility", "fips", "host_signature", "hostfacts", "packages", "platform"),
    "smoke",
)
"""Collectors that a scan can do without; ``--require`` names them."""


def build_failed_check(part: str, error: HardpanError) -> HostCheck:
    """Return the check that records why ``part`` has no results, with the remedy.

    A missing precondition is ``not_checked``; a broken answer, or none, is an ``error``.
    """
    outcome: CheckOutcome = "not_checked" if isinstance(error, UnavailableError) else "error"
    return HostCheck(
        name=NOT_COLLECTED_PREFIX + part,
        outcome=outcome,
        message=describe_failure(error),
        duration_s=0,
    )


def build_unreadable_check(part: str, reason: str) -> HostCheck:
    """Return the check that records why the ARF ``part`` is not used.

    Reports print it after the name of the part, so the message does not repeat that name.
    """
    message = _ARF_NAME.sub("ARF", reason)
    return HostCheck(
        name=NOT_COLLECTED_PREFIX + part, outcome="error", message=message, duration_s=0
    )


def describe_failure(error: HardpanError) -> str:
    """Return the reason, the last line of the output, and the remedy, as one printable line."""
    reason = str(error).strip().partition("\n")[0]
    output = error.output_tail.strip() if isinstance(error, ToolError) else ""
    if output:
        reason += f": {output.splitlines()[-1][:_MAX_OUTPUT_CHARS]}"
    text = f"{reason}; {error.hint}" if error.hint else reason
    return "".join(c for c in text if c.isprintable())[:MAX_REASON_CHARS]


def create_collector(name: str) -> Collector:
    """Create the collector called ``name``; its module is imported only now."""
    if name not in COLLECTORS:
        raise InputError(f"no collector {name!r}", hint=f"known: {', '.join(sorted(COLLECTORS))}")
    module, _, cls = COLLECTORS[name].partition(":")
    return cast(Collector, getattr(import_module(module), cls)())
