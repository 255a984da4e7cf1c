"""How a demand between sections is written down: a function and the sections it reads.

Each rule names its sections, so that it can be asked even when another section is
broken: a person is told every problem at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ProfilePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold."""

    path: ProfilePath
    """The setting to change."""

    text: str
    """What was expected and what was found."""


Constraint = Callable[..., Iterator[Violation]]


class ConstraintSet:
    """Rules and the sections that each one reads."""

    def __init__(self) -> None:
        self._constraints: list[tuple[tuple[str, ...], Constraint]] = []

    def depends_on(self, *sections: str) -> Callable[[Constraint], Constraint]:
        """A decorator that keeps a rule; its arguments are the sections ``needs``."""

        def register(constraint: Constraint) -> Constraint:
            self._constraints.append((sections, constraint))
            return constraint

        return register

    def violations(self, sections: Mapping[str, Any]) -> Iterator[Violation]:
        """Every rule that does not hold among ``parts``; others are not asked."""
        for names, constraint in self._constraints:
            if all(name in sections for name in names):
                yield from constraint(*(sections[name] for name in names))
