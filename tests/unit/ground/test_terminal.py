import io

import pytest
from rich.console import Console

from hardpan import clock
from hardpan.events import Ended, Failed, Note, Progress, Started, silent, stage
from hardpan.terminal import drawn, plain


def shown(*events: Started | Note | Progress | Ended | Failed, terminal: bool = False) -> str:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=terminal, width=200, soft_wrap=True)
    with drawn(console=console) as emit:
        for event in events:
            emit(event)
    return sink.getvalue()


def test_without_a_terminal_every_event_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.2, 161.0, 4000.0])
    monkeypatch.setattr(clock, "monotonic", lambda: next(times))
    text = shown(
        Started(stage="install"),
        Note(stage="install", text="payload"),
        Ended(stage="install", took_s=2.04),
    )

    assert text.splitlines() == [
        "  0:00  install: started",
        "  1:01  install: payload",
        " 65:00  install: done in 2.0 s",
    ]


def test_a_targets_markup_and_escape_codes_are_shown_and_not_obeyed() -> None:
    text = shown(Note(stage="scan", text="[red]x[/red] \x1b[31mred\x07"))

    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_progress_is_thinned_to_tenths() -> None:
    steps = [Progress(stage="scan", done=n, total=100) for n in range(100)]

    assert len(shown(*steps).splitlines()) == 10


def test_on_a_terminal_the_end_of_a_stage_stays() -> None:
    text = shown(
        Started(stage="boot"), Note(stage="boot", text="[x"), Ended(stage="boot", took_s=1),
        terminal=True,
    )  # fmt: skip

    assert "boot: done in 1.0 s" in text


def test_quiet_says_nothing() -> None:
    sink = io.StringIO()
    with drawn(console=Console(file=sink), quiet=True) as emit:
        emit(Started(stage="x"))

    assert sink.getvalue() == ""


def test_a_failed_stage_is_told_and_the_error_goes_on() -> None:
    seen: list[object] = []
    try:
        with stage(seen.append, "x"):
            raise KeyError("k")
    except KeyError:
        pass

    assert isinstance(seen[-1], Failed)
    silent(Started(stage="x"))


def test_plain_drops_what_is_not_printable() -> None:
    assert plain("a\tb\x00\x1b[2Jc\u202e") == "a b  [2Jc"
