"""The unattended install: the ISO that is handed out is the ISO that is booted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan import clock
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import Machine, Spec, check_disk, create_disk, running
from hardpan.builder.receipts import Disk, Iso
from hardpan.errors import ToolError
from hardpan.events import Emit, Note, Progress
from hardpan.files import PRIVATE, MiB, atomic_path, need_free, sha256_file

_STAGE = "install"
NEED_MIB = 6144
"""Free disk that an install is begun with."""

_NOISY_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """The three clocks of an install, in seconds for a machine with KVM."""

    phase_s: float = 900.0
    """No single phase may take longer."""

    stall_s: float = 300.0
    """Nothing written to the console for so long means it hangs."""

    total_s: float = 2700.0

    def stretched(self, by: float) -> "Deadlines":
        """The same for a slower machine."""
        return Deadlines(
            phase_s=self.phase_s * by, stall_s=self.stall_s * by, total_s=self.total_s * by
        )


def install(
    iso: Iso,
    spec: Spec,
    *,
    size_mib: MiB,
    acceleration: Acceleration,
    log: Path,
    emit: Emit,
    deadlines: Deadlines | None = None,
) -> Disk:
    """Boot ``iso`` onto a fresh disk at ``spec.disk`` and wait for its word of success.

    Only the positive marker of the kickstart's last ``%post``, on the virtio
    port, followed by the power-off, counts. The disk appears when all is well.
    An installer that panics begins anew on an empty disk, as often as
    ``acceleration.starts`` says.

    Raises:
        ResourceError: not enough disk space.
        ToolError: the installer failed, panicked, stalled, or ended without
            the marker; the console log and a picture of the screen are kept.
    """
    need_free(spec.disk.parent, NEED_MIB, what="an install")
    clocks = deadlines or Deadlines().stretched(acceleration.patience)
    began = clock.monotonic()
    with atomic_path(spec.disk, mode=PRIVATE) as temp:
        used = replace(spec, disk=temp, cdrom=iso.path, first="cdrom")
        for left in reversed(range(acceleration.starts)):
            create_disk(temp, size_mib=size_mib)
            if _installed(used, acceleration, log, clocks, emit, again=left > 0):
                break
        check_disk(temp)
    return Disk(
        path=spec.disk,
        virtual_size_mib=size_mib,
        sha256=sha256_file(spec.disk),
        took_s=clock.monotonic() - began,
    )


def _installed(
    spec: Spec,
    acceleration: Acceleration,
    log: Path,
    clocks: Deadlines,
    emit: Emit,
    *,
    again: bool,
) -> bool:
    """True when it is done; False when it panicked and may be tried ``again``."""
    with running(spec, acceleration, log=log) as machine:
        try:
            _watch(machine, clocks, emit)
        except ToolError as e:
            if not again or not machine.panicked():
                raise
            emit(Note(stage=_STAGE, text=f"{e}; starting it once more"))
            return False
    return True


def _watch(machine: Machine, clocks: Deadlines, emit: Emit) -> None:
    began = clock.monotonic()
    phase, phase_at = "", began
    tell = _teller(emit)
    while not machine.is_off:
        for line in machine.watch():
            tell(line)
        now = clock.monotonic()
        console = machine.console
        if console.phase != phase:
            phase, phase_at = console.phase, now
            emit(Progress(stage=_STAGE, done=console.step[0], total=console.step[1], text=phase))
        if machine.port.failure or console.failure:
            _let_it_finish(machine)
            raise machine.failure(f"stopped installing: {machine.port.failure or console.failure}")
        if machine.panicked():
            raise machine.failure("panicked during the install")
        where = f" in phase {phase!r}" if phase else " before the installer started"
        if now - machine.spoke_at > clocks.stall_s:
            raise machine.failure(f"wrote nothing for {clocks.stall_s:.0f} s{where}")
        if now - phase_at > clocks.phase_s:
            raise machine.failure(f"needed more than {clocks.phase_s:.0f} s{where}")
        if now - began > clocks.total_s:
            raise machine.failure(f"was not done after {clocks.total_s:.0f} s{where}")
    machine.watch(0.0)
    if machine.port.failure:
        raise machine.failure(f"stopped installing: {machine.port.failure}")
    if machine.returncode:
        raise machine.failure(f"ended with QEMU itself (exit code {machine.returncode})")
    if not machine.port.complete:
        raise machine.failure("went off without saying that the install is complete")


def _let_it_finish(machine: Machine) -> None:
    """Give %onerror a little time for its logs before the plug is pulled."""
    end = clock.monotonic() + _NOISY_S
    while not machine.is_off and clock.monotonic() < end:
        machine.watch()


def _teller(emit: Emit) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if line.startswith(("HARDPAN-INSTALL:", "Installing", "Unpacking")):
            emit(Note(stage=_STAGE, text=line.removeprefix("HARDPAN-INSTALL: ")))

    return tell
