"""What changed since a previous scan, as far as a page tells it; ``hardpan diff`` tells all."""

from hardpan.scanners.report.model.types import (
    Document,
    HexDigest,
    JsonList,
    Severity,
    Timestamp,
    VerdictName,
)


class AttributeChange(Document):
    """One fact that is told once per scan and is not the same any more."""

    name: str
    baseline: str
    """Empty where it was not told."""
    current: str


class RuleChange(Document):
    """One rule whose verdict changed, that came, or that went."""

    rule_id: str
    title: str
    severity: Severity
    stig_ids: JsonList[str]
    baseline: VerdictName | None
    """None where the older scan did not select it."""
    current: VerdictName | None
    """None where the newer scan did not select it."""
    waived: bool
    """A waiver holds for it in the newer scan: it is not open."""


class ScanChanges(Document):
    """What a page tells of it: ``changes.json`` in evidence that was compared with the last."""

    since: Timestamp
    """When the older scan finished."""
    statement_sha256: HexDigest
    """Digest of the older scan's statement: which evidence it was compared with."""
    newly_failing: JsonList[RuleChange] = ()
    """Fails or cannot be judged now, and did not then; waived or not."""
    fixed: JsonList[RuleChange] = ()
    """Failed or could not be judged then, and passes now."""
    other: JsonList[RuleChange] = ()
    attributes: JsonList[AttributeChange] = ()

    @property
    def rules(self) -> tuple[RuleChange, ...]:
        """Every rule that is told of."""
        return (*self.newly_failing, *self.fixed, *self.other)
