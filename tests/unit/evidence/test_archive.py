import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, TrustError
from hardpan.scanners.evidence import archive
from hardpan.scanners.evidence.archive import ArchiveEntry, EvidenceArchive, write_archive

FILES = [("b.txt", b"hello"), ("a/c.txt", b"x" * 5000), ("e", b"")]


def _zip(*entries: tuple[str, bytes], **more: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = more.get("method", zipfile.ZIP_DEFLATED)
            info.external_attr = more.get("attr", 0o100644 << 16)
            z.writestr(info, data)
    return out.getvalue()


def _open(tmp_path: Path, data: bytes) -> dict[str, bytes]:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with EvidenceArchive(path) as a:
        return {n: a.read(n, max_bytes=10_000) for n in a.entries}


def test_archive_is_read_by_hardpan_and_zipfile(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", FILES)

    assert _open(tmp_path, (tmp_path / "x.zip").read_bytes()) == dict(FILES)
    with zipfile.ZipFile(tmp_path / "x.zip") as z:
        assert z.testzip() is None
        assert z.namelist() == ["a/c.txt", "b.txt", "e"]
        assert {n: z.read(n) for n in z.namelist()} == dict(FILES)


def test_archive_bytes_are_reproducible(tmp_path: Path) -> None:
    write_archive(tmp_path / "1", FILES)
    write_archive(tmp_path / "2", reversed(FILES))

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


UNSAFE = [
    "../x",
    "/x",
    "a//b",
    "a/../b",
    "a\\b",
    "C:x",
    "",
    ".hidden",
    "a/.ssh",
    "x ",
    "x\n",
    "x\x00y",
    "-rf",
    "a/-rf",
    "evil\u202egpj.exe",
    "é",
    "e\u0301",
    "a/b/c/d/e",
    "x" * 101,
    "a/",
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_archive_rejects_unsafe_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not a safe file name"):
        write_archive(tmp_path / "x.zip", [(name, b"")])

    at = name.encode("utf-8")
    with pytest.raises(TrustError):
        _open(tmp_path, _zip(("q" * max(1, len(at)), b"")).replace(b"q" * max(1, len(at)), at))
    assert not (tmp_path.parent / "x").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "a"), "the same name"),
        (("A", "a"), "differ only in case"),
        (("a", "a/b"), "both a file and a folder"),
        (("A", "a/b"), "both a file and a folder"),
    ],
)
def test_archive_rejects_ambiguous_names(
    tmp_path: Path, names: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_archive(tmp_path / "x.zip", [(n, b"") for n in names])
    with pytest.warns(UserWarning, match="Duplicate") if len(set(names)) == 1 else _quiet():
        data = _zip(*((n, b"") for n in names))
    with pytest.raises(TrustError, match=message):
        _open(tmp_path, data)


class _quiet:  # noqa: N801
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _prefixed(data: bytes) -> bytes:
    return b"#!/bin/sh\n" + data


def _hidden(data: bytes) -> bytes:
    at = data.index(b"PK\1\2")
    end = bytearray(data[:at] + b"hidden" + data[at:])
    struct.pack_into("<I", end, len(end) - 6, at + 6)
    return bytes(end)


def _local_name(data: bytes) -> bytes:
    return data.replace(b"b.txt", b"z.txt", 1)


def _commented(data: bytes) -> bytes:
    return data[:-2] + b"\2\0hi"


def _encrypted(data: bytes) -> bytes:
    return data.replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0", 1)


def _count(data: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<HH", changed, len(data) - 14, 9, 9)
    return bytes(changed)


def _padded(data: bytes) -> bytes:
    changed = bytearray(data[:-22] + b"more" + data[-22:])
    length = struct.unpack_from("<I", data, len(data) - 10)[0]
    struct.pack_into("<I", changed, len(changed) - 10, length + 4)
    return bytes(changed)


def _overlap(data: bytes) -> bytes:
    changed = bytearray(data)
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<I", changed, second + 42, 0)
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_prefixed, "end record is not as hardpan writes it"),
        (_hidden, "belong to no file"),
        (_local_name, "headers of the archive disagree"),
        (_commented, "not an evidence archive"),
        (_encrypted, "not as hardpan writes it"),
        (_count, "is cut short"),
        (_padded, "directory contains more than it declares"),
        (_overlap, "headers of the archive disagree"),
        (lambda d: d + b"\0", "not an evidence archive"),
        (lambda d: b"", "not an evidence archive"),
        (lambda d: b"PK\5\6", "not an evidence archive"),
        (lambda d: b"PK\5\6" + b"\xff" * 18, "end record"),
        (lambda d: d[:-2] + b"\1\0", "end record"),
    ],
)
def test_archive_rejects_other_zip_layouts(
    tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    data = _zip(("a.txt", b"x"), ("b.txt", b"hello"))
    assert _open(tmp_path, data)

    with pytest.raises(TrustError, match=message):
        _open(tmp_path, change(data))


@pytest.mark.parametrize(
    "attr",
    [0o120777 << 16, 0o040755 << 16, 0o010644 << 16, 0o100755 << 16, 0o104644 << 16, 0x10],
    ids=["symlink", "folder", "fifo", "executable", "setuid", "DOS folder"],
)
def test_archive_rejects_special_files(tmp_path: Path, attr: int) -> None:
    with pytest.raises(TrustError, match="a link, folder, or not as hardpan writes it"):
        _open(tmp_path, _zip(("a", b"/etc/passwd"), attr=attr))


def test_archive_rejects_other_compression_methods(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="not as hardpan writes it"):
        _open(tmp_path, _zip(("a", b"x"), method=zipfile.ZIP_STORED))


def test_zip_bomb_is_rejected_before_decompression(tmp_path: Path) -> None:
    bomb = _zip(("a", b"\0" * (64 << 20)))
    start = time.monotonic()

    with pytest.raises(TrustError, match="unpacks to more than 200 times its size"):
        _open(tmp_path, bomb)
    assert time.monotonic() - start < 1


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _announcing(packed: bytes, size: int, crc: int) -> bytes:
    """Return an archive of one file ``a`` whose headers all contain ``size`` and ``crc``."""
    entry = ArchiveEntry(name="a", size=size, compressed_size=len(packed), crc=crc, offset=0)
    at = len(entry.build_local_header()) + len(packed)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(entry.build_central_header()), at, 0)
    return entry.build_local_header() + packed + entry.build_central_header() + end


def test_zip_bomb_with_false_size_stops_at_declared_size(tmp_path: Path) -> None:
    data = b"\0" * (64 << 20)

    with pytest.raises(TrustError, match="data does not match its header"):
        _open(tmp_path, _announcing(_deflated(data), 1000, zlib.crc32(data)))


@pytest.mark.parametrize(
    ("cut", "more", "size", "crc"),
    [(0, b"x", 5, 0), (1, b"", 5, 0), (0, b"", 6, 0), (0, b"", 4, 0), (0, b"", 5, 1)],
    ids=["bytes after the end", "cut short", "too long", "too short", "another checksum"],
)
def test_archive_rejects_data_that_contradicts_its_header(
    tmp_path: Path, cut: int, more: bytes, size: int, crc: int
) -> None:
    packed, right = _deflated(b"hello"), zlib.crc32(b"hello")
    assert _open(tmp_path, _announcing(packed, 5, right)) == {"a": b"hello"}

    changed = packed[: len(packed) - cut] + more
    with pytest.raises(TrustError, match="a: damaged: data does not match its header"):
        _open(tmp_path, _announcing(changed, size, right ^ crc))


def test_archive_names_entry_with_invalid_deflate_data(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", [("a", b"hello")])
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[31] = 0xFF  # after the header of 30 bytes and the name: block type 3, which there is not

    with pytest.raises(TrustError, match="a: damaged: cannot be unpacked"):
        _open(tmp_path, bytes(data))


def test_archive_rejects_unsorted_files(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="not in order of their names"):
        _open(tmp_path, _zip(("b", b""), ("a", b"")))


def test_archive_enforces_count_and_size_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="at most 256 files, got 257"):
        write_archive(tmp_path / "x.zip", [(f"f{i:03}", b"") for i in range(257)])
    many = _zip(*((f"f{i:03}", b"x") for i in range(archive.MAX_FILES + 1)))
    with pytest.raises(TrustError, match="end record"):
        _open(tmp_path, many)
    for name, message in (
        ("MAX_FILE_BYTES", "expected at most 4 bytes, got 5"),
        ("MAX_TOTAL_BYTES", "unpacks to more than 4 bytes"),
        ("MAX_ARCHIVE_BYTES", "expected at most 4 bytes"),
    ):
        with monkeypatch.context() as m:
            m.setattr(archive, name, 4)
            with pytest.raises(TrustError, match=message):
                _open(tmp_path, _zip(("a", b"12345")))


def test_archive_read_enforces_max_bytes(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", FILES)

    with (
        EvidenceArchive(tmp_path / "x.zip") as a,
        pytest.raises(TrustError, match="at most 4 bytes"),
    ):
        a.read("b.txt", max_bytes=4)


def test_missing_archive_raises_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        EvidenceArchive(tmp_path / "no.zip")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        EvidenceArchive(tmp_path)


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_archive(tmp_path / "x.zip", [("a", b"\0" * (64 << 20))])

    assert list(tmp_path.iterdir()) == []
