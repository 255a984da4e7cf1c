"""Format the number of rules and checks per outcome."""

from collections.abc import Mapping

_VERDICT_ORDER = (
    "pass",
    "fail",
    "error",
    "unknown",
    "notchecked",
    "notapplicable",
    "informational",
    "fixed",
)
_OUTCOME_ORDER = ("passed", "failed", "not_checked", "skipped")


def format_counts(by_name: Mapping[str, int]) -> str:
    """``pass 312, fail 41, …``: what is zero is left out, pass and fail are not."""
    names = [n for n in (*_VERDICT_ORDER, *_OUTCOME_ORDER) if n in by_name]
    return ", ".join(
        f"{n.replace('_', ' ')} {by_name[n]}" for n in names if by_name[n] or n in ("pass", "fail")
    )
