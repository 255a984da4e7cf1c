"""Everything that hardpan writes to stdout and stderr, and its prompts.

stdout is data, stderr is progress and errors. Every text passes ``hardpan.core.sanitize`` here, so
that no caller can forget it: nothing else in the product prints, which a test checks in the source.
JSON output uses JSON's own escapes, on a terminal and in a pipe. A document (an exported report, a
key) keeps its bytes in a file or a pipe; a terminal gets it with escapes.
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

from hardpan.core import clock, streams
from hardpan.core.events import (
    Emit,
    Event,
    Observer,
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
    publish,
)
from hardpan.core.redaction import redact
from hardpan.core.sanitize import sanitize_json, sanitize_line, sanitize_lines


class _StderrConsole(Console):
    """A closed stderr must not stop the run."""

    def on_broken_pipe(self) -> None:
        """Stop writing. rich's own method ends the program with exit code 1, "findings"."""
        _stop_writing(self)


stderr = _StderrConsole(stderr=True, highlight=False, soft_wrap=True)
"""Console for progress and errors."""

_MAX_LIVE_LINE_CHARS = 100


def print_line(text: str) -> None:
    """Print one line to stdout; a line end in ``text`` is escaped."""
    click.echo(_escape_unencodable(sanitize_line(text)))


def print_json(value: object, *, indent: int | None = None) -> None:
    """Print ``value`` to stdout as JSON: on one line with sorted keys, or indented as it is."""
    is_compact = indent is None
    text = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        separators=(",", ":") if is_compact else None,
        sort_keys=is_compact,
    )
    click.echo(sanitize_json(text).encode())


def print_document(data: bytes) -> None:
    """Write a document to stdout: byte for byte, unless stdout is a terminal."""
    if sys.stdout is not None and sys.stdout.isatty():
        text = sanitize_lines(data.decode("utf-8", "backslashreplace"))
        click.echo(_escape_unencodable(text), nl=False)
    else:
        click.echo(data, nl=False)


def prompt_secret(prompt: str, *, repeat: str | bool = False) -> str:
    """Prompt for a secret without echo; ``repeat``, if given, prompts a second time.

    Raises:
        click.Abort: the input ended.
    """
    secret = click.prompt(
        sanitize_line(prompt), hide_input=True, confirmation_prompt=repeat, err=True
    )
    return str(secret)


def _escape_unencodable(text: str) -> str:
    """Escape the characters of ``text`` that stdout's encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _stop_writing(console: Console) -> None:
    console.quiet = True
    file = console.file
    # While a live display is active, rich replaces the stream by a proxy.
    streams.redirect_to_null(getattr(file, "rich_proxied_file", None) or file)


@contextlib.contextmanager
def show_progress(*, console: Console = stderr, quiet: bool = False) -> Iterator[Emit]:
    """Print and publish the events that stages emit in the block."""
    with _open_renderer(console, quiet=quiet) as render:

        def emit(event: Event) -> None:
            publish(event)
            render(event)

        yield emit


@contextlib.contextmanager
def _open_renderer(console: Console, *, quiet: bool) -> Iterator[Emit]:
    if quiet:
        yield discard
    elif console.is_terminal:
        with _LiveRenderer(console) as live:
            yield live.render
    else:
        yield _LineRenderer(console).render


def print_message(console: Console, text: str, *, style: str = "") -> None:
    """Print ``text``, without markup and emoji codes; every line but the first is indented.

    Untrusted text with a line end thus cannot imitate a line of hardpan.
    """
    lines = "\n  ".join(map(sanitize_line, text.split("\n")))
    try:
        console.print(lines, style=style, markup=False, emoji=False, highlight=False)
    except OSError:  # e.g. a file on a full disk
        _stop_writing(console)


def process_line_printer(console: Console) -> Observer:
    """Return an observer that prints a line per process and per command on a target."""

    def print_record(record: Record) -> None:
        line = _format_process(record)
        if line:
            print_message(console, sanitize_line(redact(line)), style="dim")

    return print_record


def _format_process(record: Record) -> str:
    if isinstance(record, ProcessStarted):
        return f"process {record.process_id}: {shlex.join(record.argv)}"
    if isinstance(record, ProcessEnded):
        outcome = _format_exit(record.exit_status, record.duration_s)
        return f"process {record.process_id}: {record.argv[0]}: {outcome}"
    if isinstance(record, RemoteCommandEnded):
        outcome = _format_exit(record.exit_status, record.duration_s)
        return f"{record.target}: {record.command}: {outcome}"
    return ""


def _format_exit(exit_status: int | None, duration_s: float) -> str:
    if exit_status is None:
        return f"no exit status after {duration_s:.2f} s"
    if exit_status < 0:
        return f"ended by signal {-exit_status} after {duration_s:.2f} s"
    return f"exit status {exit_status} after {duration_s:.2f} s"


class _LineRenderer:
    """A plain line per event, after the time since the start (minutes:seconds).

    Repeated progress of a stage is reduced to steps of 10 %.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start_s = clock.monotonic_s()
        self._last_tenth: dict[str, int] = {}
        self._lock = threading.Lock()

    def render(self, event: Event) -> None:
        with self._lock:
            line = self._format_line(event)
            if line:
                minutes, seconds = divmod(int(clock.monotonic_s() - self._start_s), 60)
                print_message(self._console, f"{minutes:3}:{seconds:02}  {line}")

    def _format_line(self, event: Event) -> str:
        if isinstance(event, StageProgress):
            tenth = event.completed * 10 // event.total if event.total else 0
            if self._last_tenth.get(event.stage) == tenth:
                return ""
            self._last_tenth[event.stage] = tenth
        return _describe_event(event)


class _LiveRenderer:
    """Finished stages and messages outside a stage as lines, the running stage as a spinner."""

    def __init__(self, console: Console) -> None:
        self._progress = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "_LiveRenderer":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def render(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, StageStarted):
                self._tasks[event.stage] = self._progress.add_task(
                    sanitize_line(event.stage), total=None
                )
            elif isinstance(event, StageFinished | StageFailed):
                task = self._tasks.pop(event.stage, None)
                if task is not None:
                    self._progress.remove_task(task)  # type: ignore[arg-type]
                print_message(self._progress.console, _describe_event(event))
            elif event.stage in self._tasks:
                self._progress.update(
                    self._tasks[event.stage],  # type: ignore[arg-type]
                    description=_describe_event(event)[:_MAX_LIVE_LINE_CHARS],
                )
            elif isinstance(event, StageMessage):
                print_message(self._progress.console, _describe_event(event))


def _describe_event(event: Event) -> str:
    name = sanitize_line(event.stage)
    if isinstance(event, StageStarted):
        return f"{name}: started"
    if isinstance(event, StageMessage):
        return f"{name}: {sanitize_line(event.text.strip())}"
    if isinstance(event, StageProgress):
        count = f"{event.completed}/{event.total}" if event.total else f"{event.completed}"
        return f"{name}: {count} {sanitize_line(event.text.strip())}".rstrip()
    if isinstance(event, StageFailed):
        return f"{name}: failed after {event.duration_s:.1f} s"
    if event.reused:
        return f"{name}: reused from a previous run"
    return f"{name}: done in {event.duration_s:.1f} s"
