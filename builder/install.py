"""Unattended install from the ISO that is delivered."""

from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder.anaconda.failures import FAILED_MARKER
from hardpan.builder.anaconda.progress import InstallProgress
from hardpan.builder.artifacts import DiskImage
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import check_disk, create_disk
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VirtualMachine, start_vm
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.files import PRIVATE_MODE, MiB, atomic_path, require_free_space, sha256_file

_STAGE = "install"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Time limits of an install, in seconds on a host with KVM.

    No phase has a limit of its own: 400 packages take two minutes or an hour, and an initramfs is
    built without any output.
    """

    stall_s: float = 300.0
    """Limit without console output and without disk access."""

    total_s: float = 7200.0
    """Limit of the whole install."""

    failure_logs_s: float = 15.0
    """Time that a failed installer gets to write its logs."""

    def scaled(self, factor: float) -> "Deadlines":
        """Return the limits multiplied by ``factor``, for slower hosts."""
        return Deadlines(
            stall_s=self.stall_s * factor,
            total_s=self.total_s * factor,
            failure_logs_s=self.failure_logs_s * factor,
        )


def choose_deadlines(
    acceleration: Acceleration, *, stall_s: float | None = None, total_s: float | None = None
) -> Deadlines:
    """Return the limits for this host; a given one replaces the default as it is, unscaled."""
    limits = Deadlines().scaled(acceleration.timeout_factor)
    return replace(
        limits,
        stall_s=limits.stall_s if stall_s is None else stall_s,
        total_s=limits.total_s if total_s is None else total_s,
    )


def install(
    spec: VmSpec,
    *,
    size_mib: MiB,
    acceleration: Acceleration,
    log: Path,
    emit: Emit,
    deadlines: Deadlines | None = None,
    required_mib: int = 0,
) -> DiskImage:
    """Boot the ISO ``spec.cdrom`` with an empty disk at ``spec.disk``; await the success marker.

    Success is the marker of the kickstart's last ``%post`` on the virtio port, followed by
    power-off. The disk is created only on success. An installer that panics is restarted on an
    empty disk, up to ``acceleration.max_attempts`` attempts. ``required_mib`` of free disk space
    must be available.

    Raises:
        ResourceError: not enough disk space.
        ToolError: the installer failed, panicked, stalled, or ended without the marker; the
            console log and a screenshot are saved.
    """
    require_free_space(spec.disk.parent, required_mib, purpose="an install")
    limits = deadlines or choose_deadlines(acceleration)
    start = clock.monotonic_s()
    with atomic_path(spec.disk, mode=PRIVATE_MODE) as temp:
        installer_log = log.with_suffix(".anaconda.log")
        boot_spec = replace(spec, disk=temp, boot_device="cdrom", installer_log=installer_log)
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
    reporter = _ProgressReporter(emit)
    while not machine.is_off:
        machine.watch()
        if machine.port.is_complete:
            machine.console.progress.complete()
        reporter.report(machine.console.progress)
        if machine.port.failure or machine.console.failure:
            if not machine.has_panicked():
                _wait_for_failure_logs(machine, deadlines.failure_logs_s)
            raise machine.failure(
                f"stopped installing: {_failure_reason(machine)}",
                hint=machine.console.failure_hint,
            )
        if machine.has_panicked():
            raise machine.failure("panicked during the install")
        _check_deadlines(machine, deadlines, start)
    machine.watch(0.0)
    if machine.port.failure:
        raise machine.failure(f"stopped installing: {_failure_reason(machine)}")
    if machine.returncode:
        raise machine.failure(f"ended with QEMU itself (exit code {machine.returncode})")
    if not machine.port.is_complete:
        position = machine.console.progress.describe()
        raise machine.failure(f"powered off without the success marker, {position}")


def _check_deadlines(machine: VirtualMachine, deadlines: Deadlines, start: float) -> None:
    """Check that the installer still does something, and that it does not do so for ever."""
    now = clock.monotonic_s()
    position = machine.console.progress.describe()
    last_activity_at = max(machine.last_output_at, machine.last_disk_access_at)
    if now - last_activity_at > deadlines.stall_s:
        raise machine.failure(
            f"stalled {position}: it wrote nothing to its console and accessed no disk"
            f" for {deadlines.stall_s:.0f} s",
            hint="see on the screenshot whether it waits for input;"
            " on a slow host allow more time with --stall-timeout",
        )
    if now - start > deadlines.total_s:
        raise machine.failure(
            f"was not done after {deadlines.total_s:.0f} s, {position}",
            hint="it was still active; allow more time with --install-timeout",
        )


def _failure_reason(machine: VirtualMachine) -> str:
    """Return the reason of a failure: the kickstart's own report, else the installer's message."""
    reasons = [r for r in (machine.port.failure, machine.console.failure) if r]
    return next((r for r in reasons if r != FAILED_MARKER), FAILED_MARKER)


def _wait_for_failure_logs(machine: VirtualMachine, duration_s: float) -> None:
    """Give %onerror time to write its logs before QEMU is stopped."""
    end = clock.monotonic_s() + duration_s
    while not machine.is_off and clock.monotonic_s() < end:
        machine.watch()


class _ProgressReporter:
    """Emits the progress of an installation when it changes."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._last_event: StageProgress | None = None

    def report(self, progress: InstallProgress) -> None:
        """Emit an event if the position differs from the last one."""
        event = StageProgress(
            stage=_STAGE,
            completed=progress.completed,
            total=progress.total,
            text=progress.title,
        )
        if event != self._last_event:
            self._last_event = event
            self._emit(event)
