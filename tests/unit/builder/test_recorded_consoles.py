"""Consoles of Anaconda 34 and 40, followed with a simulated clock (tests/data/anaconda).

No installation medium of Enterprise Linux is at hand: the logs are composed of the strings that
Anaconda, dracut, systemd and the kernel print, and each names the file in which they were read.
Each line is the time in seconds, a tab and what appears on the console; ``@disk`` stands for an
access to a disk and ``@partial`` for text without a line end.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from hardpan.builder import install
from hardpan.builder.anaconda.failures import FAILURE_PATTERNS
from hardpan.builder.anaconda.progress import PHASES
from hardpan.builder.install import Deadlines
from hardpan.builder.vm.console import GuestConsole
from hardpan.core.errors import ToolError
from hardpan.core.events import Event, StageProgress
from tests.source_tree import REPO

FOLDER = REPO / "tests/data/anaconda"
LOGS = sorted(FOLDER.glob("*.log"))
SUCCESSES = [log for log in LOGS if log.stem.startswith("success-")]
WITHOUT_PATTERN = {"stall", "success-el9", "success-el10"}
OLD_PHASE_LIMIT_S = 900


@dataclass(kw_only=True)
class RecordedConsole:
    """A log with what is expected of it."""

    phases: list[str]
    error: str
    ends: str
    entries: deque[tuple[float, str]]


def read_log(path: Path) -> RecordedConsole:
    lines = path.read_text("utf-8").split("\n")[:-1]
    header = dict(x[2:].split(": ", 1) for x in lines if x.startswith("# ") and ": " in x)
    entries = [x.split("\t", 1) for x in lines if not x.startswith("# ")]
    assert header["source"]
    return RecordedConsole(
        phases=header["phases"].split(", "),
        error=header.get("error", "").strip(),
        ends=header["ends"],
        entries=deque((float(time_s), text) for time_s, text in entries),
    )


@dataclass
class ReplayedGuest:
    """A guest that prints a recorded console."""

    recorded: RecordedConsole
    has_disk_access: bool = True
    now: float = 0.0
    returncode: int | None = None
    last_output_at: float = 0.0
    last_disk_access_at: float = 0.0
    console: GuestConsole = field(default_factory=GuestConsole)
    port: GuestConsole = field(default_factory=GuestConsole)

    @property
    def is_off(self) -> bool:
        return self.returncode is not None

    def watch(self, duration_s: float = 0.3) -> list[str]:
        if not self.recorded.entries:
            self.now += max(duration_s, 5.0)
            if self.recorded.ends == "power-off":
                self.returncode = 0
            return []
        time_s, text = self.recorded.entries[0]
        self.now = min(time_s, self.now + 5.0)
        if self.now < time_s:
            return []
        self.recorded.entries.popleft()
        return self._print(text)

    def _print(self, text: str) -> list[str]:
        if text == "@disk":
            if self.has_disk_access:
                self.last_disk_access_at = self.now
            return []
        self.last_output_at = self.now
        if text.startswith("@partial "):
            return self.console.feed(text.removeprefix("@partial ").encode())
        if text == "HARDPAN-INSTALL: complete":
            self.port.feed(b"HARDPAN-INSTALL: complete\n")
        return self.console.feed(f"{text}\r\n".encode())

    def has_panicked(self) -> bool:
        return self.console.has_panicked

    def failure(self, reason: str, *, hint: str = "") -> ToolError:
        return ToolError(["the guest"], reason, output_tail="\n".join(self.console.tail), hint=hint)


def replay(guest: ReplayedGuest, monkeypatch: pytest.MonkeyPatch) -> list[StageProgress]:
    """Follow the guest until it is off; return the progress events of the whole run."""
    monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: guest.now)
    events: list[Event] = []
    install._watch_install(guest, Deadlines(), events.append)  # type: ignore[arg-type]
    return [e for e in events if isinstance(e, StageProgress)]


def list_phases(guest: ReplayedGuest, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """Return the phases of the events and the text of the error, if any."""
    events: list[StageProgress] = []
    monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: guest.now)

    def collect(event: Event) -> None:
        if isinstance(event, StageProgress):
            events.append(event)

    error = ""
    try:
        install._watch_install(guest, Deadlines(), collect)  # type: ignore[arg-type]
    except ToolError as e:
        error = str(e)
    names = [e.text.partition(":")[0] for e in events]
    return [n for n, previous in zip(names, ["", *names], strict=False) if n != previous], error


@pytest.mark.parametrize("path", LOGS, ids=lambda p: p.stem)
def test_recorded_console_gives_its_phases_and_its_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = read_log(path)

    phases, error = list_phases(ReplayedGuest(recorded), monkeypatch)

    assert phases == recorded.phases
    if recorded.error:
        assert recorded.error in error
    else:
        assert error == ""


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("disk-full", "enlarge storage.disk_size and the partitions of the profile"),
        ("prompt-key", "the installer waits for a key, and nobody is there"),
        ("prompt-menu", "the installer waits for a key, and nobody is there"),
        ("prompt-question", "the installer waits for a key, and nobody is there"),
    ],
)
def test_failure_has_the_next_step(name: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = ReplayedGuest(read_log(FOLDER / f"{name}.log"))

    with pytest.raises(ToolError) as caught:
        replay(guest, monkeypatch)

    assert str(caught.value).startswith("the guest stopped installing: ")
    assert caught.value.hint.startswith(hint)


def test_each_failure_pattern_has_a_recorded_console() -> None:
    names = [p.name for p in FAILURE_PATTERNS]

    assert len(set(names)) == len(names)
    assert {log.stem for log in LOGS} - WITHOUT_PATTERN == set(names)


@pytest.mark.parametrize("path", LOGS, ids=lambda p: p.stem)
def test_recorded_failure_matches_the_pattern_of_its_name(path: Path) -> None:
    console = GuestConsole()
    for _, text in read_log(path).entries:
        data = text.removeprefix("@partial ").encode()
        console.feed(data if text.startswith("@partial ") else data + b"\r\n")

    name = console._failure.pattern.name if console._failure else ""
    assert name == ("" if path.stem in WITHOUT_PATTERN else path.stem)


@pytest.mark.parametrize("path", SUCCESSES, ids=lambda p: p.stem)
def test_install_of_25_minutes_is_followed_to_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = read_log(path)
    times_s = [time_s for time_s, _ in recorded.entries]
    silences_s = [
        later - earlier
        for (earlier, _), (later, _) in pairwise(e for e in recorded.entries if e[1] != "@disk")
    ]
    guest = ReplayedGuest(recorded)

    events = replay(guest, monkeypatch)

    assert times_s[-1] == 25 * 60
    assert max(silences_s) > Deadlines().stall_s
    packages = [e for e in events if e.total == 500]
    assert [e.completed for e in packages] == list(range(1, 501))
    package_times_s = [t for t, x in read_log(path).entries if "Installing " in x and "/500)" in x]
    assert package_times_s[-1] - package_times_s[0] > OLD_PHASE_LIMIT_S
    assert guest.returncode == 0
    assert guest.port.is_complete
    assert events[-1].completed == events[-1].total == len(PHASES)


def test_silence_without_disk_access_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = ReplayedGuest(read_log(FOLDER / "success-el10.log"), has_disk_access=False)

    with pytest.raises(ToolError) as caught:
        replay(guest, monkeypatch)

    message = str(caught.value)
    assert "stalled in phase 'initramfs' after 'Generating initramfs'" in message
    assert "wrote nothing to its console and accessed no disk for 300 s" in message
    assert "--stall-timeout" in caught.value.hint
    assert guest.now < 1088 + 300 + 10


def test_package_names_are_never_failures() -> None:
    console = GuestConsole()
    names = (FOLDER / "packages.txt").read_text("utf-8").split()
    for number, name in enumerate(names, 1):
        for prefix in ("", f"[{number:5d}.123456] anaconda[1523]: "):
            for line in (
                f"Installing {name} ({number}/{len(names)})",
                f"Configuring {name}",
                f"Verifying {name} ({number}/{len(names)})",
            ):
                console.feed(f"{prefix}{line}\n".encode())

    assert len(names) == 500
    assert console.failure == ""
    assert (console.progress.phase, console.progress.status) == (
        "package scripts",
        "Verifying crash-trace-command.x86_64 (500/500)",
    )
