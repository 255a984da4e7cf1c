"""The state of a waiver after a scan; the scanner derives it, and a verifier derives it again."""

from collections.abc import Iterable
from enum import StrEnum

MAX_WAIVER_MATCHES = 20_000
"""Rules that all names in the waivers of a scan match together; a verifier compares each again."""

_OPEN = frozenset({"fail", "error", "unknown"})
_PASSED = frozenset({"pass", "fixed"})


class WaiverStatus(StrEnum):
    """What a waiver did in a scan."""

    ACTIVE = "active"
    """A rule that it is for is not passed: the waiver is needed."""

    EXPIRED = "expired"
    """Its last day was over: its rules are open."""

    STALE = "stale"
    """A rule that it is for passes, and none is open: it should be removed."""

    UNMATCHED = "unmatched"
    """No rule of the scan has such a name."""

    UNUSED = "unused"
    """Its rules were not applicable or not checked on this host."""


WARNING_STATUSES = frozenset({WaiverStatus.EXPIRED, WaiverStatus.STALE, WaiverStatus.UNMATCHED})
"""What a person should change in the waivers."""


def derive_waiver_status(verdicts: Iterable[str], *, has_expired: bool) -> WaiverStatus:
    """Return the state of a waiver from the verdicts of the rules that it is for."""
    present = {str(verdict) for verdict in verdicts}
    if not present:
        return WaiverStatus.UNMATCHED
    if has_expired:
        return WaiverStatus.EXPIRED
    if present & _OPEN:
        return WaiverStatus.ACTIVE
    return WaiverStatus.STALE if present & _PASSED else WaiverStatus.UNUSED
