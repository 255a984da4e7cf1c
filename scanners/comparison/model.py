"""What changed from one scan to the next: frozen, and JSON by ``data()``."""

from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange
from hardpan.scanners.report.model.sections import WaiverPart
from hardpan.scanners.report.model.types import Document, JsonList, Number, Severity


class ScanSummary(Document):
    """One of the two scans, short."""

    hostname: str
    host_key_sha256: str
    profile: str
    finished: str
    score: str


class CountChange(Document):
    """A number of rules, checks or conflicts that is not the same any more."""

    name: str
    baseline: int
    current: int


class WaiverChange(Document):
    """A waiver that began, ended, or says something else."""

    name: str
    """Rule id, or ``compatibility:`` and the conflict's id."""
    baseline: WaiverPart | None
    current: WaiverPart | None


class WaiverChanges(Document):
    """What became of the waivers that a failure rests on."""

    added: JsonList[WaiverChange]
    """Not waived before, waived now."""
    removed: JsonList[WaiverChange]
    """Waived before; fails still, and is open now."""
    changed: JsonList[WaiverChange]
    """Waived before and now, with another reason, owner or last day."""


class PackageChange(Document):
    """A package at other versions; several may be installed at once (kernels)."""

    name: str
    """Name and architecture, ``bash.x86_64``."""
    baseline: JsonList[str]
    """``epoch:version-release`` that went."""
    current: JsonList[str]
    """``epoch:version-release`` that came."""


class PackageChanges(Document):
    """The package lists, held against each other."""

    added: JsonList[PackageChange]
    removed: JsonList[PackageChange]
    changed: JsonList[PackageChange]


class OutcomeChange(Document):
    """The outcome of one check or conflict; None where it did not run."""

    name: str
    baseline: str | None
    current: str | None
    waived: bool = False
    """A waiver holds for it in the newer scan."""


class MeasureChange(Document):
    """One figure of the smoke test in both scans: told, never judged."""

    name: str
    unit: str
    direction: str
    baseline: Number | None
    current: Number | None
    percent: Number | None
    """Change relative to the older value; None where it cannot be told."""


class Regression(Document):
    """Something that held in the older scan and was not seen to hold in the newer one."""

    kind: str
    """``rule``, ``check``, ``compatibility``, ``smoke``, ``fips`` or ``score``."""
    name: str
    severity: Severity | None
    baseline: str
    current: str


class ScanDiff(Document):
    """All that changed from an older scan to a newer one."""

    baseline: ScanSummary
    current: ScanSummary
    notes: JsonList[str]
    """What makes the two hard to compare: another host, other content, the wrong order."""
    attributes: JsonList[AttributeChange]
    counts: JsonList[CountChange]
    """Verdicts, then ``open high`` and so on."""
    newly_failing: JsonList[RuleChange]
    """Fail, error or unknown now, and were not before."""
    fixed: JsonList[RuleChange]
    """Pass now, and were fail, error or unknown before."""
    changed: JsonList[RuleChange]
    """Every other change of a verdict."""
    added: JsonList[RuleChange]
    removed: JsonList[RuleChange]
    waivers: WaiverChanges
    checks: JsonList[OutcomeChange]
    compatibility: JsonList[OutcomeChange]
    measures: JsonList[MeasureChange]
    packages: PackageChanges | None
    """None where one of the two lists is not at hand."""
    regressions: JsonList[Regression]

    @property
    def has_regressions(self) -> bool:
        """True when something that held was not seen to hold any more."""
        return bool(self.regressions)
