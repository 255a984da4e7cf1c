"""What the stages say while they work. They never print: the terminal draws."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hardpan import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A stage began."""

    stage: str
    """Its name, e.g. ``install``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line about what a stage is doing now. May hold a target's own words."""

    stage: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    """0 when it is not known."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A stage ended well."""

    stage: str
    took_s: float
    reused: bool = False
    """True when an earlier run's result was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A stage ended with an error; the error itself travels as an exception."""

    stage: str
    took_s: float


Event = Started | Note | Progress | Ended | Failed
Emit = Callable[[Event], None]
"""Takes an event; must not raise and may be called from any thread."""


def silent(_event: Event) -> None:
    """Take an event and say nothing."""


@contextlib.contextmanager
def stage(emit: Emit, name: str) -> Iterator[Callable[[str], None]]:
    """Name and time one stage; the block gets a function that notes a line."""
    began = clock.monotonic()
    emit(Started(stage=name))
    try:
        yield lambda text: emit(Note(stage=name, text=text))
    except BaseException:
        emit(Failed(stage=name, took_s=clock.monotonic() - began))
        raise
    emit(Ended(stage=name, took_s=clock.monotonic() - began))
