"""The header of a qcow2 image."""

import os
import struct
from pathlib import Path

import pytest

from hardpan.builder.vm.qcow2_header import read_backing_path, require_self_contained
from hardpan.core.errors import InputError


def _header(*, version: int = 3, backing_offset: int = 0, features: int = 0) -> bytes:
    start = struct.pack(">4sIQI", b"QFI\xfb", version, backing_offset, 11 if backing_offset else 0)
    return start.ljust(72, b"\0") + struct.pack(">Q", features).ljust(32, b"\0")


@pytest.mark.parametrize(
    "header",
    [
        _header(),
        _header(version=2),
        # Dirty bit and compression type.
        _header(features=0b1001),
        # Version 2 has no feature bits at this place.
        _header(version=2, features=1 << 2),
    ],
)
def test_self_contained_image_is_accepted(tmp_path: Path, header: bytes) -> None:
    image = tmp_path / "x.qcow2"
    image.write_bytes(header)

    require_self_contained(image)

    image.write_bytes(header[:15] + b"\1" + header[16:])
    with pytest.raises(InputError, match="names another file"):
        require_self_contained(image)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (_header(backing_offset=200), "names another file"),
        (_header(version=2, backing_offset=200), "names another file"),
        (_header(features=1 << 2), "names another file"),
        (_header(features=0b101), "names another file"),
        (_header(version=4), "expected qcow2 version 2 or 3, got 4"),
        (b"QFI\xfb", "not a qcow2 image"),
        (b"\0" * 512, "not a qcow2 image"),
        (b"", "not a qcow2 image"),
    ],
)
def test_other_image_is_refused(tmp_path: Path, header: bytes, message: str) -> None:
    image = tmp_path / "x.qcow2"
    image.write_bytes(header)

    with pytest.raises(InputError, match=message):
        require_self_contained(image)


def test_unreadable_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        require_self_contained(tmp_path)


def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match="expected a regular file, got a pipe"):
        require_self_contained(tmp_path / "pipe")


def test_backing_path_is_relative_to_the_image(tmp_path: Path) -> None:
    name = b"../base.qcow2"
    header = struct.pack(">4sIQI", b"QFI\xfb", 3, 104, len(name)).ljust(104, b"\0")
    image = tmp_path / "layer" / "x.qcow2"
    image.parent.mkdir()
    image.write_bytes(header + name + b"rest")

    assert read_backing_path(image) == tmp_path / "base.qcow2"
    image.write_bytes(_header())
    assert read_backing_path(image) is None


@pytest.mark.parametrize(
    ("size", "name", "message"),
    [
        (13, b"../base", "damaged"),
        (1024, b"x" * 1024, "damaged"),
        (3, b"a\0b", "damaged"),
        (0, b"", "damaged"),
    ],
)
def test_damaged_backing_name_is_refused(
    tmp_path: Path, size: int, name: bytes, message: str
) -> None:
    image = tmp_path / "x.qcow2"
    image.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 104, size).ljust(104, b"\0") + name)

    with pytest.raises(InputError, match=message):
        read_backing_path(image)
