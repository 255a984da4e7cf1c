import os
import signal
from collections.abc import Iterator

import click
import pytest

from hardpan.core import interrupts
from hardpan.core.errors import TerminationInterrupt


@pytest.fixture(autouse=True)
def _installed_handlers() -> Iterator[None]:
    original_handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.install()
    yield
    for number, handler in original_handlers.items():
        signal.signal(number, handler)


def test_each_signal_raises_its_exception() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(signal.SIGINT)
    assert type(caught.value) is KeyboardInterrupt

    with pytest.raises(TerminationInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_second_signal_does_not_stop_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, text: written.append(text))
    steps: list[str] = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            steps.append("begun")
            try:
                raise ValueError("in the middle of it")
            except ValueError:
                signal.raise_signal(signal.SIGINT)
            steps.append("done")

    with pytest.raises(TerminationInterrupt):
        work()

    assert steps == ["begun", "done"]
    assert written == [b"hardpan: still cleaning up; one more signal ends it at once\n"]


def test_signal_after_handled_interrupt_raises_again() -> None:
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    interrupts.install()
    signal.raise_signal(signal.SIGINT)
    interrupts.uninstall()

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_find_interrupt_follows_exception_context() -> None:
    with pytest.raises(click.Abort) as caught:
        abort_on_interrupt()

    assert isinstance(interrupts.find_interrupt(caught.value), TerminationInterrupt)
    assert interrupts.find_interrupt(ValueError()) is None
    assert interrupts.find_interrupt(None) is None


def abort_on_interrupt() -> None:
    """As click.prompt does it."""
    try:
        raise TerminationInterrupt
    except KeyboardInterrupt:
        raise click.Abort from None
