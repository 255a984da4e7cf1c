"""Events of stages and processes. Stages never print: the console renders their events.

A stage emits to the function that it gets. What happens below the stages (a process, a command on
a target) is published to the observers of this process.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hardpan.core import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage started."""

    stage: str
    """Its name, e.g. ``install``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMessage:
    """A line about what a stage is doing. May contain text from a target."""

    stage: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """Progress of a stage."""

    stage: str
    completed: int
    total: int
    """0 if unknown."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """A stage succeeded."""

    stage: str
    duration_s: float
    reused: bool = False
    """True if the result of a previous run was reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailed:
    """A stage failed; its error is raised as an exception."""

    stage: str
    duration_s: float


Event = StageStarted | StageMessage | StageProgress | StageFinished | StageFailed
Emit = Callable[[Event], None]
"""Receives an event; must not raise and may be called from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    """A program started on this machine."""

    process_id: int
    argv: tuple[str, ...]
    """Redacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnded:
    """A program exited or was killed."""

    process_id: int
    argv: tuple[str, ...]
    """Redacted."""

    exit_status: int | None
    """Negative: the number of the signal that ended it. None: unknown."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCommandEnded:
    """A command on a target ended."""

    target: str
    command: str
    """Its name without arguments: scripts are long, and arguments may contain text of a target."""

    exit_status: int
    """-1: a signal ended it."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """A log message of a library, or an exception that Python could not raise."""

    source: str
    """E.g. ``paramiko.transport``."""

    level: str
    text: str


Record = Event | ProcessStarted | ProcessEnded | RemoteCommandEnded | Diagnostic
Observer = Callable[[Record], None]
"""Receives every record of this process; must not raise."""

_observers: list[Observer] = []
_observers_lock = threading.Lock()


@contextlib.contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Pass every record that is published during the block, from any thread, to ``observer``."""
    with _observers_lock:
        _observers.append(observer)
    try:
        yield
    finally:
        with _observers_lock:
            _observers.remove(observer)


def publish(record: Record) -> None:
    """Pass ``record`` to every observer."""
    with _observers_lock:
        observers = tuple(_observers)
    for observer in observers:
        observer(record)


def discard(_event: Event) -> None:
    """Ignore an event."""


@contextlib.contextmanager
def run_stage(emit: Emit, name: str) -> Iterator[Callable[[str], None]]:
    """Name and time a stage; the block gets a function that emits a message."""
    start_s = clock.monotonic_s()
    emit(StageStarted(stage=name))
    try:
        yield lambda text: emit(StageMessage(stage=name, text=text))
    except BaseException:
        emit(StageFailed(stage=name, duration_s=clock.monotonic_s() - start_s))
        raise
    emit(StageFinished(stage=name, duration_s=clock.monotonic_s() - start_s))
