"""The parts of findings.json about waivers: of a rule, and of the scan."""

from typing import Annotated, Literal

from pydantic import Field

from hardpan.scanners.model.waiver_status import WARNING_STATUSES
from hardpan.scanners.report.model.types import Document, JsonList


class WaiverPart(Document):
    """An accepted deviation: its reason, its owner and its expiry."""

    reason: str
    owner: str
    expires: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """Last day on which it is active."""
    is_active: bool
    """False if it had expired before the scan: then the rule is open."""

    def describe(self) -> str:
        """Format the waiver on one line."""
        validity = "until" if self.is_active else "expired on"
        return f"{self.reason} ({self.owner}, {validity} {self.expires})"


class WaiverRecordPart(Document):
    """One name in a waiver of the scan: which rules it matched, and what became of it."""

    selector: Annotated[str, Field(max_length=250)]
    """As it was written: an id of a rule, or a pattern."""
    source: str
    """``profile NAME``, or the name of the waiver file."""
    reason: str
    owner: str
    expires: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """Last day on which it is active, until 23:59:59 UTC."""
    rule_ids: JsonList[str]
    status: Literal["active", "expired", "stale", "unmatched", "unused"]
    """``active``: a rule of it is not passed. ``stale``: its rules pass. ``unmatched``: no rule of
    the scan has this name. ``unused``: its rules were not applicable or not checked."""

    @property
    def has_warning(self) -> bool:
        """True if someone should change or remove the waiver."""
        return self.status in WARNING_STATUSES

    def describe(self) -> str:
        """Format the name, its source and its state on one line."""
        return f"{self.selector} ({self.source}): {self.describe_status()}"

    def describe_status(self) -> str:
        """What became of it, in words."""
        texts = {
            "active": "active",
            "expired": f"expired on {self.expires}",
            "stale": "not needed any more: the rule passes",
            "unmatched": "matches no rule of this scan",
            "unused": "not needed: the rule was not evaluated",
        }
        return texts[self.status]
