"""The differences of two scans: frozen models with a JSON form."""

from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange
from hardpan.scanners.report.model.types import Document, JsonList, Number, Severity
from hardpan.scanners.report.model.waiver_sections import WaiverPart


class ScanSummary(Document):
    """The identity of one of the two scans."""

    hostname: str
    host_key_sha256: str
    profile: str
    finished: str
    score: str


class CountChange(Document):
    """A number of rules, checks or conflicts that changed."""

    name: str
    baseline: int
    current: int


class WaiverChange(Document):
    """A waiver that was added, removed or changed."""

    name: str
    """Rule id, or ``compatibility:`` and the conflict's id."""
    baseline: WaiverPart | None
    current: WaiverPart | None


class WaiverChanges(Document):
    """Changes of the waivers of failed rules."""

    added: JsonList[WaiverChange]
    """Not waived in the baseline, waived now."""
    removed: JsonList[WaiverChange]
    """Waived in the baseline; still fails and is open now."""
    changed: JsonList[WaiverChange]
    """Waived in both scans, with a different reason, owner or expiry."""


class PackageChange(Document):
    """A package at other versions; several may be installed at once (kernels)."""

    name: str
    """Name and architecture, ``bash.x86_64``."""
    baseline: JsonList[str]
    """``epoch:version-release`` that were removed."""
    current: JsonList[str]
    """``epoch:version-release`` that were added."""


class PackageChanges(Document):
    """The differences of the package lists."""

    added: JsonList[PackageChange]
    removed: JsonList[PackageChange]
    changed: JsonList[PackageChange]


class OutcomeChange(Document):
    """The outcome of one check or conflict; None if it did not run."""

    name: str
    baseline: str | None
    current: str | None
    waived: bool = False
    """An active waiver covers it in the current scan."""


class MeasureChange(Document):
    """One measurement of the smoke test in both scans; informational."""

    name: str
    unit: str
    direction: str
    baseline: Number | None
    current: Number | None
    percent: Number | None
    """Change relative to the baseline, in percent; None if it cannot be computed."""


class Regression(Document):
    """A check that passed in the baseline and was not confirmed in the current scan."""

    kind: str
    """``rule``, ``check``, ``compatibility``, ``smoke``, ``fips`` or ``score``."""
    name: str
    severity: Severity | None
    baseline: str
    current: str


def make_regression(kind: str, name: str, baseline: str, current: str) -> Regression:
    """Return a regression of something that has no severity."""
    return Regression(kind=kind, name=name, severity=None, baseline=baseline, current=current)


class ScanDiff(Document):
    """All differences of two scans."""

    baseline: ScanSummary
    current: ScanSummary
    notes: JsonList[str]
    """Reasons why the scans are hard to compare: different hosts, content or order."""
    attributes: JsonList[AttributeChange]
    counts: JsonList[CountChange]
    """Verdicts, then ``open high`` and so on."""
    newly_failing: JsonList[RuleChange]
    """Fail, error or unknown now, and not in the baseline."""
    fixed: JsonList[RuleChange]
    """Pass now; fail, error or unknown in the baseline."""
    still_failing: JsonList[RuleChange]
    """Fail, error or unknown in both scans; waived ones included."""
    changed: JsonList[RuleChange]
    """Every other change of a verdict."""
    added: JsonList[RuleChange]
    removed: JsonList[RuleChange]
    waivers: WaiverChanges
    checks: JsonList[OutcomeChange]
    compatibility: JsonList[OutcomeChange]
    measures: JsonList[MeasureChange]
    packages: PackageChanges | None
    """None if one of the two lists is missing."""
    regressions: JsonList[Regression]

    def count_rules(self) -> dict[str, int]:
        """Return the numbers of rules that failed in either scan, as JSON data."""
        return {
            "fixed": len(self.fixed),
            "stillFailing": len(self.still_failing),
            "stillFailingWaived": sum(c.waived for c in self.still_failing),
            "newlyFailing": len(self.newly_failing),
        }

    @property
    def has_regressions(self) -> bool:
        """Return whether any check regressed."""
        return bool(self.regressions)
