"""Trees of folders in an ISO that lead nowhere, round in circles, or claim too much."""

from pathlib import Path

import pytest

from hardpan.builder.media import iso9660
from hardpan.builder.media.iso9660 import check_folders
from hardpan.core.errors import InputError
from tests.unit.media.tiny_iso import (
    BLOCK,
    PRIMARY,
    SUPPLEMENTARY,
    VALID_IMAGE,
    both_endian,
    image,
    record,
)


def _write_iso(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.iso"
    path.write_bytes(data)
    return path


def test_valid_trees_are_accepted(tmp_path: Path) -> None:
    assert check_folders(_write_iso(tmp_path, VALID_IMAGE)) is None


def test_files_of_every_tree_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iso9660, "MAX_FILES", 3)

    with pytest.raises(InputError, match="too many files: expected at most 3"):
        check_folders(_write_iso(tmp_path, VALID_IMAGE))


RELOCATED = b"CL\x0c\x01" + both_endian(30)
CONTINUED = b"CE\x1c\x01" + both_endian(40) + both_endian(10) + both_endian(100)
"""More of it in block 40, from byte 10 on."""


def _with_block_40(data: bytes, text: bytes) -> bytes:
    offset = 40 * BLOCK + 10
    return data[:offset] + text + data[offset + len(text) :]


DEEP_FOLDERS = {block: [record(b"D", block + 1)] for block in range(30, 62)}

HOSTILE_TREES: list[tuple[str, bytes, str]] = [
    ("a folder in itself", image({30: [record(b"A", 30)]}, {PRIMARY: 30}),
     "the folder b'A' has two parents or contains itself"),
    ("a circle of three", image({30: [record(b"A", 31)], 31: [record(b"B", 32)],
                                 32: [record(b"C", 30)]}, {PRIMARY: 30}),
     "the folder b'C' has two parents or contains itself"),
    ("a circle among the other names", image({30: [], 35: [record(b"\0A", 35)]},
                                             {PRIMARY: 30, SUPPLEMENTARY: 35}),
     "has two parents or contains itself"),
    ("one folder with many names", image({30: [record(bytes([65 + n]), 31) for n in range(20)],
                                          31: []}, {PRIMARY: 30}),
     "has two parents or contains itself"),
    ("a folder beyond the end", image({30: [record(b"A", 0x7FFFFFFF)]}, {PRIMARY: 30}),
     "in the ISO's 131072, got 2048 from byte 4398046509056 on"),
    ("a folder of 17 MiB", image({30: [record(b"A", 31, 17 << 20)]}, {PRIMARY: 30}),
     "expected at most 16777216 bytes"),
    ("a root beyond the end", image({}, {PRIMARY: 64}), "the folder b'\\x00': expected at most"),
    ("forty deep", image(DEEP_FOLDERS, {PRIMARY: 30}), "expected folders at most 32 deep"),
    ("a folder that was moved into itself",
     image({30: [record(b"A", 50, folder=False, system_use=RELOCATED)]}, {PRIMARY: 30}),
     "b'A' is a relocated folder"),
    ("the same, in a continuation area", _with_block_40(
        image({30: [record(b"A", 50, folder=False, system_use=CONTINUED)]}, {PRIMARY: 30}),
        RELOCATED), "b'A' is a relocated folder"),
    ("a description that goes on for ever", _with_block_40(
        image({30: [record(b"A", 50, folder=False, system_use=CONTINUED)]}, {PRIMARY: 30}),
        CONTINUED), "b'A': expected at most 8 continuation areas"),
    ("a record of 5 bytes", image({30: [b"\5abcd"]}, {PRIMARY: 30}), "is damaged at byte"),
    ("a record across blocks", image({30: [record(b"A" * 200, 50, folder=False)] * 8 + [b"\xff\0"]},
                                      {PRIMARY: 30}), "is damaged at"),
    ("a record across the end", image({30: [record(b"A" * 20, 31, 2048 + 10)],
                                       31: [], 32: []}, {PRIMARY: 30}), "is damaged at"),
    ("many overlapping folders", image({30: [record(bytes([65 + n]), 31 + n, 16 << 20)
                                             for n in range(17)]}, {PRIMARY: 30}, 9000),
     "expected folders of at most 268435456 bytes"),
    ("40 GiB in ten files", image({30: [record(bytes([65 + n]), 31, 0xFFFFF000, folder=False)
                                        for n in range(10)]}, {PRIMARY: 30}),
     "claim more than it has: expected at most 262144 bytes, got 42949632000"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "problem"), [row[1:] for row in HOSTILE_TREES], ids=[row[0] for row in HOSTILE_TREES]
)
def test_hostile_tree_is_rejected(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        check_folders(_write_iso(tmp_path, data))

    assert problem in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("size", [0, 100, 16 * BLOCK, 17 * BLOCK - 1])
def test_image_without_descriptors_is_accepted(tmp_path: Path, size: int) -> None:
    assert check_folders(_write_iso(tmp_path, VALID_IMAGE[:size])) is None
