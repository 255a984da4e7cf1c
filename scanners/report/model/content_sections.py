"""The parts of findings.json about the SCAP content: its identity, and its tailoring."""

from typing import Annotated, Literal

from pydantic import Field

from hardpan.scanners.report.model.types import Document, HexDigest, JsonList, Severity

NO_REASON = "no reason stated"
"""What reports say if a tailoring has none."""


def describe_changes(unselected: int, selected: int, settings: int) -> str:
    """Format the numbers of changes of a tailoring."""
    changes = (
        (unselected, "rule", "not evaluated"),
        (selected, "rule", "added"),
        (settings, "setting", "changed"),
    )
    texts = [f"{n} {noun}{'' if n == 1 else 's'} {verb}" for n, noun, verb in changes if n]
    return ", ".join(texts) or "no change of the base profile"


class TailoredRulePart(Document):
    """A rule that only one of base profile and tailored profile selects."""

    rule_id: str
    title: str
    severity: Severity
    reason: str
    """Empty if the tailoring has none."""
    sv_ids: JsonList[str] = ()
    """DISA rule versions; empty in evidence of an older hardpan."""


class TailoredSettingPart(Document):
    """A setting with another value than in the base profile."""

    name: str
    """Id of an XCCDF Value, or ``severity``, ``role`` or ``weight``."""
    rule_id: str
    """The rule whose severity, role or weight it is; empty for a Value."""
    base: str
    value: str
    reason: str
    """Empty if the tailoring has none."""

    def describe(self) -> str:
        """Format the change on one line."""
        name = f"{self.name} of {self.rule_id}" if self.rule_id else self.name
        return f"{name}: {self.base} -> {self.value}"


class TailoringPart(Document):
    """A tailoring and its effect: the tailored profile compared with its base profile."""

    file: str
    """Name of the user's file; the evidence has it as ``tailoring.yaml`` or ``tailoring.xml``."""
    sha256: HexDigest
    format: Literal["yaml", "xccdf"]
    title: str
    author: str
    """The author that it names; empty for none."""
    version: str
    profile_id: str
    """The profile that was evaluated."""
    base_profile_id: str
    """The benchmark's profile that it extends; empty for a profile that extends none."""
    rules_sha256: HexDigest
    """Digest of the sorted ids of the evaluated rules, one a line."""
    unselected: JsonList[TailoredRulePart]
    """Rules of the base profile that were not evaluated."""
    selected: JsonList[TailoredRulePart]
    """Evaluated rules that the base profile does not select."""
    settings: JsonList[TailoredSettingPart]
    notes: JsonList[str]
    """What was ignored in the file."""

    def describe(self) -> str:
        """Format source and effect on one line."""
        author = f"by {self.author}" if self.author else "its author is not stated"
        base = f"of {self.base_profile_id}" if self.base_profile_id else "with a profile of its own"
        return f"{self.file} ({author}) {base}: {self.describe_effect()}"

    @property
    def attached_name(self) -> str:
        """Name of the file in the evidence."""
        return "tailoring.yaml" if self.format == "yaml" else "tailoring.xml"

    def identify(self) -> str:
        """Format the file's name and digest."""
        return f"{self.file}, sha256:{self.sha256}"

    def list_changes(self) -> tuple[str, ...]:
        """Format each change with its reason on one line."""
        changes = (
            *((f"not evaluated: {rule.rule_id}", rule.reason) for rule in self.unselected),
            *((f"added: {rule.rule_id}", rule.reason) for rule in self.selected),
            *((f"changed: {setting.describe()}", setting.reason) for setting in self.settings),
        )
        return tuple(f"{change} / {reason or NO_REASON}" for change, reason in changes)

    def list_changes_of_rule(self, rule_id: str) -> tuple[str, ...]:
        """Format the changes of one evaluated rule, each with its reason on one line."""
        changes = (
            *(("added", rule.reason) for rule in self.selected if rule.rule_id == rule_id),
            *(
                (f"{s.name}: {s.base} -> {s.value}", s.reason)
                for s in self.settings
                if s.rule_id == rule_id
            ),
        )
        return tuple(f"{change} / {reason or NO_REASON}" for change, reason in changes)

    def describe_effect(self) -> str:
        """Count the changes."""
        return describe_changes(len(self.unselected), len(self.selected), len(self.settings))


class ContentIdentity(Document):
    """The SCAP content that was evaluated."""

    name: str
    version: str
    source_sha256: HexDigest
    """Digest of upstream's data stream."""
    derived_sha256: HexDigest
    """Digest of the derived content that was evaluated."""
    date: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = ""
    """Day of the benchmark; empty when it names none."""
    origin: str
    """Description of where it came from."""
    origin_kind: Literal["shipped", "updated", "installed", "file", ""] = ""
    """Whether hardpan shipped it, an update stored it, the scanning machine had it installed, or
    a person named a file."""
    derivation: str
    choice: str = ""
    """Why this content and profile were chosen; empty in evidence of an older hardpan."""
    benchmark_id: str
    profile_id: str
    engine: str

    def identity_to_json(self) -> dict[str, str]:
        """Return what identifies the content, as JSON data."""
        return {
            "name": self.name,
            "version": self.version,
            "date": self.date,
            "origin": self.origin_kind,
            "sha256": self.source_sha256,
        }

    def describe(self) -> str:
        """The data stream, its version and day, and where it came from, on one line."""
        date_text = f" of {self.date}" if self.date else ""
        return f"{self.name} {self.version}{date_text}, {self.origin}"


class ContentPart(ContentIdentity):
    """The SCAP content that was evaluated, with its tailoring."""

    tailoring: TailoringPart | None = None
    """None for a profile of the benchmark itself."""
