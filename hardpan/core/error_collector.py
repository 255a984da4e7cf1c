"""Problems gathered instead of ending at the first, so that a person is told all at once."""

from dataclasses import dataclass

from hardpan.core.errors import AggregateError, HardpanError, raise_if_any


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedError:
    """One thing that stands in the way."""

    area: str
    """What was looked at, e.g. ``media``."""

    error: HardpanError
    """What was found and what was expected; its hint is the next step."""


class ErrorCollector:
    """What was found so far, in the order of looking."""

    def __init__(self) -> None:
        self.collected: list[CollectedError] = []

    def collecting(self, area: str) -> "_CollectingBlock":
        """Keep the errors that the ``with`` block raises instead of ending with them."""
        return _CollectingBlock(area, self.collected)

    def raise_if_any(self) -> None:
        """Pass if there is none.

        Raises:
            HardpanError: the one, or all of them.
        """
        raise_if_any([problem.error for problem in self.collected])


class _CollectingBlock:
    """A block whose errors are kept. A class, for type checkers to know that it goes on."""

    def __init__(self, area: str, collected: list[CollectedError]) -> None:
        self._area = area
        self._collected = collected

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, HardpanError):
            return False
        errors = error.errors if isinstance(error, AggregateError) else (error,)
        self._collected += [CollectedError(area=self._area, error=member) for member in errors]
        return True
