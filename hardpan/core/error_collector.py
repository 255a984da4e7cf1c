"""Collect errors instead of stopping at the first, so that all are reported at once."""

from dataclasses import dataclass

from hardpan.core.errors import AggregateError, HardpanError, raise_if_any


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedError:
    """An error and the area of the check that raised it."""

    area: str
    """What was checked, e.g. ``media``."""

    error: HardpanError
    """The error; its hint is the next step."""


class ErrorCollector:
    """The errors so far, in the order of the checks."""

    def __init__(self) -> None:
        self.collected: list[CollectedError] = []

    def collecting(self, area: str) -> "_CollectingBlock":
        """Collect the error that the ``with`` block raises, and continue after the block."""
        return _CollectingBlock(area, self.collected)

    def raise_if_any(self) -> None:
        """Raise the collected errors, if there are any.

        Raises:
            HardpanError: the single error, or an ``AggregateError``.
        """
        raise_if_any([problem.error for problem in self.collected])


class _CollectingBlock:
    """A block whose error is collected. A class, so that type checkers know it may be swallowed."""

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
