"""Facts and files of an install ISO, read from the ISO itself; nothing that it says is believed.

Nothing is extracted, for an extracted link, device or mode acts on this machine: xorriso only
lists what a name is and where its bytes are, and they are read from the ISO there. xorriso itself
runs with limits, since a few bytes of an ISO can claim any size, depth or number of files.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hardpan.builder.media.iso9660 import BLOCK_SIZE, MAX_DEPTH, check_folders
from hardpan.errors import InputError, ToolError
from hardpan.extracted_files import open_named_file, read_bytes
from hardpan.limited_process import ProcessLimits, run_limited

MAX_ISO_BYTES = 32 << 30
"""Rocky Linux's largest, the DVD of release 9, has 12 GiB."""

MAX_FILE_BYTES = 256 << 20
"""Of one file that is read from an ISO; an EFI image has some 10 MiB, a kernel 15."""

MAX_PATH_LENGTH = 1024
"""Characters of a name as xorriso lists it, from the root."""

XORRISO_MEMORY_BYTES = 2 << 30
_MAX_REPORT_BYTES = 64 << 20
_LIMITS = ProcessLimits(
    # It lists Rocky Linux's DVD in less than a second.
    cpu_s=30,
    file_bytes=_MAX_REPORT_BYTES,
    memory_bytes=XORRISO_MEMORY_BYTES,
)
_TIMEOUT_S = 120
_BOOT_IMAGE = re.compile(r"^El Torito boot img :\s+(\d+)\s+(BIOS|UEFI)\s+(.*)$", re.MULTILINE)
_BOOT_PATH = re.compile(r"^El Torito img path :\s+(\d+)\s+(/.*)$", re.MULTILINE)
_LISTED = re.compile(r"^([dlbcps-])\S{9,10}\s+\d+\s+\S+\s+\S+\s+(\d+)[^']*'(/[^']*)'", re.MULTILINE)
_EXTENT = re.compile(
    r"^File data lba:\s*\d+\s*,\s*(\d+)\s*,\s*\d+\s*,\s*(\d+)\s*,\s*'(/[^']*)'$", re.MULTILINE
)
_LOAD = re.compile(r"\s(\d{1,9})\s+(\d{1,10})$")
_PARTITION = re.compile(
    r"^GPT start and size\s*:\s*\d+\s+(\d{1,12})\s+(\d{1,12})\s*$", re.MULTILINE
)
_SYSTEM_AREA = re.compile(r"^System area summary:\s*(.*?)\s*$", re.MULTILINE)
_LABEL = re.compile(r"^Volume Id\s*:\s*(.*?)\s*$", re.MULTILINE)
# xorriso writes every other character with a backslash.
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
_NEVER_ON_MEDIA = "bcps"
_DESCRIPTOR = 16 * BLOCK_SIZE
_SECTOR = 512
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoFile:
    """Where the bytes of a file are."""

    offset: int
    """From the start of the ISO, in bytes."""

    size: int
    """In bytes."""


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
        InputError: missing, truncated, no ISO 9660 image, not bootable by UEFI, or one that claims
            an impossible size, label or place of its EFI image.
    """
    size = check_whole(iso)
    check_folders(iso)
    commands = ["-report_el_torito", "plain", "-report_system_area", "plain", "-pvd_info"]
    report = _report(iso, commands)
    records = _BOOT_IMAGE.findall(report)
    label = _LABEL.search(report)
    uefi = [(n, rest) for n, kind, rest in records if kind == "UEFI"]
    if label is None or not uefi:
        raise InputError(f"{iso}: expected an install ISO that boots by UEFI, found none")
    if not _PRINTABLE_LABEL.fullmatch(label[1]):
        raise InputError(
            f"{iso}: volume label: expected 1 to 32 printable ASCII characters, got {label[1]!a}"
        )
    uefi_at, told = uefi[0]
    load = _LOAD.search(told)
    if load is None:
        raise InputError(f"{iso}: the UEFI boot record tells no place")
    start = int(load[2]) * BLOCK_SIZE
    path = dict(_BOOT_PATH.findall(report)).get(uefi_at, "")
    efi_size = _file_size(iso, path) or _efi_size(report, start, int(load[1]) * _SECTOR)
    efi = IsoFile(offset=start, size=efi_size)
    _require_inside(iso, efi, size, "the EFI image")
    _require_short(iso, efi, "the EFI image", MAX_FILE_BYTES)
    return Facts(
        volume_id=label[1],
        boot_records=tuple(kind for _, kind, _ in records),
        system_area="".join(_SYSTEM_AREA.findall(report)),
        efi_path=path,
        efi_offset=start,
        efi_size=efi_size,
    )


def check_names(iso: Path) -> None:
    """Pass if all names on the ISO, as Rock Ridge has them, are short and of files or folders.

    Raises:
        InputError: they are not.
    """
    # One level more than is allowed, so that it is seen.
    report = _report(iso, ["-find", "/", "-maxdepth", str(MAX_DEPTH + 1), "-exec", "lsdl", "--"])
    for kind, _, path in _LISTED.findall(report):
        if kind in _NEVER_ON_MEDIA:
            raise InputError(f"{iso}: {path[:200]!a}: expected a file, got {_KINDS[kind]}")
        if path.count("/") > MAX_DEPTH or len(path) > MAX_PATH_LENGTH:
            raise InputError(
                f"{iso}: a name is too long: expected at most {MAX_DEPTH} parts and"
                f" {MAX_PATH_LENGTH} characters, got {path.count('/')} and {len(path)}"
            )


def find_files(iso: Path, names: Iterable[str]) -> dict[str, IsoFile]:
    """Those of ``names`` (paths in the ISO) that there are, and where.

    Raises:
        InputError: one of them is no regular file, lies below something that is no folder, or
            claims bytes that the ISO does not have.
    """
    wanted = list(names)
    folders = {str(p) for n in wanted for p in PurePosixPath(n).parents} - {"/"}
    commands: list[str] = []
    for path in (*sorted(folders), *wanted):
        commands += ["-find", path, "-maxdepth", "0", "-exec", "lsdl", "--"]
    for path in wanted:
        commands += ["-find", path, "-maxdepth", "0", "-type", "f", "-exec", "report_lba", "--"]
    # A name that is not there is an answer, not an error.
    tolerant = ["-abort_on", "FATAL", "-return_with", "FATAL", "32"]
    report = _report(iso, [*tolerant, *commands])
    kinds: dict[str, list[str]] = {}
    for kind, _, path in _LISTED.findall(report):
        kinds.setdefault(path, []).append(kind)
    extents: dict[str, list[IsoFile]] = {}
    for block, size, path in _EXTENT.findall(report):
        place = IsoFile(offset=int(block) * BLOCK_SIZE, size=int(size))
        extents.setdefault(path, []).append(place)
    for path in sorted(folders):
        _require_kind(iso, path, kinds.get(path, []), "d")
    for path in wanted:
        _require_kind(iso, path, kinds.get(path, []), "-")
    return {n: _only_extent(iso, n, extents.get(n, [])) for n in wanted if n in kinds}


def extract(iso: Path, names: dict[str, Path]) -> None:
    """Copy files (path in the ISO -> new file) out of it.

    Raises:
        InputError: one is not there, is no regular file, or is too long; or there is something
            where the copy is to be written.
    """
    found = find_files(iso, names)
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"{iso}: expected {', '.join(missing)} on it, found none")
    for inside, outside in names.items():
        copy_bytes(iso, found[inside], outside)


def exists(iso: Path, name: str) -> bool:
    """True when the ISO has the file ``name``.

    Raises:
        InputError: it is something else than a file.
    """
    return name in find_files(iso, [name])


def copy_bytes(iso: Path, place: IsoFile, to: Path, *, max_bytes: int = MAX_FILE_BYTES) -> None:
    """Copy a part of the ISO to a new file.

    Raises:
        InputError: the part is too long or not there, or ``to`` is there already.
    """
    _require_short(iso, place, to.name, max_bytes)
    left = place.size
    try:
        with open_named_file(iso) as source, to.open("xb") as sink:
            source.seek(place.offset)
            while left and (chunk := source.read(min(left, _CHUNK))):
                sink.write(chunk)
                left -= len(chunk)
    except OSError as e:
        raise InputError(f"{iso}: cannot be copied to {to}: {e.strerror}") from e
    if left:
        raise InputError(f"{iso}: expected {left} bytes more, found its end")


def check_whole(iso: Path) -> int:
    """The size of the file, if it is an ISO 9660 image and as long as it says of itself.

    Raises:
        InputError: it cannot be read, is something else, is truncated, or too large.
    """
    try:
        with open_named_file(iso) as f:
            size = iso.stat().st_size
            table = f.read(2 * _SECTOR)[_SECTOR:]
            f.seek(_DESCRIPTOR)
            descriptor = f.read(BLOCK_SIZE)
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e
    if size > MAX_ISO_BYTES:
        raise InputError(f"{iso}: too large: expected at most {MAX_ISO_BYTES} bytes, got {size}")
    if descriptor[:6] != b"\x01CD001":
        raise InputError(f"{iso}: expected an ISO 9660 image, found something else")
    # ECMA-119 8.4.8: blocks of the volume, little-endian first; UEFI 2.10 table 5.5: the
    # partition table's copy is the last thing on the disk.
    least = int.from_bytes(descriptor[80:84], "little") * BLOCK_SIZE
    if table[:8] == b"EFI PART":
        least = max(least, (int.from_bytes(table[32:40], "little") + 1) * _SECTOR)
    if size < least:
        raise InputError(
            f"{iso}: expected {least} bytes, found {size}: the ISO is truncated",
            hint="download it again",
        )
    return size


def _report(iso: Path, commands: Sequence[str]) -> str:
    """What xorriso prints about ``iso``; it is a program that may meet anything in there."""
    # Names are names, not patterns, and a line break in one is no line break of the report. The
    # many warnings about a damaged tree are not printed.
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
        raise InputError(f"{iso}: {path}: expected one, found {len(kinds)}")


def _only_extent(iso: Path, name: str, extents: Sequence[IsoFile]) -> IsoFile:
    """A file that is read here is short, so it is in one piece."""
    if len(extents) != 1:
        raise InputError(f"{iso}: {name}: expected a file in one piece, found {len(extents)}")
    place = IsoFile(offset=0, size=0) if not extents[0].size else extents[0]
    _require_inside(iso, place, iso.stat().st_size, name)
    return place


def _require_inside(iso: Path, place: IsoFile, size: int, what: str) -> None:
    if place.offset + place.size > size:
        raise InputError(
            f"{iso}: {what}: expected it in the ISO's {size} bytes, got {place.size} bytes from"
            f" byte {place.offset} on"
        )


def _require_short(iso: Path, place: IsoFile, what: str, max_bytes: int) -> None:
    if place.size > max_bytes:
        raise InputError(
            f"{iso}: {what}: too long: expected at most {max_bytes} bytes, got {place.size}"
        )


def _file_size(iso: Path, path: str) -> int:
    """Size of the EFI image's file in the ISO, in bytes; 0 without a path."""
    if not path:
        return 0
    if not _PLAIN_PATH.fullmatch(path):
        raise InputError(f"{iso}: the EFI image: expected a plain path, got {path[:200]!a}")
    found = find_files(iso, [path])
    if path not in found:
        raise InputError(f"{iso}: the EFI image: expected it at {path}, found none")
    return found[path].size


def _efi_size(report: str, start: int, loaded: int) -> int:
    """Size of the EFI image in bytes: its partition's, or what the boot record loads.

    The boot record counts in 16 bits and so ends at 32 MiB.
    """
    for place, blocks in _PARTITION.findall(report):
        if int(place) * _SECTOR == start:
            return int(blocks) * _SECTOR
    return loaded
