"""The documents of a scan: findings.json and smoke.json.

Every other report is rendered from these two, so that reports for people and for programs
agree, and so that any report can be rendered again from an evidence file.
"""

from collections import Counter
from typing import Annotated, Literal, get_args

from pydantic import Field

from hardpan.core.errors import ToolError
from hardpan.profiles.schema import ssg
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX, CheckOutcome
from hardpan.scanners.report.model.check_sections import CheckPart
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.sections import (
    CompatibilityPart,
    FipsPart,
    HostPart,
    ImagePart,
    RulePart,
    StigPart,
)
from hardpan.scanners.report.model.types import (
    SEVERITIES,
    Counts,
    Document,
    JsonList,
    Number,
    TextByName,
    Timestamp,
)
from hardpan.scanners.report.model.waiver_sections import WaiverRecordPart

Percent = Annotated[str, Field(pattern=r"^([0-9]{1,3}\.[0-9]{2})?$")]
"""Two decimals; empty for a share of nothing."""

_MAX_SCRIPT_RULES = 12
"""Names of rules on one line."""


class Findings(Document):
    """``findings.json``: the results of the scan, rule by rule."""

    schema_version: Literal["1.0"]
    profile: str
    started: Timestamp
    finished: Timestamp
    host: HostPart
    image: ImagePart | None
    content: ContentPart
    score: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{2}$")]
    """XCCDF default score, 0.00 to 100.00."""
    pass_ratio: Percent = ""
    """Passed rules, of those with the answer pass, fail, error or unknown, in percent."""
    coverage: Percent = ""
    """Rules that passed or failed, of those that apply, in percent."""
    differences: JsonList[str] = ()
    """What OpenSCAP evaluated otherwise than expected, one line each."""
    used_untouched: bool = False
    """True if the results are those of the untouched content, because of the differences."""
    counts: Counts
    baseline_counts: Counts | None
    """Counts before hardening, if the same run built the image."""
    rules: JsonList[RulePart]
    checks: JsonList[CheckPart]
    compatibility: CompatibilityPart | None = None
    """The compatibility checks; none where they did not run."""
    fips: FipsPart | None = None
    """None if it was not collected."""
    waivers: JsonList[WaiverRecordPart] = ()
    """Every name in the waivers of the scan, also one that matched no rule."""
    stig: StigPart | None = None
    """None if the content belongs to no known STIG."""

    def describe_script_rules(self) -> str:
        """List the rules that a script check (SCE) evaluated instead of OVAL; empty if none."""
        names = [shorten_id(r.rule_id) for r in self.rules if r.engine == "SCE"]
        if not names:
            return ""
        omitted = len(names) - _MAX_SCRIPT_RULES
        more = f" and {omitted} more" if omitted > 0 else ""
        return f"engine: SCE for {', '.join(names[:_MAX_SCRIPT_RULES])}{more}; OVAL for the others"

    def describe_differences(self) -> str:
        """Describe on one line what OpenSCAP evaluated otherwise; empty if nothing."""
        if not self.differences:
            return ""
        results = (
            "all results are of the untouched content"
            if self.used_untouched
            else "the rules concerned are errors"
        )
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"not what was expected: {self.differences[0]}{more}; {results}"

    def scores_to_json(self) -> dict[str, str]:
        """Return the three scores in percent; an empty one is a share of nothing."""
        return {"xccdf": self.score, "pass_ratio": self.pass_ratio, "coverage": self.coverage}

    @property
    def check_rules(self) -> tuple[RulePart, ...]:
        """Hardpan's own checks in the form of rules, without parts that have no results."""
        return tuple(rule for check in self.checks if (rule := check.to_rule()) is not None)

    @property
    def rules_and_checks(self) -> tuple[RulePart, ...]:
        """The rules of the content, then hardpan's own checks."""
        return (*self.rules, *self.check_rules)

    def count_open_by_severity(self) -> dict[str, int]:
        """Severity -> number of open rules, by the severity that OpenSCAP reports."""
        count = Counter[str](r.severity for r in self.rules if r.is_open)
        return {s: count[s] for s in SEVERITIES}

    def count_open_checks_by_severity(self) -> dict[str, int]:
        """Severity -> number of open checks of hardpan; without severities that have none."""
        count = Counter[str](r.severity for r in self.check_rules if r.is_open)
        return {s: count[s] for s in SEVERITIES if count[s]}

    def count_open_findings_by_severity(self) -> dict[str, int]:
        """Severity -> number of open rules and checks, by the severities that they report."""
        check_counts = self.count_open_checks_by_severity()
        return {s: n + check_counts.get(s, 0) for s, n in self.count_open_by_severity().items()}

    def count_open_for_thresholds(self) -> dict[str, int]:
        """Severity -> number of open rules and checks, as ``--fail-on`` and policies count them.

        ``high``, ``medium`` and ``low`` count by ``gate_severity``. A rule of ``unknown`` or
        ``info`` severity also counts under that name, so that a policy can limit these.
        """
        counts = self.count_open_by_severity()
        gate_counts = Counter[str](r.gate_severity for r in self.rules_and_checks if r.is_open)
        return counts | {s: gate_counts[s] for s in ssg.SEVERITIES}

    def uncollected_parts(self) -> tuple[CheckPart, ...]:
        """Return the parts with an error, as checks with the reason."""
        return tuple(
            c
            for c in self.checks
            if c.name.startswith(NOT_COLLECTED_PREFIX) and c.outcome == "error"
        )

    def require_complete(self) -> None:
        """Pass if no part of the scan ended in an error.

        A part that is ``not_checked`` lacks a precondition on the target, which is an answer.

        Raises:
            ToolError: a part could not be collected.
        """
        missing_parts = self.uncollected_parts()
        if missing_parts:
            reasons = "; ".join(
                f"{c.name.removeprefix(NOT_COLLECTED_PREFIX)}: {c.message}" for c in missing_parts
            )
            raise ToolError(
                ["the scan"],
                f"is not complete: {reasons}",
                hint="the evidence was written; it lists these parts as errors",
            )

    def has_open_rules(self, min_severity: str) -> bool:
        """Return whether a rule or check of ``min_severity`` or higher is open.

        Never with ``"none"``.
        """
        if min_severity == "none":
            return False
        severities = ssg.SEVERITIES[: ssg.SEVERITIES.index(min_severity) + 1]
        open_counts = self.count_open_for_thresholds()
        return any(open_counts[severity] for severity in severities)

    def waiver_warnings(self) -> tuple[WaiverRecordPart, ...]:
        """Return the waivers that match no rule, have expired, or are not needed any more."""
        return tuple(record for record in self.waivers if record.has_warning)

    def count_checks_by_outcome(self) -> dict[str, int]:
        """Outcome -> number of checks."""
        count = Counter[str](c.outcome for c in self.checks)
        return {o: count[o] for o in get_args(CheckOutcome)}


class MeasurePart(Document):
    """One measurement of the smoke test."""

    name: str
    unit: str
    direction: str
    value: Number | None
    n: int
    minimum: Number | None
    maximum: Number | None
    verdict: str
    reason: str


class SmokeDocument(Document):
    """``smoke.json``: the AI workload test."""

    backend: str
    framework: str
    model: str
    model_sha256: str
    verdict: str
    reason: str
    measures: JsonList[MeasurePart]
    environment: TextByName
