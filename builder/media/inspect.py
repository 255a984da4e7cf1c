"""Facts of an install ISO, read from the ISO itself; its version is never believed."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import InputError, ToolError
from hardpan.process import run

_TIMEOUT_S = 120
_BOOT_IMAGE = re.compile(r"^El Torito boot img :\s+(\d+)\s+(BIOS|UEFI)\s+(.*)$", re.MULTILINE)
_BOOT_PATH = re.compile(r"^El Torito img path :\s+(\d+)\s+(/.*)$", re.MULTILINE)
_FILE_SIZE = re.compile(r"^File data lba:\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*(\d+)\s*,", re.MULTILINE)
_LOAD = re.compile(r"\s(\d+)\s+(\d+)$")
_PARTITION = re.compile(r"^GPT start and size\s*:\s*\d+\s+(\d+)\s+(\d+)\s*$", re.MULTILINE)
_SYSTEM_AREA = re.compile(r"^System area summary:\s*(.*?)\s*$", re.MULTILINE)
_LABEL = re.compile(r"^Volume Id\s*:\s*(.*?)\s*$", re.MULTILINE)
_DESCRIPTOR = 16 * 2048
_BLOCK, _SECTOR = 2048, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What matters for a remaster."""

    volume_id: str
    boot_records: tuple[str, ...]
    """``BIOS`` and ``UEFI`` in the catalogue's order."""

    system_area: str
    """How it boots as a disk, in xorriso's words, e.g. ``MBR isohybrid cyl-align-on GPT``."""

    efi_path: str
    """Where the EFI image lies in ISO 9660 (EL9); empty where it is appended (EL10)."""

    efi_offset: int
    """Where the EFI image starts, in bytes."""

    efi_size: int
    """Its size in bytes."""


def facts(iso: Path) -> Facts:
    """What ``iso`` is.

    Raises:
        InputError: missing, truncated, no ISO 9660 image, or not bootable by UEFI.
    """
    check_whole(iso)
    argv: list[str | Path] = ["xorriso", "-indev", iso, "-report_el_torito", "plain"]
    try:
        report = run(
            [*argv, "-report_system_area", "plain", "-pvd_info"], timeout_s=_TIMEOUT_S
        ).stdout
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        raise InputError(f"{iso}: xorriso cannot read it; is the download complete?") from e
    records = _BOOT_IMAGE.findall(report)
    label = _LABEL.search(report)
    uefi = [(n, rest) for n, kind, rest in records if kind == "UEFI"]
    if label is None or not uefi:
        raise InputError(f"{iso}: expected an install ISO that boots by UEFI, found none")
    uefi_at, told = uefi[0]
    load = _LOAD.search(told)
    if load is None:
        raise InputError(f"{iso}: the UEFI boot record tells no place")
    start = int(load[2]) * _BLOCK
    paths = dict(_BOOT_PATH.findall(report))
    path = paths.get(uefi_at, "")
    return Facts(
        volume_id=label[1],
        boot_records=tuple(kind for _, kind, _ in records),
        system_area="".join(_SYSTEM_AREA.findall(report)),
        efi_path=path,
        efi_offset=start,
        efi_size=_file_size(iso, path) or _efi_size(report, start, int(load[1]) * _SECTOR),
    )


def extract(iso: Path, names: dict[str, Path]) -> None:
    """Copy files (path in the ISO -> where to) out of it; what is not there is an error."""
    argv: list[str | Path] = ["xorriso", "-osirrox", "on", "-indev", iso]
    for inside, outside in names.items():
        argv += ["-extract", inside, outside]
    run(argv, timeout_s=_TIMEOUT_S)
    for outside in names.values():
        outside.chmod(0o644)


def exists(iso: Path, name: str) -> bool:
    """True when the ISO holds ``name``."""
    with tempfile.TemporaryDirectory() as room:
        try:
            extract(iso, {name: Path(room) / "x"})
        except ToolError:
            return False
        return True


def check_whole(iso: Path) -> None:
    """Pass if the file is an ISO 9660 image and as long as it says of itself.

    Raises:
        InputError: it cannot be read, is something else, or is truncated.
    """
    try:
        size = iso.stat().st_size
        with iso.open("rb") as f:
            table = f.read(2 * _SECTOR)[_SECTOR:]
            f.seek(_DESCRIPTOR)
            descriptor = f.read(_BLOCK)
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e
    if descriptor[:6] != b"\x01CD001":
        raise InputError(f"{iso}: expected an ISO 9660 image, found something else")
    # ECMA-119 8.4.8: blocks of the volume, little-endian first; UEFI 2.10 table 5.5: the
    # partition table's copy is the last thing on the disk.
    least = int.from_bytes(descriptor[80:84], "little") * _BLOCK
    if table[:8] == b"EFI PART":
        least = max(least, (int.from_bytes(table[32:40], "little") + 1) * _SECTOR)
    if size < least:
        raise InputError(
            f"{iso}: expected {least} bytes, found {size}: the ISO is truncated",
            hint="download it again",
        )


def _file_size(iso: Path, path: str) -> int:
    """Size of a file in the ISO, in bytes; 0 without a path."""
    if not path:
        return 0
    argv: list[str | Path] = ["xorriso", "-indev", iso, "-find", path, "-exec", "report_lba", "--"]
    found = _FILE_SIZE.search(run(argv, timeout_s=_TIMEOUT_S).stdout)
    return int(found[1]) if found else 0


def _efi_size(report: str, start: int, loaded: int) -> int:
    """Size of the EFI image in bytes: its partition's, or what the boot record loads.

    The boot record counts in 16 bits and so ends at 32 MiB.
    """
    for place, blocks in _PARTITION.findall(report):
        if int(place) * _SECTOR == start:
            return int(blocks) * _SECTOR
    return loaded
