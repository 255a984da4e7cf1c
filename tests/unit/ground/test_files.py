import os
from pathlib import Path

import pytest

from hardpan.errors import InputError, ResourceError, TrustError
from hardpan.files import (
    atomic_path,
    canonical_json,
    check_sha256,
    need_free,
    sha256_bytes,
    sha256_file,
    write_atomic,
)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x"
    write_atomic(target, "one")
    write_atomic(target, b"two", mode=0o600)

    assert target.read_text() == "two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["x"]


def test_a_file_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []

    def sync(fd: int) -> None:
        seen.append((Path(f"/proc/self/fd/{fd}").readlink().name, (tmp_path / "x").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_atomic(tmp_path / "x", "one")

    assert seen == [("x", False), (tmp_path.name, True)]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_atomic(target, "old")

    def interrupted() -> None:
        with atomic_path(target) as temp:
            temp.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()

    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_path(tmp_path / "d") as temp:
            temp.mkdir()
            (temp / "f").write_text(text)

    assert (tmp_path / "d" / "f").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_what_a_killed_process_left_goes_at_the_next_attempt(tmp_path: Path) -> None:
    left, foreign = tmp_path / ".x.qcow2.abcd1234", tmp_path / ".y.qcow2.abcd1234"
    for room in (left, foreign):
        room.mkdir()
        (room / "x.qcow2").write_bytes(b"half")
        os.utime(room, (0, 0))

    with atomic_path(tmp_path / "x.qcow2") as temp:
        temp.write_bytes(b"whole")

    assert sorted(p.name for p in tmp_path.iterdir()) == [foreign.name, "x.qcow2"]


def test_what_another_attempt_works_on_stays(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x") as first:
        os.utime(first.parent, (0, 0))
        with atomic_path(tmp_path / "x") as second:
            second.write_bytes(b"second")
        first.write_bytes(b"first")

    assert (tmp_path / "x").read_bytes() == b"first"


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    assert sha256_file(tmp_path / "x") == sha256_bytes(b"abc")
    assert sha256_bytes(b"abc").startswith("ba7816bf")


def test_a_wrong_digest_names_file_expected_and_found(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    with pytest.raises(TrustError) as caught:
        check_sha256(tmp_path / "x", "0" * 64)

    assert f"{tmp_path}/x: expected sha256 0000" in str(caught.value)
    assert "found ba7816bf" in str(caught.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        sha256_file(tmp_path / "none")


def test_canonical_json_is_sorted_compact_utf8_without_a_newline() -> None:
    text = canonical_json({"b": [1, 2.5, None, True], "a": "é\n"})

    assert text == b'{"a":"\xc3\xa9\\n","b":[1,2.5,null,true]}'


@pytest.mark.parametrize("odd", [2**53 + 1, 1e21, 1.0, float("nan"), {"é": 1}, {1: 1}, b"x"])
def test_canonical_json_refuses_what_has_no_single_form(odd: object) -> None:
    with pytest.raises(ValueError, match=r"2\*\*53|plain short form|ASCII key|not JSON"):
        canonical_json([odd])


def test_too_little_disk_is_told_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match=r"the disk image needs 999999999 MiB in .*MiB are free"
    ):
        need_free(tmp_path / "not" / "yet", 999_999_999, what="the disk image")
