"""The result of a package selection: packages, and what the distribution does not have."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hardpan.builder.dnf.repodata import Rpm

_MAX_SUGGESTIONS = 3


class MissingKind(StrEnum):
    """Kinds of what a selection does not find."""

    PACKAGE = "package"
    GROUP = "group"
    ENVIRONMENT = "environment"
    MODULE = "module"
    MEMBER = "group member"
    REQUIREMENT = "requirement"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingItem:
    """Something that the distribution does not have."""

    kind: MissingKind
    name: str
    needed_by: str = ""
    """Group, environment, module or package that needs it; empty if it was requested."""

    suggestions: tuple[str, ...] = ()
    """The nearest names."""

    detail: str = ""
    is_fatal: bool = True
    """False if dnf installs the rest without it: a member of a group."""

    def __str__(self) -> str:
        """Return one line: what is missing, for what, and the nearest names."""
        text = f"{self.kind} {self.name}"
        if self.needed_by:
            text += f" ({self.needed_by})"
        if self.detail:
            text += f": {self.detail}"
        if self.suggestions:
            text += f"; nearest: {', '.join(self.suggestions)}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Packages of a selection, and what is missing."""

    requested: tuple[Rpm, ...]
    """Packages of the specs, without dependencies."""

    dependencies: tuple[Rpm, ...]
    """Further packages that these need."""

    missing: tuple[MissingItem, ...]

    @property
    def download_bytes(self) -> int:
        """Bytes of all package files."""
        return sum(rpm.size_bytes for rpm in (*self.requested, *self.dependencies))

    @property
    def installed_bytes(self) -> int:
        """Bytes of all installed files."""
        return sum(rpm.installed_bytes for rpm in (*self.requested, *self.dependencies))


def nearest_names(name: str, names: Iterable[str], *, min_ratio: float) -> tuple[str, ...]:
    """Return the names most similar to ``name``, the best first (``difflib``'s ratio)."""
    lowered = {candidate.lower(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.lower(), lowered, n=_MAX_SUGGESTIONS, cutoff=min_ratio)
    return tuple(lowered[match] for match in matches)
