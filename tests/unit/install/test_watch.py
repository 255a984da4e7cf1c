"""The three clocks and what counts as success, over a guest that is a script."""

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardpan.builder import install
from hardpan.builder.install import Deadlines
from hardpan.builder.machine.console import Console
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import Spec
from hardpan.builder.receipts import Iso
from hardpan.errors import ToolError
from hardpan.events import Event, Note, Progress, silent
from hardpan.files import MiB, Sha256

CLOCKS = Deadlines(phase_s=100, stall_s=30, total_s=250)


@dataclass
class Step:
    """What happens within one second of a guest's life."""

    console: str = ""
    port: str = ""
    for_s: float = 1.0


@dataclass
class Scripted:
    """A machine that lives through its steps and then goes off, or does nothing for ever."""

    steps: deque[Step]
    goes_off: bool = True
    returncode: int | None = None
    ends_with: int = 0
    now: float = 1000.0
    spoke_at: float = 1000.0
    console: Console = field(default_factory=Console)
    port: Console = field(default_factory=Console)
    saw_panic: bool = False

    @property
    def is_off(self) -> bool:
        return self.returncode is not None

    def watch(self, for_s: float = 0.3) -> list[str]:
        if not self.steps:
            self.now += for_s or 0.1
            if self.goes_off:
                self.returncode = self.ends_with
            return []
        step = self.steps.popleft()
        self.now += step.for_s
        if step.console or step.port:
            self.spoke_at = self.now
        self.port.feed(f"{step.port}\n".encode())
        return self.console.feed(f"{step.console}\n".encode())

    def panicked(self) -> bool:
        return self.saw_panic

    def failure(self, why: str) -> ToolError:
        return ToolError(["the guest"], why, tail="\n".join(self.console.tail))


def watched(
    monkeypatch: pytest.MonkeyPatch, steps: Sequence[Step], emit: object = silent, **facts: object
) -> Scripted:
    machine = Scripted(deque(steps), **facts)  # type: ignore[arg-type]
    monkeypatch.setattr("hardpan.clock.monotonic", lambda: machine.now)
    install._watch(machine, CLOCKS, emit)  # type: ignore[arg-type]
    return machine


def refused(monkeypatch: pytest.MonkeyPatch, steps: Sequence[Step], **facts: object) -> str:
    with pytest.raises(ToolError) as caught:
        watched(monkeypatch, steps, **facts)
    return str(caught.value)


COMPLETE = Step(port="HARDPAN-INSTALL: complete")


def test_the_marker_on_the_port_and_then_the_power_off_is_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [
        Step(console="HARDPAN-INSTALL: phase post [8/9]"),
        COMPLETE,
        Step(console="unmounting"),
    ]

    machine = watched(monkeypatch, steps)

    assert not machine.steps
    assert machine.port.complete
    assert machine.returncode == 0


@pytest.mark.parametrize(
    ("steps", "facts", "says"),
    [
        ([], {}, "went off without saying that the install is complete"),
        (
            [Step(console="HARDPAN-INSTALL: complete")],
            {},
            "went off without saying that the install is complete",
        ),
        ([COMPLETE], {"ends_with": -9}, "ended with QEMU itself (exit code -9)"),
        ([COMPLETE], {"goes_off": False}, "wrote nothing for 30 s before the installer started"),
        ([COMPLETE], {"saw_panic": True}, "panicked during the install"),
        (
            [COMPLETE, Step(port="HARDPAN-INSTALL: failed: %post")],
            {},
            "stopped installing: HARDPAN-INSTALL: failed: %post",
        ),
        (
            [Step(console="The installation was stopped due to an error"), COMPLETE],
            {},
            "stopped installing: The installation was stopped due to an error",
        ),
    ],
)
def test_everything_else_is_not(
    monkeypatch: pytest.MonkeyPatch, steps: list[Step], facts: dict[str, object], says: str
) -> None:
    assert says in refused(monkeypatch, steps, **facts)


def test_a_silent_guest_is_stopped_in_the_phase_it_hangs_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [Step(console="HARDPAN-INSTALL: phase packages [5/9]"), Step(for_s=31)]

    assert "wrote nothing for 30 s in phase 'packages'" in refused(monkeypatch, steps)


def test_a_guest_that_talks_for_ever_is_stopped_by_the_phase_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [Step(console="HARDPAN-INSTALL: phase pre [2/9]")]
    steps += [Step(console="still here", for_s=10)] * 30

    assert "needed more than 100 s in phase 'pre'" in refused(monkeypatch, steps)


def test_a_guest_that_changes_phases_for_ever_is_stopped_by_the_total_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [Step(console=f"HARDPAN-INSTALL: phase x{chr(97 + n)}", for_s=20) for n in range(26)]

    assert "was not done after 250 s" in refused(monkeypatch, steps)


def test_after_a_failure_the_last_words_are_still_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(port="HARDPAN-INSTALL: failed: x"), Step(console="dnf: no space")]

    with pytest.raises(ToolError) as caught:
        watched(monkeypatch, steps)

    assert "dnf: no space" in caught.value.tail


def test_the_phases_are_told_as_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Event] = []
    steps = [
        Step(console="HARDPAN-INSTALL: phase payload [4/9]"),
        Step(console="HARDPAN-INSTALL: payload 50% (3 s)"),
        Step(console="kernel noise"),
        COMPLETE,
    ]

    watched(monkeypatch, steps, seen.append)

    assert Progress(stage="install", done=4, total=9, text="payload") in seen
    assert Note(stage="install", text="payload 50% (3 s)") in seen
    assert not any(isinstance(e, Note) and "noise" in e.text for e in seen)


def test_a_slower_machine_gets_more_of_every_clock() -> None:
    slow = CLOCKS.stretched(4)

    assert (slow.phase_s, slow.stall_s, slow.total_s) == (400, 120, 1000)


def panics() -> Scripted:
    return Scripted(deque([Step(console="Kernel panic - not syncing: x")]), saw_panic=True)


def installs() -> Scripted:
    return Scripted(deque([COMPLETE]))


@pytest.mark.parametrize(
    ("kind", "guests", "says", "made"),
    [
        ("tcg", [panics(), installs()], "", 2),
        ("tcg", [panics(), panics(), installs()], "Kernel panic", 2),
        ("tcg", [Scripted(deque([Step(port="HARDPAN-INSTALL: failed: x")]))], "failed: x", 1),
        ("kvm", [panics(), installs()], "Kernel panic", 1),
    ],
)
def test_an_emulated_installer_that_panics_gets_one_more_try_on_an_empty_disk(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    guests: list[Scripted],
    says: str,
    made: int,
) -> None:
    queue, disks, notes = deque(guests), list[Path](), list[Event]()

    @contextlib.contextmanager
    def running(*_: object, **__: object) -> Iterator[Scripted]:
        machine = queue.popleft()
        monkeypatch.setattr("hardpan.clock.monotonic", lambda: machine.now)
        yield machine

    def create_disk(path: Path, **_: object) -> None:
        path.write_bytes(b"")
        disks.append(path)

    monkeypatch.setattr(install, "running", running)
    monkeypatch.setattr(install, "create_disk", create_disk)
    monkeypatch.setattr(install, "check_disk", lambda _: None)
    nothing = Sha256("0" * 64)
    iso = Iso(
        path=tmp_path / "x.iso",
        sha256=nothing,
        volume_id="X",
        kickstart_sha256=nothing,
        media_sha256=nothing,
        secret=False,
    )

    with pytest.raises(ToolError, match=says) if says else contextlib.nullcontext():
        install.install(
            iso,
            Spec(disk=tmp_path / "disk.qcow2", vcpus=1, memory_mib=128, firmware="bios"),
            size_mib=MiB(64),
            acceleration=Acceleration(kind=kind, reason=""),
            log=tmp_path / "install.log",
            emit=notes.append,
            deadlines=CLOCKS,
        )

    assert len(disks) == made
    assert (tmp_path / "disk.qcow2").exists() == (not says)
    again = [n.text for n in notes if isinstance(n, Note) and n.text.endswith("it once more")]
    assert len(again) == made - 1
