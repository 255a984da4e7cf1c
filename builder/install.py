"""Unattended install: boots the same ISO that is delivered."""

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
"""Free disk space required to start an install."""

_FAILURE_GRACE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Time limits of an install, in seconds on a host with KVM."""

    phase_s: float = 900.0
    """Limit of each phase."""

    stall_s: float = 300.0
    """Limit without console output."""

    total_s: float = 2700.0

    def scaled(self, factor: float) -> "Deadlines":
        """Return the limits multiplied by ``factor``, for slower hosts."""
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
    """Boot ``iso`` with an empty disk at ``spec.disk`` and wait for the success marker.

    Success is the marker of the kickstart's last ``%post`` on the virtio port, followed by
    power-off. The disk is created only on success. An installer that panics is restarted on an
    empty disk, up to ``acceleration.max_attempts`` attempts.

    Raises:
        ResourceError: not enough disk space.
        ToolError: the installer failed, panicked, stalled, or ended without the marker; the
            console log and a screenshot are saved.
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
    """Return True on success, False if it panicked and ``may_retry`` is set."""
    with start_vm(spec, acceleration, log=log) as machine:
        try:
            _watch_install(machine, deadlines, emit)
        except ToolError as e:
            if not may_retry or not machine.has_panicked():
                raise
            emit(StageMessage(stage=_STAGE, text=f"{e}; retrying"))
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
        raise machine.failure("powered off without the success marker")


def _wait_for_failure_logs(machine: VirtualMachine) -> None:
    """Give %onerror time to write its logs before QEMU is stopped."""
    end = clock.monotonic_s() + _FAILURE_GRACE_S
    while not machine.is_off and clock.monotonic_s() < end:
        machine.watch()


def _progress_reporter(emit: Emit) -> Callable[[str], None]:
    def report_line(line: str) -> None:
        if line.startswith(("HARDPAN-INSTALL:", "Installing", "Unpacking")):
            emit(StageMessage(stage=_STAGE, text=line.removeprefix("HARDPAN-INSTALL: ")))

    return report_line
