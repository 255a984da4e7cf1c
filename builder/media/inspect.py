"""Facts of an install ISO, read from the ISO itself; its version is never believed."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import InputError, ToolError
from hardpan.process import run

_TIMEOUT_S = 120
_BOOT_IMAGE = re.compile(r"^El Torito boot img :\s+\d+\s+(BIOS|UEFI)\s+(.*)$", re.MULTILINE)
_LOAD = re.compile(r"\s(\d+)\s+(\d+)$")
_LABEL = re.compile(r"^Volume Id\s*:\s*(.*?)\s*$", re.MULTILINE)
_MAGIC = (32769, b"CD001")
_BLOCK, _SECTOR = 2048, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What matters for a remaster."""

    volume_id: str
    boot_records: tuple[str, ...]
    """``BIOS`` and ``UEFI`` in the catalogue's order."""

    layout: str
    """``el10`` (GRUB for BIOS, appended EFI partition) or ``el9`` (isolinux, efiboot.img)."""

    efi_offset: int
    """Where the appended EFI image starts, in bytes."""

    efi_size: int
    """Its size in bytes."""


def facts(iso: Path) -> Facts:
    """What ``iso`` is.

    Raises:
        InputError: missing, no ISO 9660 image, not bootable by UEFI, or of a
            layout that is not known.
    """
    _check_magic(iso)
    try:
        report = run(
            ["xorriso", "-indev", iso, "-report_el_torito", "plain", "-pvd_info"],
            timeout_s=_TIMEOUT_S,
        ).stdout
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        raise InputError(f"{iso}: xorriso cannot read it; is the download complete?") from e
    records = _BOOT_IMAGE.findall(report)
    label = _LABEL.search(report)
    uefi = [rest for kind, rest in records if kind == "UEFI"]
    if label is None or not uefi:
        raise InputError(f"{iso}: expected an install ISO that boots by UEFI, found none")
    load = _LOAD.search(uefi[0])
    if load is None:
        raise InputError(f"{iso}: the UEFI boot record tells no place")
    return Facts(
        volume_id=label[1],
        boot_records=tuple(kind for kind, _ in records),
        layout="el9" if exists(iso, "/isolinux/isolinux.cfg") else "el10",
        efi_offset=int(load[2]) * _BLOCK,
        efi_size=_efi_blocks(report, uefi[0]) * _SECTOR,
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


def _check_magic(iso: Path) -> None:
    try:
        with iso.open("rb") as f:
            f.seek(_MAGIC[0])
            found = f.read(len(_MAGIC[1]))
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e
    if found != _MAGIC[1]:
        raise InputError(f"{iso}: expected an ISO 9660 image, found something else")


def _efi_blocks(report: str, line: str) -> int:
    """Ldsiz: load size in 512-byte blocks, the number before the LBA."""
    found = _LOAD.search(line)
    if found is None:
        raise InputError("the UEFI boot record tells no size")
    return int(found[1])
