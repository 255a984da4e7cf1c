"""Supervised QEMU: start, watch and stop a virtual machine."""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.vm import devices, qmp
from hardpan.builder.vm.command_line import (
    ENDPOINTS_FILE,
    SERIAL_SOCKET,
    VmSpec,
    qemu_arguments,
    uefi_arguments,
)
from hardpan.builder.vm.console import GuestConsole
from hardpan.builder.vm.installer_log import InstallerLog, open_installer_log
from hardpan.builder.vm.passphrase_typing import PassphraseTyping
from hardpan.builder.vm.probe import Acceleration
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.files import create_private
from hardpan.core.process import Process, spawn

_DISK_POLL_INTERVAL_S = 5.0
_CHUNK_BYTES = 1 << 20
_MAX_LOG_BYTES = 64 << 20


class VirtualMachine:
    """A running QEMU process and its output. Created by ``start_vm``."""

    def __init__(
        self, process: Process, workdir: Path, log: Path, installer_log: InstallerLog | None
    ) -> None:
        self._process = process
        self._workdir = workdir
        self._serial_log = log.open("rb")
        self._port_log = (workdir / "port").open("rb")
        self._installer_log = installer_log
        self.log = log
        """Serial console log."""

        self.console = GuestConsole()
        self.port = GuestConsole()
        """Output of the virtio port."""

        self.last_output_at = clock.monotonic_s()
        """Time of the guest's last output."""

        self.last_disk_access_at = clock.monotonic_s()
        """Time at which the guest was last seen to have read or written a disk."""

        self.control: qmp.QmpConnection | None = None
        self.keyboard: PassphraseTyping | None = None
        self._disk_bytes = 0
        self._next_disk_poll_at = 0.0

    def watch(self, duration_s: float = 0.3) -> list[str]:
        """Wait ``duration_s`` seconds and return the new console lines.

        Raises:
            ToolError: the guest exceeds the maximum size of the console log.
        """
        if self.control is not None:
            with contextlib.suppress(EOFError, ConnectionError):
                self.control.process_events(duration_s)
        self._poll_disks()
        data = self._serial_log.read(_CHUNK_BYTES)
        port_output = self._port_log.read(_CHUNK_BYTES)
        if data or port_output:
            self.last_output_at = clock.monotonic_s()
        if os.fstat(self._serial_log.fileno()).st_size > _MAX_LOG_BYTES:
            raise self.failure(f"wrote more than {_MAX_LOG_BYTES >> 20} MiB to its console")
        if self._installer_log is not None:
            self._installer_log.poll()
        self.port.feed(port_output)
        lines = self.console.feed(data)
        if self.keyboard is not None and not self.keyboard.answer(self.console.passphrase_prompts):
            raise self.failure(
                "did not accept the passphrase of its disk",
                hint="name the file of the build's passphrase with --luks-passphrase-file",
            )
        return lines

    def _poll_disks(self) -> None:
        """Read from QEMU how many bytes the guest has read and written."""
        now = clock.monotonic_s()
        if self.control is None or self.is_off or now < self._next_disk_poll_at:
            return
        self._next_disk_poll_at = now + _DISK_POLL_INTERVAL_S
        with contextlib.suppress(ToolError, EOFError, ConnectionError):
            disk_bytes = self.control.count_disk_bytes()
            if disk_bytes != self._disk_bytes:
                self._disk_bytes, self.last_disk_access_at = disk_bytes, now

    @property
    def is_off(self) -> bool:
        """Whether QEMU has exited."""
        return self._process.poll() is not None

    @property
    def returncode(self) -> int | None:
        """QEMU's exit status; None while it is running."""
        return self._process.poll()

    def has_panicked(self) -> bool:
        """Return whether QEMU or the guest's console reported a panic."""
        has_panic_event = self.control is not None and "GUEST_PANICKED" in self.control.event_names
        return has_panic_event or self.console.has_panicked

    def switch_disk(self, overlay: Path) -> None:
        """Make the running guest write to ``overlay``, whose backing file is its present disk.

        The present disk gets the state of this moment and is not written to again.

        Raises:
            ToolError: QEMU is gone, or it cannot use the overlay.
        """
        if self.control is None:
            raise self.failure("has no control connection")
        self.control.call(
            "blockdev-snapshot-sync",
            device=devices.DISK,
            snapshot_file=str(overlay.absolute()),
            format="qcow2",
            mode="existing",
        )

    def power_off(self, *, timeout_s: float) -> None:
        """Press the virtual power button and wait until the guest is off.

        Raises:
            ToolError: the guest did not power off in time.
        """
        if not self.is_off and self.control is not None:
            # A guest that powers itself off closes the connection.
            with contextlib.suppress(ToolError, EOFError, ConnectionError):
                self.control.call("system_powerdown")
        self.wait_until_off(timeout_s=timeout_s)

    def wait_until_off(self, *, timeout_s: float) -> None:
        """Wait until the guest is off.

        Raises:
            ToolError: the guest did not power off in time.
        """
        deadline = clock.monotonic_s() + timeout_s
        while not self.is_off:
            if clock.monotonic_s() > deadline:
                raise self.failure(f"did not power off within {timeout_s:g} s")
            self.watch()

    def failure(self, reason: str, *, hint: str = "") -> ToolError:
        """Return an error with the console's tail; save a screenshot next to the log.

        ``hint`` is the next step, if there is a better one than to read the log.
        """
        hint = f"{hint}; console log: {self.log}".removeprefix("; ")
        screenshot = self.log.with_suffix(".ppm")
        if not self.is_off and self.control is not None:
            with contextlib.suppress(ToolError, EOFError, ConnectionError):
                create_private(screenshot)
                self.control.call("screendump", filename=str(screenshot.absolute()))
                hint += f"; screen: {screenshot}"
        errors = self._installer_log.errors if self._installer_log is not None else ()
        tail = "\n".join([*errors, *self.port.tail, *self.console.tail])
        return ToolError(["the guest"], reason, output_tail=tail, hint=hint)

    def stop_typing(self) -> None:
        """Answer no more prompts.

        What the guest prints would fill the connection, and then stop it, when nobody watches.
        """
        if self.keyboard is not None:
            self.keyboard.close()
            self.keyboard = None

    def close(self) -> None:
        """Close the logs."""
        self._serial_log.close()
        self._port_log.close()
        self.stop_typing()


@contextlib.contextmanager
def start_vm(spec: VmSpec, acceleration: Acceleration, *, log: Path) -> Iterator[VirtualMachine]:
    """Run a VM for the duration of the block; its console is logged to ``log``.

    A console can show secrets, so log and screenshot are readable by their owner only.

    Raises:
        ToolError: QEMU, swtpm or the firmware is missing, or one does not start.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    create_private(log)  # QEMU truncates it and keeps its mode
    log.with_suffix(".ppm").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="hardpan-vm-") as name:
        workdir = Path(name)
        (workdir / "port").touch()
        if spec.allowed_endpoints:
            (workdir / ENDPOINTS_FILE).touch(mode=0o600)
            (workdir / ENDPOINTS_FILE).write_text(json.dumps(spec.allowed_endpoints), "utf-8")
        qemu_log = workdir / "qemu.log"
        argv = qemu_arguments(spec, acceleration, workdir, log)
        argv += uefi_arguments(spec, workdir)
        with (
            devices.start_tpm(spec.tpm_state, workdir) as tpm_options,
            open_installer_log(spec.installer_log) as installer_log,
            spawn(
                [*argv, *tpm_options, *(installer_log.arguments() if installer_log else ())],
                log=qemu_log,
            ) as process,
        ):
            machine = VirtualMachine(process, workdir, log, installer_log)
            try:
                with qmp.open_qmp(workdir / "qmp", process.poll) as control:
                    if passphrase := spec.disk_passphrase:
                        machine.keyboard = PassphraseTyping(workdir / SERIAL_SOCKET, passphrase)
                    control.call("cont")
                    machine.control = control
                    yield machine
            except ToolError as e:
                # A QEMU that refuses its options closes the connection shortly before it ends.
                if machine.control is None or process.poll() not in (None, 0):
                    e.output_tail = qemu_log.read_text("utf-8", "replace")[-2000:] + e.output_tail
                raise
            finally:
                machine.close()


def free_port() -> int:
    """Return an unused TCP port on 127.0.0.1."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
