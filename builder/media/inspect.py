"""Inspect an install ISO and read its files; the ISO is untrusted input.

xorriso extracts nothing, since an extracted link, device or mode would affect this host: it lists
file types and byte ranges, which are then read from the ISO. xorriso runs with resource limits,
since a few bytes of an ISO can claim any size, depth or number of files.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hardpan.builder.media.iso9660 import BLOCK_SIZE, MAX_DEPTH, check_folders
from hardpan.core.errors import InputError, ToolError
from hardpan.core.extracted_files import open_named_file, read_bytes
from hardpan.core.limited_process import ProcessLimits, run_limited

MAX_ISO_BYTES = 32 << 30
"""The largest Rocky Linux ISO, the DVD of release 9.8, has 14.2 GiB."""

MAX_FILE_BYTES = 256 << 20
"""Per file read from an ISO; an EFI image has about 10 MiB, a kernel 15."""

MAX_PATH_LENGTH = 1024
"""Characters of an absolute path as xorriso lists it."""

XORRISO_MEMORY_BYTES = 2 << 30
_MAX_REPORT_BYTES = 64 << 20
_LIMITS = ProcessLimits(
    # Listing Rocky Linux's DVD takes less than a second.
    max_cpu_s=30,
    max_file_bytes=_MAX_REPORT_BYTES,
    max_memory_bytes=XORRISO_MEMORY_BYTES,
)
_TIMEOUT_S = 120
_BOOT_IMAGE = re.compile(r"^El Torito boot img :\s+(\d+)\s+(BIOS|UEFI)\s+(.*)$", re.MULTILINE)
_BOOT_PATH = re.compile(r"^El Torito img path :\s+(\d+)\s+(/.*)$", re.MULTILINE)
_LISTING = re.compile(
    r"^([dlbcps-])\S{9,10}\s+\d+\s+\S+\s+\S+\s+(\d+)[^']*'(/[^']*)'", re.MULTILINE
)
_EXTENT = re.compile(
    r"^File data lba:\s*\d+\s*,\s*(\d+)\s*,\s*\d+\s*,\s*(\d+)\s*,\s*'(/[^']*)'$", re.MULTILINE
)
_BOOT_IMAGE_LOAD = re.compile(r"\s(\d{1,9})\s+(\d{1,10})$")
_PARTITION = re.compile(
    r"^GPT start and size\s*:\s*\d+\s+(\d{1,12})\s+(\d{1,12})\s*$", re.MULTILINE
)
_SYSTEM_AREA = re.compile(r"^System area summary:\s*(.*?)\s*$", re.MULTILINE)
_LABEL = re.compile(r"^Volume Id\s*:\s*(.*?)\s*$", re.MULTILINE)
# xorriso escapes every other character with a backslash.
_PRINTABLE_LABEL = re.compile(r"(?!.*\\)[!-~](?:[ -~]{0,30}[!-~])?")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}){1,8}")
_KINDS = {
    "-": "a file",
    "d": "a folder",
    "l": "a symbolic link",
    "b": "a block device",
    "c": "a character device",
    "p": "a pipe",
    "s": "a socket",
}
_FORBIDDEN_KINDS = "bcps"
_DESCRIPTOR_OFFSET = 16 * BLOCK_SIZE
_SECTOR_BYTES = 512
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoFile:
    """Byte range of a file."""

    offset: int
    """Offset in the ISO, in bytes."""

    size: int
    """Size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoFacts:
    """Facts of an install ISO that remastering needs."""

    volume_id: str
    boot_records: tuple[str, ...]
    """``BIOS`` and ``UEFI``, in the order of the boot catalog."""

    system_area: str
    """System area as xorriso reports it, e.g. ``MBR isohybrid cyl-align-on GPT``."""

    efi_path: str
    """Path of the EFI image in ISO 9660 (EL9); empty if it is appended (EL10)."""

    efi_offset: int
    """Offset of the EFI image in bytes."""

    efi_size: int
    """Size of the EFI image in bytes."""


def inspect_iso(iso: Path) -> IsoFacts:
    """Inspect an install ISO.

    Raises:
        InputError: it is missing, truncated, not an ISO 9660 image, not bootable by UEFI, or has an
            invalid size, label or EFI image.
    """
    size = check_iso_size(iso)
    check_folders(iso)
    commands = ["-report_el_torito", "plain", "-report_system_area", "plain", "-pvd_info"]
    report = _run_xorriso(iso, commands)
    records = _BOOT_IMAGE.findall(report)
    label = _LABEL.search(report)
    uefi = [(n, details) for n, kind, details in records if kind == "UEFI"]
    if label is None or not uefi:
        raise InputError(f"{iso}: expected an install ISO that boots by UEFI, got none")
    if not _PRINTABLE_LABEL.fullmatch(label[1]):
        raise InputError(
            f"{iso}: volume label: expected 1 to 32 printable ASCII characters, got {label[1]!a}"
        )
    uefi_number, uefi_details = uefi[0]
    load = _BOOT_IMAGE_LOAD.search(uefi_details)
    if load is None:
        raise InputError(f"{iso}: the UEFI boot record has no location")
    start = int(load[2]) * BLOCK_SIZE
    path = dict(_BOOT_PATH.findall(report)).get(uefi_number, "")
    efi_size = _file_size(iso, path) or _efi_size(report, start, int(load[1]) * _SECTOR_BYTES)
    efi = IsoFile(offset=start, size=efi_size)
    _require_inside(iso, efi, size, "the EFI image")
    _require_max_size(iso, efi, "the EFI image", MAX_FILE_BYTES)
    return IsoFacts(
        volume_id=label[1],
        boot_records=tuple(kind for _, kind, _ in records),
        system_area="".join(_SYSTEM_AREA.findall(report)),
        efi_path=path,
        efi_offset=start,
        efi_size=efi_size,
    )


def check_file_names(iso: Path) -> None:
    """Check that all Rock Ridge names on the ISO are short and belong to files, folders or links.

    Raises:
        InputError: they are not.
    """
    # One level more than allowed, to detect deeper trees.
    report = _run_xorriso(
        iso, ["-find", "/", "-maxdepth", str(MAX_DEPTH + 1), "-exec", "lsdl", "--"]
    )
    for kind, _, path in _LISTING.findall(report):
        if kind in _FORBIDDEN_KINDS:
            raise InputError(f"{iso}: {path[:200]!a}: expected a file, got {_KINDS[kind]}")
        if path.count("/") > MAX_DEPTH or len(path) > MAX_PATH_LENGTH:
            raise InputError(
                f"{iso}: a name is too long: expected at most {MAX_DEPTH} parts and"
                f" {MAX_PATH_LENGTH} characters, got {path.count('/')} and {len(path)}"
            )


def find_files(iso: Path, names: Iterable[str]) -> dict[str, IsoFile]:
    """Return the byte ranges of those of ``names`` (paths in the ISO) that exist.

    Raises:
        InputError: one is not a regular file, has a parent that is not a folder, or has a byte
            range outside of the ISO.
    """
    requested = list(names)
    folders = {str(p) for n in requested for p in PurePosixPath(n).parents} - {"/"}
    commands: list[str] = []
    for path in (*sorted(folders), *requested):
        commands += ["-find", path, "-maxdepth", "0", "-exec", "lsdl", "--"]
    for path in requested:
        commands += ["-find", path, "-maxdepth", "0", "-type", "f", "-exec", "report_lba", "--"]
    # A missing name is a valid result, not an error.
    tolerant = ["-abort_on", "FATAL", "-return_with", "FATAL", "32"]
    report = _run_xorriso(iso, [*tolerant, *commands])
    kinds: dict[str, list[str]] = {}
    for kind, _, path in _LISTING.findall(report):
        kinds.setdefault(path, []).append(kind)
    extents: dict[str, list[IsoFile]] = {}
    for block, size, path in _EXTENT.findall(report):
        extent = IsoFile(offset=int(block) * BLOCK_SIZE, size=int(size))
        extents.setdefault(path, []).append(extent)
    for path in sorted(folders):
        _require_kind(iso, path, kinds.get(path, []), "d")
    for path in requested:
        _require_kind(iso, path, kinds.get(path, []), "-")
    return {n: _single_extent(iso, n, extents.get(n, [])) for n in requested if n in kinds}


def extract(iso: Path, names: dict[str, Path]) -> None:
    """Copy files (path in the ISO -> new file) from the ISO.

    Raises:
        InputError: one does not exist, is not a regular file or is too long, or the destination
            exists.
    """
    files = find_files(iso, names)
    missing = [name for name in names if name not in files]
    if missing:
        raise InputError(f"{iso}: expected {', '.join(missing)} on it, got none")
    for iso_path, destination in names.items():
        copy_bytes(iso, files[iso_path], destination)


def exists(iso: Path, name: str) -> bool:
    """Return whether the ISO has the file ``name``.

    Raises:
        InputError: ``name`` is not a regular file.
    """
    return name in find_files(iso, [name])


def copy_bytes(
    iso: Path, extent: IsoFile, destination: Path, *, max_bytes: int = MAX_FILE_BYTES
) -> None:
    """Copy a byte range of the ISO to a new file.

    Raises:
        InputError: the range is too long or outside of the ISO, or ``destination`` exists.
    """
    _require_max_size(iso, extent, destination.name, max_bytes)
    remaining = extent.size
    try:
        with open_named_file(iso) as source, destination.open("xb") as sink:
            source.seek(extent.offset)
            while remaining and (chunk := source.read(min(remaining, _CHUNK_BYTES))):
                sink.write(chunk)
                remaining -= len(chunk)
    except OSError as e:
        raise InputError(f"{iso}: cannot be copied to {destination}: {e.strerror}") from e
    if remaining:
        raise InputError(f"{iso}: expected {remaining} bytes more, got its end")


def check_iso_size(iso: Path) -> int:
    """Return the file size if it is an ISO 9660 image of at least its declared size.

    Raises:
        InputError: it cannot be read, is not an ISO 9660 image, is truncated or too large.
    """
    try:
        with open_named_file(iso) as f:
            size = iso.stat().st_size
            table = f.read(2 * _SECTOR_BYTES)[_SECTOR_BYTES:]
            f.seek(_DESCRIPTOR_OFFSET)
            descriptor = f.read(BLOCK_SIZE)
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e
    if size > MAX_ISO_BYTES:
        raise InputError(f"{iso}: too large: expected at most {MAX_ISO_BYTES} bytes, got {size}")
    if descriptor[:6] != b"\x01CD001":
        raise InputError(f"{iso}: expected an ISO 9660 image, got something else")
    # ECMA-119 8.4.8: blocks of the volume, little-endian first; UEFI 2.10 table 5.5: the
    # partition table's copy is the last thing on the disk.
    min_size = int.from_bytes(descriptor[80:84], "little") * BLOCK_SIZE
    if table[:8] == b"EFI PART":
        min_size = max(min_size, (int.from_bytes(table[32:40], "little") + 1) * _SECTOR_BYTES)
    if size < min_size:
        raise InputError(
            f"{iso}: expected {min_size} bytes, got {size}: the ISO is truncated",
            hint="download it again",
        )
    return size


def _run_xorriso(iso: Path, commands: Sequence[str]) -> str:
    """Run xorriso on the untrusted ``iso`` and return its output."""
    # Names are not patterns, line breaks in names are escaped, and warnings about damaged trees
    # are suppressed.
    argv: list[str | Path] = ["xorriso", "-report_about", "SORRY", "-iso_rr_pattern", "off"]
    argv += ["-backslash_codes", "encode_output"]
    with tempfile.TemporaryDirectory(prefix="hardpan-iso-report-") as name:
        folder = Path(name)
        try:
            run_limited(
                [*argv, "-indev", iso, *commands],
                limits=_LIMITS,
                timeout_s=_TIMEOUT_S,
                stdout_file=folder / "report",
            )
        except ToolError as e:
            if "is not installed" in str(e):
                raise
            raise InputError(f"{iso}: xorriso cannot read it; is the download complete?") from e
        data = read_bytes(folder, "report", max_bytes=_MAX_REPORT_BYTES)
    return data.decode("utf-8", "replace")


def _require_kind(iso: Path, path: str, kinds: Sequence[str], expected: str) -> None:
    for kind in kinds:
        if kind != expected:
            raise InputError(f"{iso}: {path}: expected {_KINDS[expected]}, got {_KINDS[kind]}")
    if len(kinds) > 1:
        raise InputError(f"{iso}: {path}: expected one, got {len(kinds)}")


def _single_extent(iso: Path, name: str, extents: Sequence[IsoFile]) -> IsoFile:
    """Return the only extent of a file; files read here are short and therefore contiguous."""
    if len(extents) != 1:
        raise InputError(f"{iso}: {name}: expected a file in one piece, got {len(extents)}")
    extent = IsoFile(offset=0, size=0) if not extents[0].size else extents[0]
    _require_inside(iso, extent, iso.stat().st_size, name)
    return extent


def _require_inside(iso: Path, extent: IsoFile, size: int, label: str) -> None:
    if extent.offset + extent.size > size:
        raise InputError(
            f"{iso}: {label}: expected it in the ISO's {size} bytes, got {extent.size} bytes from"
            f" byte {extent.offset} on"
        )


def _require_max_size(iso: Path, extent: IsoFile, label: str, max_bytes: int) -> None:
    if extent.size > max_bytes:
        raise InputError(
            f"{iso}: {label}: too long: expected at most {max_bytes} bytes, got {extent.size}"
        )


def _file_size(iso: Path, path: str) -> int:
    """Return the size of the EFI image's file in bytes; 0 without a path."""
    if not path:
        return 0
    if not _PLAIN_PATH.fullmatch(path):
        raise InputError(f"{iso}: the EFI image: expected a plain path, got {path[:200]!a}")
    files = find_files(iso, [path])
    if path not in files:
        raise InputError(f"{iso}: the EFI image: expected it at {path}, got none")
    return files[path].size


def _efi_size(report: str, start: int, loaded: int) -> int:
    """Return the size of the EFI image in bytes, from its partition or the boot record.

    The boot record's 16-bit sector count is limited to 32 MiB.
    """
    for start_sector, blocks in _PARTITION.findall(report):
        if int(start_sector) * _SECTOR_BYTES == start:
            return int(blocks) * _SECTOR_BYTES
    return loaded
