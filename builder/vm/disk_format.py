"""Convert a qcow2 image to the formats of other hypervisors and clouds, with ``qemu-img``.

Sources: QEMU, ``qemu-img convert`` and its options of each driver; AWS, VM Import/Export User
Guide (raw disks, volumes in whole GiB).
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.artifacts import ImageFile
from hardpan.builder.vm.disk_image import check_disk
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.files import PRIVATE_MODE, MiB, atomic_path, sha256_file
from hardpan.core.media_types import QCOW2, RAW, VHDX, VMDK
from hardpan.core.process import run, spawn

ReportPercent = Callable[[int], None]
"""Called with the completed percentage, 0 to 100."""

_TIMEOUT_S = 7200.0
_POLL_INTERVAL_S = 0.2
_PERCENT = re.compile(rb"\((\d{1,3})\.\d+/100%\)")
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFormat:
    """A format that an image can be written in."""

    name: str
    suffix: str
    """Suffix of the file, with its dot."""

    driver: str
    """QEMU's name of the format."""

    media_type: str
    purpose: str
    options: tuple[str, ...] = ()
    """Options of QEMU's driver, as ``name=value``."""

    has_check: bool = False
    """True if ``qemu-img check`` knows the format."""

    size_unit_mib: int = 1
    """The disk's size has to be a multiple of it."""


DISK_FORMATS = {
    disk_format.name: disk_format
    for disk_format in (
        DiskFormat(
            name="qcow2",
            suffix=".qcow2",
            driver="qcow2",
            media_type=QCOW2,
            purpose="QEMU, KVM, libvirt, OpenStack",
            has_check=True,
        ),
        DiskFormat(
            name="raw",
            suffix=".raw",
            driver="raw",
            media_type=RAW,
            purpose="disks that are written by dd, and other tools; a sparse file",
        ),
        DiskFormat(
            name="vmdk",
            suffix=".vmdk",
            driver="vmdk",
            media_type=VMDK,
            purpose="import to VMware vSphere; compressed",
            # The default adapter is IDE, which vSphere attaches as a slow disk without SCSI.
            options=("subformat=streamOptimized", "adapter_type=lsilogic"),
            has_check=True,
        ),
        DiskFormat(
            name="vhdx",
            suffix=".vhdx",
            driver="vhdx",
            media_type=VHDX,
            purpose="Hyper-V",
            # A block is stored as a whole; QEMU's default of 8 to 64 MiB makes larger files.
            options=("subformat=dynamic", "block_size=1M"),
            has_check=True,
        ),
        DiskFormat(
            name="ami-raw",
            suffix=".ami.raw",
            driver="raw",
            media_type=RAW,
            purpose="import to Amazon EC2 as a snapshot; a sparse file",
            size_unit_mib=1024,
        ),
    )
}
"""Name -> format. The build writes qcow2 itself; the others are converted from it."""


def convert_image(
    source: Path, destination: Path, disk_format: DiskFormat, report_percent: ReportPercent
) -> ImageFile:
    """Convert the qcow2 ``source``; ``destination`` appears only when it is complete and checked.

    Blocks of zeros are not stored, so free blocks that the guest has discarded take no space.

    Raises:
        ToolError: ``qemu-img`` is missing, fails or takes longer than two hours, or finds the
            result damaged.
    """
    with atomic_path(destination, mode=PRIVATE_MODE) as temp:
        argv = ["qemu-img", "convert", "-p", "-f", "qcow2", "-O", disk_format.driver]
        if disk_format.options:
            argv += ["-o", ",".join(disk_format.options)]
        _run_with_percent([*argv, str(source), str(temp)], temp.with_suffix(".log"), report_percent)
        if disk_format.has_check:
            check_disk(temp)
    return describe_image(destination, disk_format, sha256=sha256_file(destination))


def describe_image(path: Path, disk_format: DiskFormat, *, sha256: str) -> ImageFile:
    """Return the sizes of an image.

    Raises:
        ToolError: ``qemu-img`` cannot read it as ``disk_format``.
    """
    argv = ["qemu-img", "info", "--output=json", "-f", disk_format.driver, str(path)]
    info = json.loads(run(argv, timeout_s=60).stdout)
    file_status = path.stat()
    return ImageFile(
        format=disk_format.name,
        path=path,
        sha256=sha256,
        media_type=disk_format.media_type,
        virtual_bytes=int(info["virtual-size"]),
        file_bytes=file_status.st_size,
        allocated_bytes=file_status.st_blocks * 512,
    )


def size_problem(disk_format: DiskFormat, disk_size_mib: MiB) -> str:
    """Return why a disk of this size cannot have the format; empty if it can."""
    unit_mib = disk_format.size_unit_mib
    if disk_size_mib % unit_mib == 0:
        return ""
    return (
        f"disk_size: {disk_format.name} needs a multiple of {unit_mib} MiB, got {disk_size_mib} MiB"
    )


def _run_with_percent(argv: list[str], log: Path, report_percent: ReportPercent) -> None:
    """Run ``qemu-img``, whose option ``-p`` prints ``(12.34/100%)`` and a carriage return."""
    deadline_s = clock.monotonic_s() + _TIMEOUT_S
    with spawn(argv, log=log) as process:
        while process.poll() is None:
            if clock.monotonic_s() > deadline_s:
                raise ToolError(argv, f"did not end within {_TIMEOUT_S:g} s")
            time.sleep(_POLL_INTERVAL_S)
            _report_last_percent(log, report_percent)
        if process.returncode:
            tail = _read_tail(log).decode("utf-8", "replace").rpartition("\r")[2]
            raise ToolError(argv, f"exited with {process.returncode}", output_tail=tail.strip())
    log.unlink()


def _report_last_percent(log: Path, report_percent: ReportPercent) -> None:
    if percentages := _PERCENT.findall(_read_tail(log)):
        report_percent(min(int(percentages[-1]), 100))


def _read_tail(log: Path) -> bytes:
    return log.read_bytes()[-_LOG_TAIL_BYTES:]
