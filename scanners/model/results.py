"""Results of a scan besides the rules: host checks, the AI workload test, compatibility checks."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from hardpan.core.files import Sha256

NOT_COLLECTED_PREFIX = "collect::"
"""Prefix of the name of a check which reports that a part could not be collected."""


CHECK_PREFIX = "hardpan-check-"
"""Prefix of the ids of the checks in the registry (``scanners/collect/checks/registry.yaml``)."""

CheckOutcome = Literal["passed", "failed", "error", "not_checked", "skipped"]
"""``error``: no answer, or one that cannot be read. ``not_checked``: a precondition is missing on
the target. ``skipped``: not applicable, for example because the profile does not require it."""

CheckVerdict = Literal["pass", "fail", "error", "notchecked", "notapplicable"]

VERDICT_BY_OUTCOME: dict[CheckOutcome, CheckVerdict] = {
    "passed": "pass",
    "failed": "fail",
    "error": "error",
    "not_checked": "notchecked",
    "skipped": "notapplicable",
}
"""Outcome of a check -> the result that an XCCDF rule would have."""

CheckSeverity = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDefinition:
    """The entry of a check in the registry, as every report shows it."""

    title: str
    severity: CheckSeverity
    nist: tuple[str, ...]
    """Controls of NIST SP 800-53 revision 5, e.g. ``SC-13``."""

    rationale: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """The result of one check: a testinfra test, or a part of the scan without results."""

    name: str
    """Id of a check in the registry, with its parameter after a full stop: ``hardpan-check-umask``,
    ``hardpan-check-mount-options._tmp``; of a part of the scan without results ``collect::PART``.
    """

    outcome: CheckOutcome
    message: str
    """Why it did not pass; for ``not_checked`` also the remedy."""

    duration_s: float
    observed: str = ""
    """What the target reported, on one line; empty if it reported nothing."""

    definition: CheckDefinition | None = None
    """None for a part of the scan without results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured value of the smoke test."""

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
    """``pass``, ``fail``, ``not_checked`` (no baseline) or ``error``."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """The result of the AI workload test."""

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
    """The opposite was observed."""

    NOT_TESTED = "not_tested"
    """The host offers no way to test it."""

    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


class CompatibilityVerdict(StrEnum):
    """Verdict over the control check and the workload check of a conflict."""

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
    """What the host reported, or why it could not be tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibilityResult:
    """One conflict: whether the control is in force and the workload runs."""

    conflict: str
    """Id of the conflict, e.g. ``tmp-noexec``."""

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
    """How the workload checks were confined: unit, user, settings, as the host reports."""

    results: tuple[CompatibilityResult, ...]
    """One for each known conflict, in the list's order."""

    def counts(self) -> dict[str, int]:
        """Return verdict -> number of conflicts, with every verdict."""
        return {v.value: sum(p.verdict == v for p in self.results) for v in CompatibilityVerdict}
