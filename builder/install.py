"""The unattended install: the ISO that is handed out is the ISO that is booted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder.artifacts import DiskImage, UnattendedIso
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VirtualMachine, VmSpec, check_disk, create_disk, start_vm
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.files import PRIVATE_MODE, MiB, atomic_path, require_free_space, sha256_file

_STAGE = "install"
MIN_FREE_MIB = 6144
"""Free disk that an install is begun with."""

_FAILURE_GRACE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """The three clocks of an install, in seconds for a machine with KVM."""

    phase_s: float = 900.0
    """No single phase may take longer."""

    stall_s: float = 300.0
    """Nothing written to the console for so long means it hangs."""

    total_s: float = 2700.0

    def scaled(self, factor: float) -> "Deadlines":
        """The same for a slower machine."""
        return Deadlines(
            phase_s=self.phase_s * factor,
            stall_s=self.stall_s * factor,
            total_s=self.total_s * factor,
        )


def install(
    iso: UnattendedIso,
    spec: VmSpec,
    *,
    size_mib: MiB,
    acceleration: Acceleration,
    log: Path,
    emit: Emit,
    deadlines: Deadlines | None = None,
) -> DiskImage:
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
    require_free_space(spec.disk.parent, MIN_FREE_MIB, purpose="an install")
    limits = deadlines or Deadlines().scaled(acceleration.timeout_factor)
    start = clock.monotonic_s()
    with atomic_path(spec.disk, mode=PRIVATE_MODE) as temp:
        boot_spec = replace(spec, disk=temp, cdrom=iso.path, boot_device="cdrom")
        for attempts_left in reversed(range(acceleration.max_attempts)):
            create_disk(temp, size_mib=size_mib)
            if _install_once(
                boot_spec, acceleration, log, limits, emit, may_retry=attempts_left > 0
            ):
                break
        check_disk(temp)
    return DiskImage(
        path=spec.disk,
        virtual_size_mib=size_mib,
        sha256=sha256_file(spec.disk),
        duration_s=clock.monotonic_s() - start,
    )


def _install_once(
    spec: VmSpec,
    acceleration: Acceleration,
    log: Path,
    deadlines: Deadlines,
    emit: Emit,
    *,
    may_retry: bool,
) -> bool:
    """True when it is done; False when it panicked and may be tried ``again``."""
    with start_vm(spec, acceleration, log=log) as machine:
        try:
            _watch_install(machine, deadlines, emit)
        except ToolError as e:
            if not may_retry or not machine.has_panicked():
                raise
            emit(StageMessage(stage=_STAGE, text=f"{e}; starting it once more"))
            return False
    return True


def _watch_install(machine: VirtualMachine, deadlines: Deadlines, emit: Emit) -> None:
    start = clock.monotonic_s()
    phase, phase_start = "", start
    report_line = _progress_reporter(emit)
    while not machine.is_off:
        for line in machine.watch():
            report_line(line)
        now = clock.monotonic_s()
        console = machine.console
        if console.phase != phase:
            phase, phase_start = console.phase, now
            emit(
                StageProgress(
                    stage=_STAGE,
                    completed=console.phase_position[0],
                    total=console.phase_position[1],
                    text=phase,
                )
            )
        if machine.port.failure or console.failure:
            _wait_for_failure_logs(machine)
            raise machine.failure(f"stopped installing: {machine.port.failure or console.failure}")
        if machine.has_panicked():
            raise machine.failure("panicked during the install")
        context = f" in phase {phase!r}" if phase else " before the installer started"
        if now - machine.last_output_at > deadlines.stall_s:
            raise machine.failure(f"wrote nothing for {deadlines.stall_s:.0f} s{context}")
        if now - phase_start > deadlines.phase_s:
            raise machine.failure(f"needed more than {deadlines.phase_s:.0f} s{context}")
        if now - start > deadlines.total_s:
            raise machine.failure(f"was not done after {deadlines.total_s:.0f} s{context}")
    machine.watch(0.0)
    if machine.port.failure:
        raise machine.failure(f"stopped installing: {machine.port.failure}")
    if machine.returncode:
        raise machine.failure(f"ended with QEMU itself (exit code {machine.returncode})")
    if not machine.port.is_complete:
        raise machine.failure("went off without saying that the install is complete")


def _wait_for_failure_logs(machine: VirtualMachine) -> None:
    """Give %onerror a little time for its logs before the plug is pulled."""
    end = clock.monotonic_s() + _FAILURE_GRACE_S
    while not machine.is_off and clock.monotonic_s() < end:
        machine.watch()


def _progress_reporter(emit: Emit) -> Callable[[str], None]:
    def report_line(line: str) -> None:
        if line.startswith(("HARDPAN-INSTALL:", "Installing", "Unpacking")):
            emit(StageMessage(stage=_STAGE, text=line.removeprefix("HARDPAN-INSTALL: ")))

    return report_line
