"""An ISO is read once; its record counts while the file system describes the same file."""

import hashlib
import os
from pathlib import Path

import pytest

from hardpan.builder.media.recorded_digest import find_digest, read_digest

DIGEST = hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    path = tmp_path / "x.iso"
    path.write_bytes(b"content")
    return path


def test_unchanged_file_is_read_once(
    tmp_path: Path, iso: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    assert find_digest(iso, cache) is None

    assert read_digest(iso, cache) == DIGEST
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert find_digest(iso, cache) == DIGEST
    assert read_digest(iso, cache) == DIGEST


def test_changed_file_is_read_again(tmp_path: Path, iso: Path) -> None:
    """The size and the time of the last change of its content are as before."""
    read_digest(iso, tmp_path / "cache")
    status = iso.stat()
    iso.write_bytes(b"CONTENT")
    os.utime(iso, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert find_digest(iso, tmp_path / "cache") is None
    assert read_digest(iso, tmp_path / "cache") == hashlib.sha256(b"CONTENT").hexdigest()


def test_replaced_file_is_read_again(tmp_path: Path, iso: Path) -> None:
    read_digest(iso, tmp_path / "cache")
    (tmp_path / "new").write_bytes(b"content")
    (tmp_path / "new").replace(iso)

    assert find_digest(iso, tmp_path / "cache") is None


def test_each_file_has_a_record(tmp_path: Path, iso: Path) -> None:
    other = tmp_path / "y.iso"
    other.write_bytes(b"other")
    for path in (iso, other):
        read_digest(path, tmp_path / "cache")

    assert find_digest(iso, tmp_path / "cache") == DIGEST
    assert find_digest(other, tmp_path / "cache") == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 1}'])
def test_damaged_record_does_not_count(tmp_path: Path, iso: Path, content: str) -> None:
    read_digest(iso, tmp_path / "cache")
    (record,) = (tmp_path / "cache").rglob("*.json")
    record.write_text(content)

    assert find_digest(iso, tmp_path / "cache") is None
    assert read_digest(iso, tmp_path / "cache") == DIGEST
