"""How a demand between sections is written down: a function and the sections it reads.

Each rule names its sections, so that it can be asked even when another section is
broken: a person is told every problem at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold."""

    path: Path
    """The setting to change."""

    text: str
    """What was expected and what was found."""


Rule = Callable[..., Iterator[Broken]]


class Rules:
    """Rules and the sections that each one reads."""

    def __init__(self) -> None:
        self._rules: list[tuple[tuple[str, ...], Rule]] = []

    def reads(self, *needs: str) -> Callable[[Rule], Rule]:
        """A decorator that keeps a rule; its arguments are the sections ``needs``."""

        def keep(rule: Rule) -> Rule:
            self._rules.append((needs, rule))
            return rule

        return keep

    def broken(self, parts: Mapping[str, Any]) -> Iterator[Broken]:
        """Every rule that does not hold among ``parts``; others are not asked."""
        for needs, rule in self._rules:
            if all(name in parts for name in needs):
                yield from rule(*(parts[name] for name in needs))
