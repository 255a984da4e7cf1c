"""All that hardpan writes to stdout and stderr, and what it asks a person.

stdout is data, stderr is progress and errors. Every text passes ``hardpan.printable`` here, so that
no caller can forget it: nothing else in the product prints, and a test reads the source for it.
An answer as JSON has JSON's own escapes, on a terminal and in a pipe. A document (an exported
report, a key) keeps its bytes in a file or a pipe; a terminal gets it with escapes.
"""

import contextlib
import json
import shlex
import sys
import threading
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from hardpan import clock, streams
from hardpan.events import (
    Emit,
    Ended,
    Event,
    Failed,
    Note,
    Observer,
    ProcessEnded,
    ProcessStarted,
    Progress,
    Record,
    RemoteCommandEnded,
    Started,
    publish,
    silent,
)
from hardpan.printable import printable, printable_json, printable_lines
from hardpan.redaction import redact


class _Stderr(Console):
    """Progress that nobody can read any more is no reason to end the work."""

    def on_broken_pipe(self) -> None:
        """Stop writing. rich's own method ends the program with exit code 1, "findings"."""
        _give_up(self)


err = _Stderr(stderr=True, highlight=False, soft_wrap=True)
"""Where talk goes."""

_WIDTH = 100


def print_line(text: str) -> None:
    """Print one line to stdout; a line end in ``text`` is escaped."""
    click.echo(_encodable(printable(text)))


def print_json(value: object, *, indent: int | None = None) -> None:
    """Print ``value`` to stdout as JSON: on one line with sorted keys, or indented as it is."""
    is_short = indent is None
    text = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        separators=(",", ":") if is_short else None,
        sort_keys=is_short,
    )
    click.echo(printable_json(text).encode())


def print_document(data: bytes) -> None:
    """Write a document to stdout: byte for byte, unless stdout is a terminal."""
    if sys.stdout is not None and sys.stdout.isatty():
        text = printable_lines(data.decode("utf-8", "backslashreplace"))
        click.echo(_encodable(text), nl=False)
    else:
        click.echo(data, nl=False)


def ask_secret(what: str, *, repeat: str | bool = False) -> str:
    """What a person types, unseen; twice with ``repeat``, the second question.

    Raises:
        click.Abort: the person ended the input.
    """
    answer = click.prompt(printable(what), hide_input=True, confirmation_prompt=repeat, err=True)
    return str(answer)


def _encodable(text: str) -> str:
    """``text`` with escapes for what stdout's encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _give_up(console: Console) -> None:
    console.quiet = True
    file = console.file
    # Below a live line rich puts an object of its own in the stream's place.
    streams.discard(getattr(file, "rich_proxied_file", None) or file)


@contextlib.contextmanager
def drawn(*, console: Console = err, quiet: bool = False) -> Iterator[Emit]:
    """Show and publish what stages emit for the length of the block."""
    with _draws(console, quiet=quiet) as draw:

        def emit(event: Event) -> None:
            publish(event)
            draw(event)

        yield emit


@contextlib.contextmanager
def _draws(console: Console, *, quiet: bool) -> Iterator[Emit]:
    if quiet:
        yield silent
    elif console.is_terminal:
        with _Live(console) as live:
            yield live.take
    else:
        yield _Lines(console).take


def say(console: Console, text: str, *, style: str = "") -> None:
    """Print ``text``, without markup and emoji codes; every line but the first is indented.

    So a line end in a text from outside begins no line that looks like one of ours.
    """
    lines = "\n  ".join(map(printable, text.split("\n")))
    try:
        console.print(lines, style=style, markup=False, emoji=False, highlight=False)
    except OSError:  # e.g. a file on a full disk
        _give_up(console)


def process_lines(console: Console) -> Observer:
    """A line for each process and each command on a target, with exit status and duration."""

    def take(record: Record) -> None:
        line = _process_line(record)
        if line:
            say(console, printable(redact(line)), style="dim")

    return take


def _process_line(record: Record) -> str:
    if isinstance(record, ProcessStarted):
        return f"process {record.process_id}: {shlex.join(record.argv)}"
    if isinstance(record, ProcessEnded):
        end = _end(record.exit_status, record.duration_s)
        return f"process {record.process_id}: {record.argv[0]}: {end}"
    if isinstance(record, RemoteCommandEnded):
        return f"{record.target}: {record.command}: {_end(record.exit_status, record.duration_s)}"
    return ""


def _end(exit_status: int | None, duration_s: float) -> str:
    if exit_status is None:
        return f"no exit status after {duration_s:.2f} s"
    if exit_status < 0:
        return f"ended by signal {-exit_status} after {duration_s:.2f} s"
    return f"exit status {exit_status} after {duration_s:.2f} s"


class _Lines:
    """One plain line per event, after the time since the start (minutes:seconds).

    Repeated progress of a stage is thinned to 10 % steps.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = clock.monotonic()
        self._tenth: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        with self._lock:
            line = self._line(event)
            if line:
                minutes, seconds = divmod(int(clock.monotonic() - self._began), 60)
                say(self._console, f"{minutes:3}:{seconds:02}  {line}")

    def _line(self, event: Event) -> str:
        if isinstance(event, Progress):
            tenth = event.done * 10 // event.total if event.total else 0
            if self._tenth.get(event.stage) == tenth:
                return ""
            self._tenth[event.stage] = tenth
        return _words(event)


class _Live:
    """The finished stages as lines, the running one as a spinner below them."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "_Live":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def take(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Started):
                self._tasks[event.stage] = self._bar.add_task(printable(event.stage), total=None)
            elif isinstance(event, Ended | Failed):
                task = self._tasks.pop(event.stage, None)
                if task is not None:
                    self._bar.remove_task(task)  # type: ignore[arg-type]
                say(self._bar.console, _words(event))
            elif event.stage in self._tasks:
                self._bar.update(
                    self._tasks[event.stage],  # type: ignore[arg-type]
                    description=_words(event)[:_WIDTH],
                )


def _words(event: Event) -> str:
    name = printable(event.stage)
    if isinstance(event, Started):
        return f"{name}: started"
    if isinstance(event, Note):
        return f"{name}: {printable(event.text.strip())}"
    if isinstance(event, Progress):
        of = f"{event.done}/{event.total}" if event.total else f"{event.done}"
        return f"{name}: {of} {printable(event.text.strip())}".rstrip()
    if isinstance(event, Failed):
        return f"{name}: failed after {event.took_s:.1f} s"
    if event.reused:
        return f"{name}: taken from an earlier run"
    return f"{name}: done in {event.took_s:.1f} s"
