"""Problems gathered instead of ending at the first, so that a person is told all at once."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.errors import HardpanError, SeveralError, raise_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that stands in the way."""

    area: str
    """What was looked at, e.g. ``media``."""

    error: HardpanError
    """What was found and what was expected; its hint is the next step."""


class Problems:
    """What was found so far, in the order of looking."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    @contextlib.contextmanager
    def of(self, area: str) -> Iterator[None]:
        """Keep the errors that the block raises instead of ending with them."""
        try:
            yield
        except SeveralError as e:
            self.found += [Problem(area=area, error=one) for one in e.errors]
        except HardpanError as e:
            self.found.append(Problem(area=area, error=e))

    def raise_all(self) -> None:
        """Pass if there is none.

        Raises:
            HardpanError: the one, or all of them.
        """
        raise_all([problem.error for problem in self.found])
