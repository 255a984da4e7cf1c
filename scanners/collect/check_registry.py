"""The registry of hardpan's own checks, validated as strictly as a profile."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hardpan.core.resources import resource_path
from hardpan.profiles.constraint_set import Violation
from hardpan.profiles.schema.rule_names import RuleNames, is_pattern, shorten_id
from hardpan.profiles.table_file import parse_table_file
from hardpan.scanners.model.results import CHECK_PREFIX, CheckDefinition, CheckSeverity

REGISTRY_FILE = resource_path("hardpan.scanners.collect.checks", "registry.yaml")

CheckScope = Literal["host", "profile", "hardpan_image"]
"""``host``: every scan. ``profile``: only with a hardpan profile. ``hardpan_image``: as
``profile``, and only on a system that hardpan built."""

_Prose = Annotated[str, Field(min_length=8, max_length=400, pattern=r"^[ -~]+$")]


class RegistryModel(BaseModel):
    """Base of the registry's models: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckRequirement(RegistryModel):
    """What asks for a check that is otherwise not applicable."""

    kernel_arguments: tuple[str, ...] = ()
    """Kernel arguments of a hardpan profile; any of them asks for the check."""

    rules: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...] = ()
    """Short ids of rules; a profile that selects one of them asks for the check."""


class RegisteredCheck(RegistryModel):
    """One check."""

    id: Annotated[str, Field(pattern=rf"^{CHECK_PREFIX}[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    check: Annotated[str, Field(pattern=r"^test_[a-z_]+::test_[a-z0-9_]+$")]
    """``module::function`` of the check."""

    title: _Prose
    severity: CheckSeverity
    scope: CheckScope
    required: CheckRequirement | None = None
    """None: the check counts on every host of its scope."""

    nist: Annotated[tuple[str, ...], Field(min_length=1)]
    """Controls of NIST SP 800-53 revision 5."""

    rationale: _Prose
    remedy: _Prose

    @property
    def definition(self) -> CheckDefinition:
        """The entry as every report shows it."""
        return CheckDefinition(
            title=self.title,
            severity=self.severity,
            nist=self.nist,
            rationale=self.rationale,
            remedy=self.remedy,
        )


class CheckRegistry(RegistryModel):
    """All checks."""

    checks: Annotated[tuple[RegisteredCheck, ...], Field(min_length=1)]

    def find_by_function(self, check: str) -> RegisteredCheck:
        """Return the entry of ``module::function``.

        Raises:
            KeyError: the registry has none.
        """
        return _index_by_function(self)[check]

    def list_required(
        self, kernel_arguments: Iterable[str], rule_ids: Iterable[str], requested: Iterable[str]
    ) -> frozenset[str]:
        """Return the ids of the checks that count on the host.

        ``kernel_arguments`` are those of the hardpan profile, ``rule_ids`` the rules that the SCAP
        profile selects, ``requested`` the names given with ``--require``.
        """
        arguments, rules = set(kernel_arguments), set(map(shorten_id, rule_ids))
        names = set(requested)
        return frozenset(
            c.id
            for c in self.checks
            if c.required is None
            or c.id in names
            or not arguments.isdisjoint(c.required.kernel_arguments)
            or not rules.isdisjoint(c.required.rules)
        )

    def list_names(self) -> tuple[RuleNames, ...]:
        """Return the ids of the checks as names that a waiver can have."""
        return tuple(RuleNames(rule_id=c.id) for c in self.checks)

    def matches_selector(self, selector: str) -> bool:
        """Return whether the selector of a waiver names a check, with or without parameter."""
        if is_pattern(selector):
            prefix = selector.partition("*")[0]
            return any(
                fnmatchcase(c.id, selector) or (prefix.startswith(f"{c.id}.")) for c in self.checks
            )
        return any(selector == c.id or selector.startswith(f"{c.id}.") for c in self.checks)


@lru_cache(maxsize=2)
def _index_by_function(registry: CheckRegistry) -> dict[str, RegisteredCheck]:
    return {c.check: c for c in registry.checks}


@lru_cache(maxsize=1)
def load_registry() -> CheckRegistry:
    """Load the shipped registry.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse_registry(REGISTRY_FILE.read_bytes(), REGISTRY_FILE.name)


def parse_registry(data: bytes, file: str) -> CheckRegistry:
    """Parse the registry in ``data``; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is reported on a separate line.
    """
    return parse_table_file(data, file, CheckRegistry, _find_violations)


def _find_violations(registry: CheckRegistry) -> Iterator[Violation]:
    ids: set[str] = set()
    functions: set[str] = set()
    for i, check in enumerate(registry.checks):
        if check.id in ids:
            yield Violation(("checks", i, "id"), f"{check.id} is duplicated")
        if check.check in functions:
            yield Violation(("checks", i, "check"), f"{check.check} is duplicated")
        if check.required is not None and check.scope != "host":
            yield Violation(("checks", i, "required"), "expected none outside of the scope host")
        ids.add(check.id)
        functions.add(check.check)
