"""Results of rules; a module of its own, because the process that parses an ARF needs only them."""

from enum import StrEnum


class Verdict(StrEnum):
    """XCCDF 1.2 rule results (NISTIR 7275r4, table 26)."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    ERROR = "error"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "notapplicable"
    NOT_CHECKED = "notchecked"
    NOT_SELECTED = "notselected"
    INFORMATIONAL = "informational"
    FIXED = "fixed"
