"""State of the ARF parser, and sanitizing of its text."""

from collections import defaultdict
from dataclasses import dataclass, field

from hardpan.core.errors import ToolError

MAX_LINE = 300
"""Characters of one line of evidence."""

EVIDENCE_FIELDS = frozenset(
    (
        *("path", "filename", "filepath", "name", "username", "mount_point", "local_address"),
        *("unit", "property", "key", "instance", "subexpression", "value", "text", "version"),
        *("evr", "uread", "user_id", "group_id", "mount_options", "current_status"),
    )
)
"""Elements of an item that are evidence."""

_MAX_FIELDS = 100
"""Fields of one item: they fill more than a line."""


@dataclass(slots=True)
class RawCheck:
    """One ``check`` of a rule-result, alone or in a ``complex-check``."""

    engine: str = ""
    is_negated: bool = False
    references: list[tuple[str, str]] = field(default_factory=list)
    """Report and definition; an empty definition stands for every definition of the report."""

    value_ids: list[str] = field(default_factory=list)
    """XCCDF values that the check exports to its engine."""

    output_lines: list[str] = field(default_factory=list)
    """Output of a script."""


@dataclass(slots=True)
class RawRuleResult:
    """One rule-result as the ARF has it."""

    rule_id: str
    severity: str = ""
    role: str = ""
    weight: str = ""
    result: str = ""
    messages: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    """Results that somebody replaced, as text."""

    checks: list[RawCheck] = field(default_factory=list)
    expression: list[str] = field(default_factory=list)
    """Pieces of the text that describes a ``complex-check``; empty if there is none."""


@dataclass(slots=True)
class RawDefinition:
    """Result of one OVAL definition."""

    result: str
    test_ids: list[str] = field(default_factory=list)
    extended_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ParserState:
    """Everything that is retained of an ARF."""

    rules: dict[str, list[RawRuleResult]] = field(default_factory=dict)
    """Rule id -> its results; a check of several definitions may give several."""

    values: dict[str, str] = field(default_factory=dict)
    """Value id -> the value that oscap evaluated with."""

    comments: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    items: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    tests: dict[str, dict[str, tuple[str, list[str]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    allowed_items: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    """Report -> test -> items that are no evidence, because the test is about all others."""

    definitions: dict[str, dict[str, RawDefinition]] = field(
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
