"""State of the ARF parser, and sanitizing of its text."""

from collections import defaultdict
from dataclasses import dataclass, field

from hardpan.core.errors import ToolError

MAX_LINE = 300
"""Characters of one line of evidence."""

_MAX_FIELDS = 100
"""Fields of one item: they fill more than a line."""


@dataclass(slots=True)
class RawRuleResult:
    """One rule-result as the ARF has it."""

    rule_id: str
    result: str = ""
    engine: str = ""
    definition_ref: tuple[str, str] | None = None
    """Report and definition of the verdict."""

    messages: list[str] = field(default_factory=list)
    output_lines: list[str] = field(default_factory=list)
    check_count: int = 0
    is_repeated: bool = False
    """True if the ARF has more than one result for the rule."""


@dataclass(slots=True)
class ParserState:
    """Everything that is retained of an ARF."""

    rules: dict[str, RawRuleResult] = field(default_factory=dict)
    comments: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    items: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    tests: dict[str, dict[str, tuple[str, list[str]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    definitions: dict[str, dict[str, tuple[list[str], list[str]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    incomplete: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    metadata: dict[str, str] = field(default_factory=dict)
    """``version``, ``start-time``, ``end-time``, ``profile`` and ``score``, unchanged."""

    platforms: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CollectedItem:
    """One item that a probe collected, while it is parsed."""

    id: str
    kind: str
    status: str
    depth: int
    fields: list[str] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        """Add one of its values."""
        if text and len(self.fields) < _MAX_FIELDS:
            self.fields.append(f"{name}={text[:MAX_LINE]}")

    def format_line(self) -> str:
        """Return the item as one line."""
        status_note = "" if self.status == "exists" else f" ({self.status})"
        return sanitize_line(f"{self.kind}: {' '.join(self.fields)}{status_note}")


def invalid_arf(name: str, reason: str) -> ToolError:
    """Return the error for an ARF that oscap does not write."""
    return ToolError(
        [f"the ARF {name}"],
        reason,
        hint="the results are not used; check the target's disk space and memory",
    )


def sanitize_line(text: str) -> str:
    """Return ``text`` as one printable line of at most ``MAX_LINE`` characters."""
    folded = " ".join(text[: MAX_LINE * 2].split())
    printable = folded if folded.isprintable() else "".join(filter(str.isprintable, folded))
    return printable if len(printable) <= MAX_LINE else printable[: MAX_LINE - 1] + "…"
