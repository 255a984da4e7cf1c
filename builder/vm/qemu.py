"""One QEMU, supervised: started, watched, powered off, and never left behind."""

import contextlib
import json
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hardpan.builder.vm import egress_proxy, firmware, qmp
from hardpan.builder.vm.console import GuestConsole
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.firmware import escape_option
from hardpan.builder.vm.probe import QEMU, Acceleration, find_qemu
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.files import create_private
from hardpan.core.identifiers import INSTALL_PORT
from hardpan.core.process import Process, run, spawn

PROXY_URL = "http://10.0.2.100:3128"
"""What a guest that may reach something finds ``tunnel`` at."""

FILE_SYSTEM_BLOCK_BYTES = 4096
"""Bytes of a block of ext4 and XFS, the least that a guest frees."""

_ENDPOINTS_FILE = "allowed-endpoints.json"
_CONVERT_TIMEOUT_S = 1800
_CHUNK_BYTES = 1 << 20
_MAX_LOG_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """A virtual machine."""

    disk: Path
    """qcow2, written to."""

    vcpus: int
    memory_mib: int
    firmware: str
    """``bios`` or ``uefi``."""

    cdrom: Path | None = None
    boot_device: Literal["disk", "cdrom", "usb"] = "disk"
    """What the firmware tries before all else. With ``usb`` the ISO is a USB disk as well
    as a CD: a kernel without USB drivers, such as the lab's, finds it there."""

    ssh_port: int = 0
    """Port on 127.0.0.1 that reaches the guest's port 22; 0 for none."""

    allowed_endpoints: tuple[Endpoint, ...] = ()
    """All that the guest can reach, by its proxy; with nothing it has none."""


class VirtualMachine:
    """A running QEMU and what it said so far. Made by ``running``."""

    def __init__(self, process: Process, workdir: Path, log: Path) -> None:
        self._process = process
        self._workdir = workdir
        self._serial_log = log.open("rb")
        self._port_log = (workdir / "port").open("rb")
        self.log = log
        """The serial log."""

        self.console = GuestConsole()
        self.port = GuestConsole()
        """What came through the virtio port."""

        self.last_output_at = clock.monotonic_s()
        """When the guest last wrote anything."""

        self.control: qmp.QmpConnection | None = None

    def watch(self, duration_s: float = 0.3) -> list[str]:
        """Let ``for_s`` seconds pass; the console lines that came.

        Raises:
            ToolError: the guest floods its console and would fill the disk.
        """
        if self.control is not None:
            with contextlib.suppress(EOFError, ConnectionError):
                self.control.process_events(duration_s)
        data = self._serial_log.read(_CHUNK_BYTES)
        port_output = self._port_log.read(_CHUNK_BYTES)
        if data or port_output:
            self.last_output_at = clock.monotonic_s()
        if os.fstat(self._serial_log.fileno()).st_size > _MAX_LOG_BYTES:
            raise self.failure(f"wrote more than {_MAX_LOG_BYTES >> 20} MiB to its console")
        self.port.feed(port_output)
        return self.console.feed(data)

    @property
    def is_off(self) -> bool:
        """True once QEMU has ended."""
        return self._process.poll() is not None

    @property
    def returncode(self) -> int | None:
        """QEMU's exit code; None while it runs."""
        return self._process.poll()

    def has_panicked(self) -> bool:
        """True when QEMU saw the guest panic, or the guest's console told it."""
        has_panic_event = self.control is not None and "GUEST_PANICKED" in self.control.event_names
        return has_panic_event or "Kernel panic" in self.console.failure

    def power_off(self, *, timeout_s: float) -> None:
        """Press the power button and wait until the guest is off.

        Raises:
            ToolError: it did not go off in time.
        """
        if not self.is_off and self.control is not None:
            self.control.call("system_powerdown")
        self.wait_until_off(timeout_s=timeout_s)

    def wait_until_off(self, *, timeout_s: float) -> None:
        """Wait until the guest is off.

        Raises:
            ToolError: it did not go off in time.
        """
        deadline = clock.monotonic_s() + timeout_s
        while not self.is_off:
            if clock.monotonic_s() > deadline:
                raise self.failure(f"did not power off within {timeout_s:g} s")
            self.watch()

    def failure(self, reason: str) -> ToolError:
        """An error with the console's tail, and a picture of the screen beside the log."""
        hint = f"console log: {self.log}"
        screenshot = self.log.with_suffix(".ppm")
        if not self.is_off and self.control is not None:
            with contextlib.suppress(ToolError, EOFError, ConnectionError):
                create_private(screenshot)
                self.control.call("screendump", filename=str(screenshot.absolute()))
                hint += f"; screen: {screenshot}"
        return ToolError(["the guest"], reason, output_tail="\n".join(self.console.tail), hint=hint)

    def close(self) -> None:
        """Close the logs."""
        self._serial_log.close()
        self._port_log.close()


@contextlib.contextmanager
def start_vm(spec: VmSpec, acceleration: Acceleration, *, log: Path) -> Iterator[VirtualMachine]:
    """A machine that runs for the length of the block, its console going to ``log``.

    A console may show anything, so the log and the picture are for their owner alone.

    Raises:
        ToolError: QEMU or the firmware is missing, or QEMU does not start.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    create_private(log)  # QEMU truncates it and keeps its mode
    log.with_suffix(".ppm").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="hardpan-vm-") as name:
        workdir = Path(name)
        (workdir / "port").touch()
        if spec.allowed_endpoints:
            (workdir / _ENDPOINTS_FILE).touch(mode=0o600)
            (workdir / _ENDPOINTS_FILE).write_text(json.dumps(spec.allowed_endpoints), "utf-8")
        qemu_log = workdir / "qemu.log"
        argv = [*_argv(spec, acceleration, workdir, log), *_firmware_options(spec, workdir)]
        with spawn(argv, log=qemu_log) as process:
            machine = VirtualMachine(process, workdir, log)
            try:
                with qmp.open_qmp(workdir / "qmp", process.poll) as control:
                    control.call("cont")
                    machine.control = control
                    yield machine
            except ToolError as e:
                if process.poll() not in (None, 0):
                    e.output_tail = qemu_log.read_text("utf-8", "replace")[-2000:] + e.output_tail
                raise
            finally:
                machine.close()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def create_disk(path: Path, *, size_mib: int = 0, backing: Path | None = None) -> None:
    """Make an empty qcow2, or a layer over ``backing``."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if backing is not None:
        run([*argv, "-b", backing.absolute(), "-F", "qcow2", path], timeout_s=60)
    else:
        run([*argv, path, f"{size_mib}M"], timeout_s=60)


def copy_disk(source: Path, destination: Path, *, cluster_bytes: int | None = None) -> None:
    """Copy what the guest sees of a qcow2: not what it has discarded, nor what QEMU has left over.

    ``cluster_bytes`` is the least that a guest can discard of the copy; QEMU's default of
    64 KiB leaves a freed block there while any other block of its cluster is in use.
    """
    argv = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2"]
    if cluster_bytes is not None:
        argv += ["-o", f"cluster_size={cluster_bytes}"]
    run([*argv, source, destination], timeout_s=_CONVERT_TIMEOUT_S)


def check_disk(path: Path) -> None:
    """Pass if ``qemu-img check`` finds nothing wrong.

    Raises:
        ToolError: it does.
    """
    run(["qemu-img", "check", "-q", path], timeout_s=300)


def _argv(spec: VmSpec, acceleration: Acceleration, workdir: Path, log: Path) -> list[str]:
    disk = f"file={escape_option(spec.disk)},format=qcow2,if=none,id=disk"
    discard_option = f"discard_granularity={FILE_SYSTEM_BLOCK_BYTES}"
    argv = [
        *(str(find_qemu() or QEMU), "-machine", "q35", *acceleration.arguments),
        *("-smp", str(spec.vcpus), "-m", str(spec.memory_mib)),
        *("-nodefaults", "-display", "none", "-vga", "std", "-no-reboot", "-action", "panic=none"),
        # Paused until the control channel is open: a guest may be off within a blink.
        "-S",
        *("-qmp", f"unix:{escape_option(workdir / 'qmp')},server=on,wait=off"),
        *("-chardev", f"file,id=serial,path={escape_option(log)}", "-serial", "chardev:serial"),
        *(
            "-device",
            "virtio-serial-pci",
            "-chardev",
            f"file,id=told,path={escape_option(workdir / 'port')}",
        ),
        *("-device", f"virtserialport,chardev=told,name={INSTALL_PORT}"),
        *("-device", "virtio-rng-pci", "-device", "pvpanic-pci"),
        # A build can always be done again, so the host's cache may hold everything.
        *("-drive", f"{disk},cache=unsafe,discard=unmap"),
        *(
            "-device",
            f"virtio-blk-pci,drive=disk,{discard_option},bootindex={_boot_index(spec, 'disk')}",
        ),
    ]
    argv += [
        "-netdev",
        _network_option(spec, workdir),
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]
    return argv + _cdrom_options(spec)


def _network_option(spec: VmSpec, workdir: Path) -> str:
    # NOTE: restrict=on: the guest reaches nobody, and is reached by nobody, but for the forwards.
    net = "user,id=net,restrict=on"
    if spec.ssh_port:
        net += f",hostfwd=tcp:127.0.0.1:{spec.ssh_port}-:22"
    if spec.allowed_endpoints:
        # Split into words as a shell would, and started once for each connection.
        program = [
            sys.executable,
            "-ISB",
            str(Path(egress_proxy.__file__)),
            str(workdir / _ENDPOINTS_FILE),
        ]
        proxy_address = PROXY_URL.removeprefix("http://")
        net += f",guestfwd=tcp:{proxy_address}-cmd:{shlex.join(program).replace(',', ',,')}"
    return net


def _boot_index(spec: VmSpec, name: str) -> int:
    return 0 if spec.boot_device == name else ("disk", "cdrom").index(name) + 1


def _cdrom_options(spec: VmSpec) -> list[str]:
    if spec.cdrom is None:
        return []
    drive = f"file={escape_option(spec.cdrom)},format=raw,if=none,readonly=on"
    cd = f"scsi-cd,drive=cd,bus=scsi.0,bootindex={_boot_index(spec, 'cdrom')}"
    argv = ["-drive", f"{drive},id=cd,media=cdrom", "-device", "virtio-scsi-pci,id=scsi"]
    argv += ["-device", cd]
    if spec.boot_device == "usb":
        usb = "usb-storage,bus=usb.0,drive=stick,removable=on,bootindex=0"
        argv += ["-drive", f"{drive},id=stick", "-device", "qemu-xhci,id=usb", "-device", usb]
    return argv


def _firmware_options(spec: VmSpec, workdir: Path) -> list[str]:
    if spec.firmware == "bios":
        return []
    uefi = firmware.require_firmware()
    variables = workdir / "vars.fd"
    variables.write_bytes(uefi.variables.read_bytes())
    return firmware.firmware_arguments(uefi, variables)
