"""The table of decisions, ``decisions.yaml``: its schema and its checks."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hardpan.core.errors import InputError
from hardpan.core.resources import resource_path
from hardpan.profiles.constraint_set import Violation
from hardpan.profiles.schema.profile import LayerName, Profile, Release
from hardpan.profiles.table_file import parse_table_file

DECISION_FILE = resource_path("hardpan.builder.stig_decisions", "decisions.yaml")
Product = Literal["rhel9", "rhel10"]
ExpectedVerdict = Literal["pass", "fail", "notchecked", "notapplicable"]


class DecidedBy(StrEnum):
    """Who meets a rule, or says why it is not met."""

    KICKSTART = "kickstart"
    """The profile's settings of the install."""

    LAYER = "layer"
    """A layer, as a consequence of other fixes or settings."""

    PACKAGES = "packages"
    """The distribution's packages, as they are installed."""

    SITE = "site"
    """Whoever runs the machine; the image alone cannot meet the rule."""

    NOT_APPLICABLE = "not applicable"
    """The image has nothing that the rule is about."""

    WAIVER = "waiver"
    """A waiver of the profile; never in the table."""

    UNDECIDED = "undecided"
    """The table does not have the rule; never in the table."""


class Condition(BaseModel):
    """When an alternative holds: all of the given settings do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mount: str | None = Field(default=None, pattern="^/")
    """The profile has a file system for this mount point."""

    releases: tuple[Release, ...] = ()
    fips: bool | None = None
    encrypted: bool | None = None
    layer: LayerName | None = None

    def holds(self, profile: Profile) -> bool:
        """Return whether ``profile`` meets all of the settings."""
        mounts = {partition.mount for partition in profile.storage.partitions}
        is_encrypted = profile.storage.encryption.mode != "none"
        return (
            (self.mount is None or self.mount in mounts)
            and (not self.releases or profile.release in self.releases)
            and self.fips in (None, profile.fips)
            and self.encrypted in (None, is_encrypted)
            and (self.layer is None or self.layer in profile.layers)
        )


class Alternative(BaseModel):
    """A decision, and the profiles that it is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Condition = Condition()
    by: DecidedBy
    verdict: ExpectedVerdict
    """Result of the rule in a scan of the finished image."""

    reason: str = Field(min_length=10)


class RuleDecision(BaseModel):
    """The decision about one rule: the first alternative that holds for a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(pattern="^[A-Za-z0-9_-]+$")
    """Rule id without its prefix."""

    products: tuple[Product, ...] = ("rhel9", "rhel10")
    """SCAP data streams whose STIG has the rule without a remediation."""

    alternatives: tuple[Alternative, ...] = Field(min_length=1)


class DecisionTable(BaseModel):
    """All decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decisions: tuple[RuleDecision, ...]


@lru_cache(maxsize=1)
def load_table() -> DecisionTable:
    """Return the shipped table.

    Raises:
        InputError: the file was modified and is invalid.
    """
    return parse_table(DECISION_FILE.read_bytes(), DECISION_FILE.name)


def parse_table(data: bytes, file: str) -> DecisionTable:
    """Parse a table; ``file`` is its name in messages.

    Raises:
        InputError: it has problems; each is reported on a line.
    """
    return parse_table_file(data, file, DecisionTable, _find_violations)


def check_rule_names(table: DecisionTable, product: str, rule_names: Collection[str]) -> None:
    """Pass if the benchmark of ``product`` has every rule that the table has for it.

    Raises:
        InputError: it does not have some; all are named.
    """
    rules = {decision.rule for decision in table.decisions if product in decision.products}
    if unknown := sorted(rules - set(rule_names)):
        raise InputError(
            f"{DECISION_FILE.name}: unknown rules: expected rules of {product}, "
            f"got {', '.join(unknown)}",
            hint="remove them from the table, or from the table's products",
        )


def _find_violations(table: DecisionTable) -> Iterator[Violation]:
    seen = set()
    for n, decision in enumerate(table.decisions):
        path = ("decisions", n)
        if decision.rule in seen:
            yield Violation((*path, "rule"), f"{decision.rule} is listed twice")
        seen.add(decision.rule)
        *conditional, last = decision.alternatives
        if last.when != Condition():
            yield Violation((*path, "alternatives"), "expected the last one without 'when'")
        if any(alternative.when == Condition() for alternative in conditional):
            yield Violation((*path, "alternatives"), "expected 'when' in all but the last one")
        if any(a.by in (DecidedBy.WAIVER, DecidedBy.UNDECIDED) for a in decision.alternatives):
            yield Violation((*path, "alternatives"), "expected no waiver and no undecided rule")
