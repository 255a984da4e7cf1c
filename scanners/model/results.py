"""What was tried on a host and how it went: checks, the AI workload, the compatibility checks."""

from dataclasses import dataclass, field
from enum import StrEnum

from hardpan.core.files import Sha256

NOT_COLLECTED_PREFIX = "collect::"
"""What the name of a check begins with that says: this part could not be asked or read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """One testinfra test."""

    name: str
    """``module::function[parameters]``."""

    outcome: str
    """``passed``, ``failed``, ``error`` or ``skipped``."""

    message: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of the smoke test."""

    name: str
    unit: str
    direction: str
    """``higher`` or ``lower`` is better."""

    value: float
    """Median of the samples."""

    n: int
    minimum: float
    maximum: float
    verdict: str
    """``pass``, ``fail``, ``not_checked`` (there is no reference for it) or ``error``."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """The AI workload test."""

    backend: str
    """``cpu``, ``cuda`` or ``rocm``."""

    framework: str
    """E.g. ``torch 2.6.0``."""

    model: str
    model_sha256: Sha256
    measures: tuple[Measure, ...]
    environment: dict[str, str] = field(default_factory=dict)
    """CPU model, threads, kernel command line digest, …"""

    verdict: str = "not_checked"
    reason: str = ""


class CompatibilityOutcome(StrEnum):
    """Outcome of a control check or a workload check."""

    SATISFIED = "satisfied"
    VIOLATED = "violated"
    """It was seen not to hold."""

    NOT_TESTED = "not_tested"
    """The host gave no way to ask."""

    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


class CompatibilityVerdict(StrEnum):
    """What becomes of both halves together."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_CHECKED = "not_checked"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The control check or the workload check of one conflict."""

    outcome: CompatibilityOutcome
    inspected: str
    expected: str
    observed: str
    """What the host answered, or why it could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibilityResult:
    """One conflict of hardening and AI: the control holds and the AI action works."""

    conflict: str
    """Its id, e.g. ``tmp-noexec``."""

    row: str
    title: str
    rules: tuple[str, ...]
    """DISA's ids of the control."""

    content: tuple[str, ...]
    """Short names of the same rules in the SCAP content."""

    resolution: str
    verdict: CompatibilityVerdict
    reason: str
    control: CheckResult
    workload: CheckResult


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibilityReport:
    """The compatibility checks of one scan."""

    confinement: str
    """How the actions were confined, in the host's words: unit, user, settings."""

    results: tuple[CompatibilityResult, ...]
    """One for each known conflict, in the list's order."""

    def counts(self) -> dict[str, int]:
        """Verdict -> number of conflicts; every verdict is there."""
        return {v.value: sum(p.verdict == v for p in self.results) for v in CompatibilityVerdict}
