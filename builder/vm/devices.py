"""QEMU's options for the disks, the CD, the serial port and the TPM of a guest."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hardpan.builder.vm.firmware import escape_option
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.process import spawn

FILE_SYSTEM_BLOCK_BYTES = 4096
"""Block size of ext4 and XFS, the smallest unit that a guest discards."""

DISK = "disk"
"""QEMU's name of the guest's disk."""

DiskBus = Literal["virtio-blk", "virtio-scsi", "nvme", "sata"]
"""How the disk is attached: the first disk is vda, sda, nvme0n1 or sda in the guest."""

BootDevice = Literal["disk", "cdrom", "usb"]
ImageFormat = Literal["raw", "qcow2"]

_EMPTY_DISK_BYTES = 64 << 20
_TPM_START_TIMEOUT_S = 20.0
_PAUSE_S = 0.05


def disk_arguments(
    disk: Path, bus: DiskBus, *, boot_index: int, empty_disk: Path | None = None
) -> list[str]:
    """Attach ``disk``, after ``empty_disk`` on the same bus where one is named.

    The host may cache all writes: a build can be repeated.
    """
    argv = _controller_arguments(bus)
    if empty_disk is not None:
        with empty_disk.open("wb") as file:
            file.truncate(_EMPTY_DISK_BYTES)
        drive = f"file={escape_option(empty_disk)},format=raw,if=none,id=empty"
        argv += ["-drive", drive, "-device", _disk_device(bus, "empty", position=0)]
    drive = f"file={escape_option(disk)},format=qcow2,if=none,id={DISK},cache=unsafe,discard=unmap"
    device = _disk_device(bus, DISK, position=int(empty_disk is not None))
    options = f"bootindex={boot_index}"
    if bus != "sata":  # QEMU's SATA disks discard units of 512 bytes only
        options = f"discard_granularity={FILE_SYSTEM_BLOCK_BYTES},{options}"
    return [*argv, "-drive", drive, "-device", f"{device},{options}"]


def _controller_arguments(bus: DiskBus) -> list[str]:
    # q35 has an AHCI controller with the buses ide.0 to ide.5.
    return ["-device", "virtio-scsi-pci,id=disks"] if bus == "virtio-scsi" else []


def _disk_device(bus: DiskBus, drive: str, *, position: int) -> str:
    devices = {
        "virtio-blk": "virtio-blk-pci",
        "virtio-scsi": f"scsi-hd,bus=disks.0,scsi-id={position}",
        "nvme": f"nvme,serial=hardpan-{position}",
        "sata": f"ide-hd,bus=ide.{position}",
    }
    return f"{devices[bus]},drive={drive}"


def serial_arguments(log: Path, socket: Path | None) -> list[str]:
    """Write the guest's serial console to ``log``; with ``socket`` it can be typed on, too."""
    backend = f"file,id=serial,path={escape_option(log)}"
    if socket is not None:
        backend = f"socket,id=serial,path={escape_option(socket)},server=on,wait=off"
        backend += f",logfile={escape_option(log)}"
    return ["-chardev", backend, "-serial", "chardev:serial"]


def boot_index(boot_device: BootDevice, name: BootDevice) -> int:
    """Return the boot order of a device, 0 for the first."""
    return 0 if boot_device == name else ("disk", "cdrom").index(name) + 1


def cdrom_arguments(
    cdrom: Path | None, boot_device: BootDevice, image_format: ImageFormat = "raw"
) -> list[str]:
    """Attach an ISO as a CD, and with ``usb`` also as a USB disk."""
    if cdrom is None:
        return []
    drive = f"file={escape_option(cdrom)},format={image_format},if=none,readonly=on"
    cd = f"scsi-cd,drive=cd,bus=scsi.0,bootindex={boot_index(boot_device, 'cdrom')}"
    argv = ["-drive", f"{drive},id=cd,media=cdrom", "-device", "virtio-scsi-pci,id=scsi"]
    argv += ["-device", cd]
    if boot_device == "usb":
        usb = "usb-storage,bus=usb.0,drive=stick,removable=on,bootindex=0"
        argv += ["-drive", f"{drive},id=stick", "-device", "qemu-xhci,id=usb", "-device", usb]
    return argv


@contextlib.contextmanager
def start_tpm(state: Path | None, workdir: Path) -> Iterator[list[str]]:
    """Run a TPM 2.0 (swtpm) for the duration of the block; yield QEMU's options for it.

    ``state`` is the folder of its memory; it is created if it is missing. None: no TPM.

    Raises:
        ToolError: swtpm is missing or does not start.
    """
    if state is None:
        yield []
        return
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    control, log = workdir / "tpm.socket", workdir / "tpm.log"
    argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state.absolute()},mode=0600"]
    argv += ["--ctrl", f"type=unixio,path={control}", "--terminate"]
    with spawn(argv, log=log) as process:
        deadline = clock.monotonic_s() + _TPM_START_TIMEOUT_S
        while not control.exists():
            if process.poll() is not None or clock.monotonic_s() > deadline:
                tail = log.read_text("utf-8", "replace")[-2000:]
                raise ToolError(argv, "did not start", output_tail=tail)
            time.sleep(_PAUSE_S)
        yield [
            *("-chardev", f"socket,id=tpm,path={escape_option(control)}"),
            *("-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"),
        ]
