"""Check the folder tree of an ISO 9660 image before xorriso reads it.

A folder that contains itself makes xorriso loop, and lengths in directory records are untrusted.

Sources: ECMA-119 8.4 (volume descriptors), 8.5.6 (escape sequences, which Joliet defines) and 9.1
(directory records); SUSP 5.1 (CE: continuation area) and RRIP 4.1.5.1 (CL: relocated folder) for
Rock Ridge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.extracted_files import open_named_file

MAX_FILES = 200_000
"""Files and folders of an ISO; Rocky Linux's DVD has about 8,000."""

MAX_DEPTH = 32
MAX_FOLDER_BYTES = 16 << 20
"""Records of one folder; the longest on the DVD has about 500 KiB."""

MAX_ALL_FOLDERS_BYTES = 256 << 20
"""Records of all folders of a tree."""

BLOCK_SIZE = 2048
_FIRST_DESCRIPTOR = 16
_MAX_DESCRIPTORS = 64
_TREE_DESCRIPTORS = (1, 2)
_END_DESCRIPTOR = 255
_ROOT_RECORD_OFFSET = 156
_ESCAPE_OFFSET = 88
_JOLIET_ESCAPES = (b"%/@", b"%/C", b"%/E")
_MIN_RECORD_BYTES = 34
_FOLDER_FLAG = 0x02
_SELF_AND_PARENT = (b"\0", b"\1")
_RELOCATED, _CONTINUED = b"CL\x0c\x01", b"CE\x1c\x01"
_MAX_CONTINUATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRecord:
    """A directory record."""

    name: bytes
    block: int
    size: int
    """Declared size in bytes."""

    is_folder: bool

    system_use: bytes
    """System use field, with Rock Ridge entries."""


def check_folders(iso: Path) -> None:
    """Check the ISO's trees, the primary one and others such as Joliet's.

    Raises:
        InputError: a folder is damaged, outside of the ISO or contains itself, or a limit on
            files, depth or size is exceeded.
    """
    try:
        with open_named_file(iso) as file:
            for root in _read_roots(file):
                _check_tree(iso, file, root)
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e


def has_joliet(iso: Path) -> bool:
    """Return whether the ISO has a Joliet tree, which Windows shows.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open_named_file(iso) as file:
            return any(
                descriptor[_ESCAPE_OFFSET : _ESCAPE_OFFSET + 3] in _JOLIET_ESCAPES
                for descriptor in _read_descriptors(file)
            )
    except OSError as e:
        raise InputError(f"{iso}: cannot be read: {e.strerror}") from e


def _read_roots(file: BufferedReader) -> Iterator[DirectoryRecord]:
    for descriptor in _read_descriptors(file):
        yield _parse_record(descriptor[_ROOT_RECORD_OFFSET:])


def _read_descriptors(file: BufferedReader) -> Iterator[bytes]:
    """Yield the volume descriptors that have a tree."""
    for number in range(_MAX_DESCRIPTORS):
        file.seek((_FIRST_DESCRIPTOR + number) * BLOCK_SIZE)
        descriptor = file.read(BLOCK_SIZE)
        if len(descriptor) < BLOCK_SIZE or descriptor[0] == _END_DESCRIPTOR:
            return
        if descriptor[0] in _TREE_DESCRIPTORS:
            yield descriptor


def _check_tree(iso: Path, file: BufferedReader, root: DirectoryRecord) -> None:
    iso_size = iso.stat().st_size
    visited_blocks = {root.block}
    file_count = total_bytes = folder_bytes = 0
    folders = [(root, 1)]
    while folders:
        folder, depth = folders.pop()
        folder_bytes += folder.size
        if folder_bytes > MAX_ALL_FOLDERS_BYTES:
            raise InputError(
                f"{iso}: expected folders of at most {MAX_ALL_FOLDERS_BYTES} bytes, got more"
            )
        for record in _read_records(iso, file, folder, iso_size):
            file_count += 1
            if file_count > MAX_FILES:
                raise InputError(f"{iso}: too many files: expected at most {MAX_FILES}")
            _require_no_relocation(iso, file, record)
            if not record.is_folder:
                total_bytes += record.size
                continue
            if record.block in visited_blocks:
                raise InputError(
                    f"{iso}: the folder {record.name!a} has two parents or contains itself"
                )
            if depth >= MAX_DEPTH:
                raise InputError(f"{iso}: expected folders at most {MAX_DEPTH} deep, got more")
            visited_blocks.add(record.block)
            folders.append((record, depth + 1))
    # Files may share bytes: the EFI image is in two trees.
    if total_bytes > 2 * iso_size:
        raise InputError(
            f"{iso}: its files claim more than it has: expected at most {2 * iso_size} bytes,"
            f" got {total_bytes}"
        )


def _require_no_relocation(iso: Path, file: BufferedReader, record: DirectoryRecord) -> None:
    """Reject folders relocated by Rock Ridge; install media need none."""
    data = record.system_use
    for _ in range(_MAX_CONTINUATIONS):
        if _RELOCATED in data:
            raise InputError(f"{iso}: {record.name!a} is a relocated folder, expected none")
        position = data.rfind(_CONTINUED)
        if position < 0 or position + 28 > len(data):
            return
        block, offset, size = (
            int.from_bytes(data[position + n : position + n + 4], "little") for n in (4, 12, 20)
        )
        file.seek(block * BLOCK_SIZE + offset)
        data = file.read(min(size, BLOCK_SIZE))
    raise InputError(
        f"{iso}: {record.name!a}: expected at most {_MAX_CONTINUATIONS} continuation areas,"
        " got more"
    )


def _read_records(
    iso: Path, file: BufferedReader, folder: DirectoryRecord, iso_size: int
) -> Iterator[DirectoryRecord]:
    start = folder.block * BLOCK_SIZE
    if folder.size > MAX_FOLDER_BYTES or start + folder.size > iso_size:
        raise InputError(
            f"{iso}: the folder {folder.name!a}: expected at most {MAX_FOLDER_BYTES} bytes in the"
            f" ISO's {iso_size}, got {folder.size} from byte {start} on"
        )
    file.seek(start)
    data = file.read(folder.size)
    position = 0
    while position < len(data):
        length = data[position]
        if length == 0:  # no record crosses the end of a block
            position += BLOCK_SIZE - position % BLOCK_SIZE
            continue
        end = min(len(data), position + BLOCK_SIZE - position % BLOCK_SIZE)
        if length < _MIN_RECORD_BYTES or position + length > end:
            raise InputError(
                f"{iso}: the folder {folder.name!a} is damaged at byte {start + position}"
            )
        record = _parse_record(data[position : position + length])
        if record.name not in _SELF_AND_PARENT:
            yield record
        position += length


def _parse_record(data: bytes) -> DirectoryRecord:
    return DirectoryRecord(
        name=data[33 : 33 + data[32]],
        block=int.from_bytes(data[2:6], "little"),
        size=int.from_bytes(data[10:14], "little"),
        is_folder=bool(data[25] & _FOLDER_FLAG),
        system_use=data[33 + data[32] :],
    )
