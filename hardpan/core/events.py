"""What the stages say while they work. They never print: the terminal draws.

Stages emit to the function that they are given. What happens below the stages (a process, a
command on a target) has no such function: it is published to whoever observes this process.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hardpan.core import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage began."""

    stage: str
    """Its name, e.g. ``install``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMessage:
    """One line about what a stage is doing now. May hold a target's own words."""

    stage: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """How far a stage has come."""

    stage: str
    completed: int
    total: int
    """0 when it is not known."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """A stage ended well."""

    stage: str
    duration_s: float
    reused: bool = False
    """True when an earlier run's result was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailed:
    """A stage ended with an error; the error itself travels as an exception."""

    stage: str
    duration_s: float


Event = StageStarted | StageMessage | StageProgress | StageFinished | StageFailed
Emit = Callable[[Event], None]
"""Takes an event; must not raise and may be called from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    """A program was started on this machine."""

    process_id: int
    argv: tuple[str, ...]
    """Redacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnded:
    """A program ended, by itself or not."""

    process_id: int
    argv: tuple[str, ...]
    """Redacted."""

    exit_status: int | None
    """Negative: the number of the signal that ended it. None: not known."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCommandEnded:
    """A command on a target ended."""

    target: str
    command: str
    """Its name alone: scripts are long, and arguments may be a target's own words."""

    exit_status: int
    """-1: a signal ended it."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """What a library logged, or an exception that Python could hand to nobody."""

    source: str
    """E.g. ``paramiko.transport``."""

    level: str
    text: str


Record = Event | ProcessStarted | ProcessEnded | RemoteCommandEnded | Diagnostic
Observer = Callable[[Record], None]
"""Takes everything that happens in this process; like ``Emit``, it must not raise."""

_observers: list[Observer] = []
_observers_lock = threading.Lock()


@contextlib.contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Let ``observer`` take whatever is published during the block, from any thread."""
    with _observers_lock:
        _observers.append(observer)
    try:
        yield
    finally:
        with _observers_lock:
            _observers.remove(observer)


def publish(record: Record) -> None:
    """Hand ``record`` to every observer."""
    with _observers_lock:
        observers = tuple(_observers)
    for observer in observers:
        observer(record)


def discard(_event: Event) -> None:
    """Take an event and say nothing."""


@contextlib.contextmanager
def run_stage(emit: Emit, name: str) -> Iterator[Callable[[str], None]]:
    """Name and time one stage; the block gets a function that notes a line."""
    start_s = clock.monotonic_s()
    emit(StageStarted(stage=name))
    try:
        yield lambda text: emit(StageMessage(stage=name, text=text))
    except BaseException:
        emit(StageFailed(stage=name, duration_s=clock.monotonic_s() - start_s))
        raise
    emit(StageFinished(stage=name, duration_s=clock.monotonic_s() - start_s))
