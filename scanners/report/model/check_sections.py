"""The part of findings.json about hardpan's own checks, and their form as a rule."""

from hardpan.scanners.model.results import VERDICT_BY_OUTCOME, CheckOutcome, CheckSeverity
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import Document, JsonList, Number, VerdictName
from hardpan.scanners.report.model.waiver_sections import WaiverPart

CHECK_ENGINE = "hardpan"
"""Engine of hardpan's own checks, next to ``OVAL`` and ``SCE``."""


class CheckPart(Document):
    """The result of one check, or the reason why a part of the scan has no results."""

    name: str
    """Id of the check with its parameter; ``collect::PART`` for a part without results."""
    outcome: CheckOutcome
    message: str
    duration_s: Number
    observed: str = ""
    """What the target reported."""
    title: str = ""
    """Empty, like the following fields, for a part without results."""
    severity: CheckSeverity | None = None
    nist: JsonList[str] = ()
    """Controls of NIST SP 800-53 revision 5."""
    rationale: str = ""
    remedy: str = ""
    waiver: WaiverPart | None = None
    """The waiver of the check; it does not change the outcome."""

    @property
    def verdict(self) -> VerdictName:
        """The outcome as the XCCDF result that a rule would have."""
        return VERDICT_BY_OUTCOME[self.outcome]

    def to_rule(self) -> RulePart | None:
        """Return the check in the form of a rule; None for a part of the scan without results.

        Every format shows checks next to the rules of the SCAP content by means of it.
        """
        if self.severity is None:
            return None
        lines = (self.message, f"observed: {self.observed}" if self.observed else "")
        return RulePart(
            rule_id=self.name,
            title=self.title,
            severity=self.severity,
            verdict=self.verdict,
            waiver=self.waiver,
            stig_ids=(),
            sv_ids=(),
            nist=self.nist,
            cce="",
            engine=CHECK_ENGINE,
            evidence_lines=tuple(line for line in lines if line),
            rationale=self.rationale,
            fix_text=self.remedy,
        )
