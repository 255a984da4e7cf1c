"""Constraints between profile sections: functions with the names of the sections they read.

Each constraint names its sections, so that it is checked even if another section is invalid: all
problems are reported at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ProfilePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated constraint."""

    path: ProfilePath
    """Path of the setting to change."""

    text: str
    """Expected and actual value."""


Constraint = Callable[..., Iterator[Violation]]


class ConstraintSet:
    """Constraints, each with the sections that it reads."""

    def __init__(self) -> None:
        self._constraints: list[tuple[tuple[str, ...], Constraint]] = []

    def depends_on(self, *sections: str) -> Callable[[Constraint], Constraint]:
        """Return a decorator that registers a constraint on ``sections``."""

        def register(constraint: Constraint) -> Constraint:
            self._constraints.append((sections, constraint))
            return constraint

        return register

    def violations(self, sections: Mapping[str, Any]) -> Iterator[Violation]:
        """Yield the violations of all constraints whose sections are given."""
        for names, constraint in self._constraints:
            if all(name in sections for name in names):
                yield from constraint(*(sections[name] for name in names))
