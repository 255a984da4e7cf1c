"""Problems gathered instead of ending at the first, so that a person is told all at once."""

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

    def of(self, area: str) -> "_Kept":
        """Keep the errors that the ``with`` block raises instead of ending with them."""
        return _Kept(area, self.found)

    def raise_all(self) -> None:
        """Pass if there is none.

        Raises:
            HardpanError: the one, or all of them.
        """
        raise_all([problem.error for problem in self.found])


class _Kept:
    """A block whose errors are kept. A class, for type checkers to know that it goes on."""

    def __init__(self, area: str, found: list[Problem]) -> None:
        self._area = area
        self._found = found

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, HardpanError):
            return False
        several = error.errors if isinstance(error, SeveralError) else (error,)
        self._found += [Problem(area=self._area, error=one) for one in several]
        return True
