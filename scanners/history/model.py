"""What changed from one scan to the next: frozen, and JSON by ``data()``."""

from hardpan.scanners.report.changes import Fact, RuleChange
from hardpan.scanners.report.fields import Document, Many, Number, Severity
from hardpan.scanners.report.parts import WaiverPart


class Point(Document):
    """One of the two scans, short."""

    hostname: str
    host_key_sha256: str
    profile: str
    finished: str
    score: str


class Count(Document):
    """A number of rules, checks or pairs that is not the same any more."""

    name: str
    old: int
    new: int


class WaiverChange(Document):
    """A waiver that began, ended, or says something else."""

    name: str
    """Rule id, or ``paired:`` and the conflict's id."""
    old: WaiverPart | None
    new: WaiverPart | None


class Waivers(Document):
    """What became of the waivers that a failure rests on."""

    began: Many[WaiverChange]
    """Not waived before, waived now."""
    ended: Many[WaiverChange]
    """Waived before; fails still, and is open now."""
    changed: Many[WaiverChange]
    """Waived before and now, with another reason, owner or last day."""


class PackageChange(Document):
    """A package at other versions; several may be installed at once (kernels)."""

    name: str
    """Name and architecture, ``bash.x86_64``."""
    old: Many[str]
    """``epoch:version-release`` that went."""
    new: Many[str]
    """``epoch:version-release`` that came."""


class Packages(Document):
    """The package lists, held against each other."""

    added: Many[PackageChange]
    removed: Many[PackageChange]
    changed: Many[PackageChange]


class Outcomes(Document):
    """The outcome of one check or pair; None where it did not run."""

    name: str
    old: str | None
    new: str | None
    waived: bool = False
    """A waiver holds for it in the newer scan."""


class Figure(Document):
    """One figure of the smoke test in both scans: told, never judged."""

    name: str
    unit: str
    direction: str
    old: Number | None
    new: Number | None
    percent: Number | None
    """Change relative to the older value; None where it cannot be told."""


class Regression(Document):
    """Something that held in the older scan and was not seen to hold in the newer one."""

    kind: str
    """``rule``, ``check``, ``paired``, ``smoke``, ``fips`` or ``score``."""
    name: str
    severity: Severity | None
    old: str
    new: str


class Diff(Document):
    """All that changed from an older scan to a newer one."""

    old: Point
    new: Point
    notes: Many[str]
    """What makes the two hard to compare: another host, other content, the wrong order."""
    facts: Many[Fact]
    counts: Many[Count]
    """Verdicts, then ``open high`` and so on."""
    failing: Many[RuleChange]
    """Fail, error or unknown now, and were not before."""
    fixed: Many[RuleChange]
    """Pass now, and were fail, error or unknown before."""
    changed: Many[RuleChange]
    """Every other change of a verdict."""
    came: Many[RuleChange]
    gone: Many[RuleChange]
    waivers: Waivers
    checks: Many[Outcomes]
    paired: Many[Outcomes]
    figures: Many[Figure]
    packages: Packages | None
    """None where one of the two lists is not at hand."""
    regressions: Many[Regression]

    @property
    def is_regression(self) -> bool:
        """True when something that held was not seen to hold any more."""
        return bool(self.regressions)
