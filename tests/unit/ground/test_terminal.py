import io
import os

import pytest
from rich.console import Console

from hardpan import clock
from hardpan.events import (
    Ended,
    Failed,
    Note,
    ProcessEnded,
    ProcessStarted,
    Progress,
    Record,
    RemoteCommandEnded,
    Started,
    observed,
    silent,
    stage,
)
from hardpan.terminal import drawn, err, process_lines, say


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


@pytest.mark.parametrize("quiet", [True, False])
def test_what_stages_emit_is_published_whether_it_is_drawn_or_not(quiet: bool) -> None:
    seen: list[Record] = []

    with observed(seen.append), drawn(console=Console(file=io.StringIO()), quiet=quiet) as emit:
        emit(Started(stage="x"))

    assert seen == [Started(stage="x")]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (ProcessStarted(process_id=7, argv=("a b", "c\x1b")), r"process 7: 'a b' 'c\x1b'"),
        (
            ProcessStarted(process_id=7, argv=("x", "--pin", "1234")),
            "process 7: x --pin [redacted]",
        ),
        (
            ProcessEnded(process_id=7, argv=("a", "b"), exit_status=3, duration_s=0.126),
            "process 7: a: exit status 3 after 0.13 s",
        ),
        (
            ProcessEnded(process_id=7, argv=("a",), exit_status=None, duration_s=2),
            "process 7: a: no exit status after 2.00 s",
        ),
        (
            RemoteCommandEnded(target="u@h:22", command="rpm", exit_status=0, duration_s=1),
            "u@h:22: rpm: exit status 0 after 1.00 s",
        ),
    ],
)
def test_a_process_is_one_line(record: Record, line: str) -> None:
    sink = io.StringIO()

    process_lines(Console(file=sink, width=300))(record)
    process_lines(Console(file=sink, width=300))(Started(stage="x"))

    assert sink.getvalue() == f"{line}\n"


def test_a_stderr_that_nobody_reads_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(err, "quiet", False)

        say(err, "for nobody")
        say(err, "for nobody")

        assert err.quiet


def test_a_stderr_on_a_full_disk_does_not_end_the_work() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        console = Console(file=full)

        say(console, "too much")

        assert console.quiet
