import os
from pathlib import Path

import pytest
import rfc8785

from hardpan.core.errors import InputError, ResourceError, TrustError
from hardpan.core.files import (
    atomic_path,
    canonical_json,
    check_sha256,
    require_free_space,
    sha256_bytes,
    sha256_file,
    write_atomic,
)


def test_write_atomic_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x"
    write_atomic(target, "one")
    write_atomic(target, b"two", mode=0o600)

    assert target.read_text() == "two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["x"]


def test_write_atomic_syncs_before_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []

    def record_sync(descriptor: int) -> None:
        synced.append(
            (Path(f"/proc/self/fd/{descriptor}").readlink().name, (tmp_path / "x").exists())
        )

    monkeypatch.setattr(os, "fsync", record_sync)
    write_atomic(tmp_path / "x", "one")

    assert synced == [("x", False), (tmp_path.name, True)]


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_atomic(target, "old")

    def write_half() -> None:
        with atomic_path(target) as temp:
            temp.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()

    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_atomic_path_replaces_a_folder(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_path(tmp_path / "d") as temp:
            temp.mkdir()
            (temp / "f").write_text(text)

    assert (tmp_path / "d" / "f").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_stale_temporary_folder_is_removed(tmp_path: Path) -> None:
    stale, unrelated = tmp_path / ".x.qcow2.abcd1234", tmp_path / ".y.qcow2.abcd1234"
    for folder in (stale, unrelated):
        folder.mkdir()
        (folder / "x.qcow2").write_bytes(b"half")
        os.utime(folder, (0, 0))

    with atomic_path(tmp_path / "x.qcow2") as temp:
        temp.write_bytes(b"whole")

    assert sorted(p.name for p in tmp_path.iterdir()) == [unrelated.name, "x.qcow2"]


def test_locked_temporary_folder_is_not_removed(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x") as first:
        os.utime(first.parent, (0, 0))
        with atomic_path(tmp_path / "x") as second:
            second.write_bytes(b"second")
        first.write_bytes(b"first")

    assert (tmp_path / "x").read_bytes() == b"first"


def test_sha256_file_equals_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    assert sha256_file(tmp_path / "x") == sha256_bytes(b"abc")
    assert sha256_bytes(b"abc").startswith("ba7816bf")


def test_digest_mismatch_reports_expected_and_actual(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    with pytest.raises(TrustError) as caught:
        check_sha256(tmp_path / "x", "0" * 64)

    assert f"{tmp_path}/x: expected sha256 0000" in str(caught.value)
    assert "got ba7816bf" in str(caught.value)


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        sha256_file(tmp_path / "none")


def test_canonical_json_is_sorted_compact_utf8_without_a_newline() -> None:
    text = canonical_json({"b": [1, 2.5, None, True], "a": "é\n"})

    assert text == b'{"a":"\xc3\xa9\\n","b":[1,2.5,null,true]}'


@pytest.mark.parametrize("value", [2**53 + 1, 1e21, 1.0, float("nan"), {"é": 1}, {1: 1}, b"x"])
def test_canonical_json_rejects_ambiguous_values(value: object) -> None:
    with pytest.raises(ValueError, match=r"2\*\*53|plain short form|ASCII key|not JSON"):
        canonical_json([value])


def test_require_free_space_reports_required_and_free(tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match=r"the disk image needs 999999999 MiB in .*MiB are free"
    ):
        require_free_space(tmp_path / "not" / "yet", 999_999_999, purpose="the disk image")


@pytest.mark.parametrize(
    "value",
    [
        {"b": [1, 2.5, None, True], "a": "é\n", "": {}},
        ["\u2028", "\x00\x1f\x7f", "\U0001f600", 2**53 - 1, 1 - 2**53, 0, 0.1, 1e-5 * 10],
    ],
)
def test_canonical_json_equals_the_reference_implementation(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)
