"""Changes since a previous scan, as the HTML report lists them; ``hardpan diff`` lists all."""

from hardpan.scanners.report.model.types import (
    Document,
    HexDigest,
    JsonList,
    Severity,
    Timestamp,
    VerdictName,
)


class AttributeChange(Document):
    """One attribute of the scan that changed."""

    name: str
    baseline: str
    """Empty if it was not recorded."""
    current: str


class RuleChange(Document):
    """One rule that was added, removed or whose verdict changed."""

    rule_id: str
    title: str
    severity: Severity
    stig_ids: JsonList[str]
    baseline: VerdictName | None
    """None if the baseline did not select it."""
    current: VerdictName | None
    """None if the current scan did not select it."""
    waived: bool
    """An active waiver covers it in the current scan: it is not open."""


class ScanChanges(Document):
    """``changes.json``: changes since the previous scan."""

    since: Timestamp
    """Time at which the baseline finished."""
    statement_sha256: HexDigest
    """Digest of the statement of the baseline, which identifies its evidence."""
    newly_failing: JsonList[RuleChange] = ()
    """Fail, error or unknown now, and not in the baseline; waived or not."""
    fixed: JsonList[RuleChange] = ()
    """Pass now; fail, error or unknown in the baseline."""
    other: JsonList[RuleChange] = ()
    attributes: JsonList[AttributeChange] = ()

    @property
    def rules(self) -> tuple[RuleChange, ...]:
        """Every changed rule."""
        return (*self.newly_failing, *self.fixed, *self.other)
