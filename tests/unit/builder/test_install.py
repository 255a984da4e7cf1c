"""Time limits of an install and what counts as success, over a guest that is a script."""

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardpan.builder import install
from hardpan.builder.install import Deadlines
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.console import GuestConsole
from hardpan.builder.vm.probe import Acceleration
from hardpan.core.errors import ToolError
from hardpan.core.events import Event, StageMessage, StageProgress, discard
from hardpan.core.files import MiB

DEADLINES = Deadlines(stall_s=30, total_s=250, failure_logs_s=15)


@dataclass
class Step:
    """What happens within one second of a guest's life."""

    console: str = ""
    port: str = ""
    duration_s: float = 1.0
    has_disk_access: bool = False


@dataclass
class ScriptedGuest:
    """A machine that lives through its steps and then goes off, or does nothing for ever."""

    steps: deque[Step]
    powers_off: bool = True
    returncode: int | None = None
    exit_status: int = 0
    now: float = 1000.0
    last_output_at: float = 1000.0
    last_disk_access_at: float = 1000.0
    console: GuestConsole = field(default_factory=GuestConsole)
    port: GuestConsole = field(default_factory=GuestConsole)
    is_panicking: bool = False

    @property
    def is_off(self) -> bool:
        return self.returncode is not None

    def watch(self, duration_s: float = 0.3) -> list[str]:
        if not self.steps:
            self.now += duration_s or 0.1
            if self.powers_off:
                self.returncode = self.exit_status
            return []
        step = self.steps.popleft()
        self.now += step.duration_s
        if step.console or step.port:
            self.last_output_at = self.now
        if step.has_disk_access:
            self.last_disk_access_at = self.now
        self.port.feed(f"{step.port}\n".encode())
        return self.console.feed(f"{step.console}\n".encode())

    def has_panicked(self) -> bool:
        return self.is_panicking

    def failure(self, reason: str, *, hint: str = "") -> ToolError:
        tail = "\n".join(self.console.tail)
        return ToolError(["the guest"], reason, output_tail=tail, hint=hint)


def watch_guest(
    monkeypatch: pytest.MonkeyPatch, steps: Sequence[Step], emit: object = discard, **facts: object
) -> ScriptedGuest:
    machine = ScriptedGuest(deque(steps), **facts)  # type: ignore[arg-type]
    monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: machine.now)
    install._watch_install(machine, DEADLINES, emit)  # type: ignore[arg-type]
    return machine


def watch_error(monkeypatch: pytest.MonkeyPatch, steps: Sequence[Step], **facts: object) -> str:
    with pytest.raises(ToolError) as caught:
        watch_guest(monkeypatch, steps, **facts)
    return str(caught.value)


COMPLETE_STEP = Step(port="HARDPAN-INSTALL: complete")


def test_install_succeeds_on_marker_followed_by_poweroff(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [
        Step(console="Running post-installation scripts"),
        COMPLETE_STEP,
        Step(console="unmounting"),
    ]

    machine = watch_guest(monkeypatch, steps)

    assert not machine.steps
    assert machine.port.is_complete
    assert machine.returncode == 0


@pytest.mark.parametrize(
    ("steps", "facts", "says"),
    [
        ([], {}, "powered off without the success marker"),
        (
            [Step(console="HARDPAN-INSTALL: complete")],
            {},
            "powered off without the success marker",
        ),
        ([COMPLETE_STEP], {"exit_status": -9}, "ended with QEMU itself (exit code -9)"),
        (
            [COMPLETE_STEP],
            {"powers_off": False},
            "stalled before the installer started: it wrote nothing to its console and accessed",
        ),
        ([COMPLETE_STEP], {"is_panicking": True}, "panicked during the install"),
        (
            [COMPLETE_STEP, Step(port="HARDPAN-INSTALL: failed: %post")],
            {},
            "stopped installing: HARDPAN-INSTALL: failed: %post",
        ),
        (
            [Step(console="The installation was stopped due to an error"), COMPLETE_STEP],
            {},
            "stopped installing: The installation was stopped due to an error",
        ),
    ],
)
def test_install_fails_without_marker_and_poweroff(
    monkeypatch: pytest.MonkeyPatch, steps: list[Step], facts: dict[str, object], says: str
) -> None:
    assert says in watch_error(monkeypatch, steps, **facts)


def test_silent_guest_without_disk_access_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(console="Installing boot loader"), Step(duration_s=31)]

    error = watch_error(monkeypatch, steps)

    assert "stalled in phase 'boot loader' after 'Installing boot loader'" in error


def test_silent_guest_with_disk_access_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(console="Generating initramfs")]
    steps += [Step(duration_s=25, has_disk_access=True)] * 9
    steps += [COMPLETE_STEP]

    assert watch_guest(monkeypatch, steps).port.is_complete


def test_total_time_limit_stops_a_busy_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(console="Running post-installation scripts")]
    steps += [Step(duration_s=20, has_disk_access=True)] * 26

    with pytest.raises(ToolError) as caught:
        watch_guest(monkeypatch, steps)

    assert "was not done after 250 s, in phase 'post scripts'" in str(caught.value)
    assert "--install-timeout" in caught.value.hint


@pytest.mark.parametrize(
    ("port", "console", "reason"),
    [
        ("HARDPAN-INSTALL: failed", "Non interactive installation failed: x", "Non interactive"),
        ("HARDPAN-INSTALL: failed: no fips", "Non interactive installation failed: x", "HARDPAN"),
        ("HARDPAN-INSTALL: failed", "", "HARDPAN-INSTALL: failed"),
    ],
)
def test_failure_names_the_most_specific_reason(
    monkeypatch: pytest.MonkeyPatch, port: str, console: str, reason: str
) -> None:
    steps = [Step(console=console), Step(port=port)]

    assert f"stopped installing: {reason}" in watch_error(monkeypatch, steps)


def test_output_after_failure_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(port="HARDPAN-INSTALL: failed: x"), Step(console="dnf: no space")]

    with pytest.raises(ToolError) as caught:
        watch_guest(monkeypatch, steps)

    assert "dnf: no space" in caught.value.output_tail


def test_phases_are_reported_as_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    steps = [
        Step(console="[    0.000000] Linux version 5.14.0"),
        Step(console="Installing perl-Error.noarch (12/423)"),
        Step(console="kernel noise"),
        COMPLETE_STEP,
    ]

    watch_guest(monkeypatch, steps, events.append)

    assert StageProgress(stage="install", completed=1, total=9, text="boot") in events
    assert StageProgress(stage="install", completed=12, total=423, text="packages") in events
    assert StageProgress(stage="install", completed=9, total=9, text="complete") in events
    assert not any(isinstance(e, StageMessage) and "noise" in e.text for e in events)


def test_deadlines_scale_with_factor() -> None:
    slow = DEADLINES.scaled(4)

    assert (slow.stall_s, slow.total_s, slow.failure_logs_s) == (120, 1000, 60)


def test_deadline_option_replaces_the_default_of_the_host() -> None:
    emulated = Acceleration(kind="tcg", reason="")

    limits = install.choose_deadlines(emulated, stall_s=90)

    assert (limits.stall_s, limits.total_s) == (90, 4 * 7200)


def panicking_guest() -> ScriptedGuest:
    return ScriptedGuest(deque([Step(console="Kernel panic - not syncing: x")]), is_panicking=True)


def successful_guest() -> ScriptedGuest:
    return ScriptedGuest(deque([COMPLETE_STEP]))


@pytest.mark.parametrize(
    ("kind", "guests", "says", "attempts"),
    [
        ("tcg", [panicking_guest(), successful_guest()], "", 2),
        ("tcg", [panicking_guest(), panicking_guest(), successful_guest()], "Kernel panic", 2),
        ("tcg", [ScriptedGuest(deque([Step(port="HARDPAN-INSTALL: failed: x")]))], "failed: x", 1),
        ("kvm", [panicking_guest(), successful_guest()], "Kernel panic", 1),
    ],
)
def test_emulated_installer_is_retried_after_panic(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    guests: list[ScriptedGuest],
    says: str,
    attempts: int,
) -> None:
    queue, disks, notes = deque(guests), list[Path](), list[Event]()

    @contextlib.contextmanager
    def running(*_: object, **__: object) -> Iterator[ScriptedGuest]:
        machine = queue.popleft()
        monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: machine.now)
        yield machine

    def create_disk(path: Path, **_: object) -> None:
        path.write_bytes(b"")
        disks.append(path)

    monkeypatch.setattr(install, "start_vm", running)
    monkeypatch.setattr(install, "create_disk", create_disk)
    monkeypatch.setattr(install, "check_disk", lambda _: None)
    with pytest.raises(ToolError, match=says) if says else contextlib.nullcontext():
        install.install(
            VmSpec(disk=tmp_path / "disk.qcow2", vcpus=1, memory_mib=128, firmware="bios"),
            size_mib=MiB(64),
            acceleration=Acceleration(kind=kind, reason=""),
            log=tmp_path / "install.log",
            emit=notes.append,
            deadlines=DEADLINES,
        )

    assert len(disks) == attempts
    assert (tmp_path / "disk.qcow2").exists() == (not says)
    retry_notes = [
        n.text for n in notes if isinstance(n, StageMessage) and n.text.endswith("retrying")
    ]
    assert len(retry_notes) == attempts - 1
