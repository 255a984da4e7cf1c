import os
import signal
from collections.abc import Iterator

import click
import pytest

from hardpan import interrupts
from hardpan.errors import Terminated


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_each_signal_is_an_exception_of_its_own() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(signal.SIGINT)
    assert type(caught.value) is KeyboardInterrupt

    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_does_not_end_the_cleaning_up(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, text: said.append(text))
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

    with pytest.raises(Terminated):
        work()

    assert steps == ["begun", "done"]
    assert said == [b"hardpan: still cleaning up; one more signal ends it at once\n"]


def test_a_signal_after_one_that_got_lost_counts() -> None:
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    interrupts.install()
    signal.raise_signal(signal.SIGINT)
    interrupts.uninstall()

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupt_is_found_behind_the_error_that_came_of_it() -> None:
    with pytest.raises(click.Abort) as caught:
        prompt()

    assert isinstance(interrupts.interrupt_in(caught.value), Terminated)
    assert interrupts.interrupt_in(ValueError()) is None
    assert interrupts.interrupt_in(None) is None


def prompt() -> None:
    """As click.prompt does it."""
    try:
        raise Terminated
    except KeyboardInterrupt:
        raise click.Abort from None
