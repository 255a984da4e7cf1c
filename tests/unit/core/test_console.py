import io
import os

import pytest
from rich.console import Console

from hardpan.core import clock
from hardpan.core.console import print_message, process_line_printer, show_progress, stderr
from hardpan.core.events import (
    ProcessEnded,
    ProcessStarted,
    Record,
    RemoteCommandEnded,
    StageFailed,
    StageFinished,
    StageMessage,
    StageProgress,
    StageStarted,
    discard,
    observe,
    run_stage,
)


def render_events(
    *events: StageStarted | StageMessage | StageProgress | StageFinished | StageFailed,
    terminal: bool = False,
) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=200, soft_wrap=True)
    with show_progress(console=console) as emit:
        for event in events:
            emit(event)
    return buffer.getvalue()


def test_terminal_shows_a_message_outside_a_stage_as_a_line() -> None:
    text = render_events(
        StageMessage(stage="content", text="profile stig: the default"),
        StageStarted(stage="openscap"),
        StageMessage(stage="openscap", text="uploading"),
        StageMessage(stage="hostfacts", text="not checked"),
        StageFinished(stage="openscap", duration_s=2.04),
        terminal=True,
    )
    lines = [line.rpartition("\x1b[2K")[2] for line in text.splitlines()]

    assert [line for line in lines if ": " in line and not line.startswith("\x1b")] == [
        "content: profile stig: the default",
        "hostfacts: not checked",
        "openscap: done in 2.0 s",
    ]


def test_events_are_plain_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.2, 161.0, 4000.0])
    monkeypatch.setattr(clock, "monotonic_s", lambda: next(times))
    text = render_events(
        StageStarted(stage="install"),
        StageMessage(stage="install", text="payload"),
        StageFinished(stage="install", duration_s=2.04),
    )

    assert text.splitlines() == [
        "  0:00  install: started",
        "  1:01  install: payload",
        " 65:00  install: done in 2.0 s",
    ]


def test_target_markup_and_escape_codes_are_printed_literally() -> None:
    text = render_events(StageMessage(stage="scan", text="[red]x[/red] \x1b[31mred\x07"))

    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_progress_is_thinned_to_tenths() -> None:
    steps = [StageProgress(stage="scan", completed=n, total=100) for n in range(100)]

    assert len(render_events(*steps).splitlines()) == 10


def test_finished_stage_line_remains_on_a_terminal() -> None:
    text = render_events(
        StageStarted(stage="boot"),
        StageMessage(stage="boot", text="[x"),
        StageFinished(stage="boot", duration_s=1),
        terminal=True,
    )

    assert "boot: done in 1.0 s" in text


def test_quiet_prints_nothing() -> None:
    buffer = io.StringIO()
    with show_progress(console=Console(file=buffer), quiet=True) as emit:
        emit(StageStarted(stage="x"))

    assert buffer.getvalue() == ""


def test_failed_stage_is_emitted_and_error_propagates() -> None:
    events: list[object] = []
    try:
        with run_stage(events.append, "x"):
            raise KeyError("k")
    except KeyError:
        pass

    assert isinstance(events[-1], StageFailed)
    discard(StageStarted(stage="x"))


@pytest.mark.parametrize("quiet", [True, False])
def test_emitted_events_are_published_in_quiet_mode(quiet: bool) -> None:
    records: list[Record] = []

    with (
        observe(records.append),
        show_progress(console=Console(file=io.StringIO()), quiet=quiet) as emit,
    ):
        emit(StageStarted(stage="x"))

    assert records == [StageStarted(stage="x")]


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
def test_process_record_is_a_single_line(record: Record, line: str) -> None:
    buffer = io.StringIO()

    process_line_printer(Console(file=buffer, width=300))(record)
    process_line_printer(Console(file=buffer, width=300))(StageStarted(stage="x"))

    assert buffer.getvalue() == f"{line}\n"


def test_closed_stderr_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(stderr, "quiet", False)

        print_message(stderr, "for nobody")
        print_message(stderr, "for nobody")

        assert stderr.quiet


def test_stderr_on_full_disk_does_not_stop_the_run() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        console = Console(file=full)

        print_message(console, "too much")

        assert console.quiet
