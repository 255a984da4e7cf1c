"""Folders that foreign data filled: what is no plain file in them is never read or changed."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.core.extracted_files import (
    MissingFileError,
    TreeLimits,
    check_tree,
    create_file,
    open_named_file,
    open_regular_file,
    read_bytes,
)
from hardpan.core.limits import MAX_PATH_BYTES, MAX_PATH_DEPTH

LIMITS = TreeLimits(max_files=10, max_total_bytes=100, max_depth=3, max_path_bytes=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file in it, and outside of it a secret."""
    extracted = tmp_path / "extracted"
    (extracted / "inner").mkdir(parents=True)
    (extracted / "inner/file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "secret").chmod(0o600)
    return extracted


NON_REGULAR_FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a link out of the folder", lambda f: (f / "x").symlink_to("../secret"), "a symbolic link"),
    ("an absolute link", lambda f: (f / "x").symlink_to("/etc/passwd"), "a symbolic link"),
    ("a link to a file inside", lambda f: (f / "x").symlink_to("inner/file"), "a symbolic link"),
    ("a link to itself", lambda f: (f / "x").symlink_to("x"), "a symbolic link"),
    ("a link to nothing", lambda f: (f / "x").symlink_to("nowhere"), "a symbolic link"),
    ("a hard link", lambda f: os.link(f.parent / "secret", f / "x"), "2 hard links"),
    ("a folder", lambda f: (f / "x").mkdir(), "a folder"),
    ("a pipe", lambda f: os.mkfifo(f / "x"), "a pipe"),
    ("a socket", lambda f: os.mknod(f / "x", stat.S_IFSOCK | 0o600), "a socket"),
]


@pytest.mark.parametrize(
    ("create_entry", "kind"),
    [row[1:] for row in NON_REGULAR_FILES],
    ids=[row[0] for row in NON_REGULAR_FILES],
)
def test_only_a_regular_file_is_opened(
    folder: Path, create_entry: Callable[[Path], object], kind: str
) -> None:
    create_entry(folder)

    with pytest.raises(InputError) as caught:
        read_bytes(folder, "x", max_bytes=100)

    assert f"got {kind}" in str(caught.value)
    assert (folder.parent / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["/etc", "..", ".", "inner", "x"])
def test_linked_parent_folder_is_not_followed(folder: Path, target: str) -> None:
    (folder / "x").symlink_to(target)

    with pytest.raises(InputError, match="expected a folder, got a symbolic link"):
        read_bytes(folder, "x/passwd", max_bytes=10_000)


def test_file_as_parent_folder_is_rejected(folder: Path) -> None:
    with pytest.raises(InputError, match="'file' in it: expected a folder, got a regular file"):
        read_bytes(folder, "inner/file/more", max_bytes=100)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "/", "../secret", "inner/../../secret", "/etc/passwd", "inner//file"),
        *("inner/./file", "inner/", "a\0b", "\ud800"),
    ],
)
def test_name_outside_the_folder_is_rejected(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected the name of a file inside it"):
        read_bytes(folder, name, max_bytes=100)


@pytest.mark.parametrize("name", ["a/" * MAX_PATH_DEPTH + "a", "b" * (MAX_PATH_BYTES + 1)])
def test_overlong_name_is_rejected(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="a name is too long"):
        read_bytes(folder, name, max_bytes=100)


def test_name_too_long_for_file_system_is_an_input_error(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        read_bytes(folder, "c" * 300, max_bytes=100)


def test_missing_file_has_a_distinct_error(folder: Path) -> None:
    for name in ("none", "none/file", "inner/none"):
        with pytest.raises(MissingFileError, match="no such file"):
            read_bytes(folder, name, max_bytes=100)


def test_file_is_read_up_to_its_limit(folder: Path) -> None:
    assert read_bytes(folder, "inner/file", max_bytes=7) == b"content"
    with pytest.raises(InputError, match="too long: expected at most 6 bytes, got 7"):
        read_bytes(folder, "inner/file", max_bytes=6)


def test_sparse_file_is_rejected_by_length(folder: Path) -> None:
    os.truncate(folder / "inner/file", 40 << 30)

    with pytest.raises(InputError, match="too long: expected at most 100 bytes, got 42949672960"):
        read_bytes(folder, "inner/file", max_bytes=100)


def test_hard_links_can_be_allowed(folder: Path) -> None:
    os.link(folder / "inner/file", folder / "x")

    with open_regular_file(folder, "x", allow_hard_links=True) as file:
        assert file.read() == b"content"


def test_named_file_may_be_a_link_but_not_a_pipe(folder: Path) -> None:
    (folder / "x").symlink_to("inner/file")
    os.mkfifo(folder / "pipe")

    with open_named_file(folder / "x") as file:
        assert file.read() == b"content"
    with pytest.raises(InputError, match="expected a regular file, got a pipe"):
        open_named_file(folder / "pipe")
    with pytest.raises(InputError, match="expected a regular file, got a character device"):
        open_named_file(Path("/dev/null"))
    with pytest.raises(MissingFileError, match="cannot be read"):
        open_named_file(folder / "none")


def test_create_file_replaces_nothing(folder: Path) -> None:
    secret = folder.parent / "secret"
    (folder / "link").symlink_to(secret)
    (folder / "dangling").symlink_to(folder.parent / "new")
    (folder / "out").symlink_to(folder.parent)

    for name in ("link", "dangling", "inner/file", "out/new", "../new", "/tmp/new"):
        with pytest.raises(InputError):
            create_file(folder, name, b"changed")

    assert secret.read_bytes() == b"secret"
    assert (folder / "inner/file").read_bytes() == b"content"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["extracted", "secret"]
    created = create_file(folder, "inner/new", "text")
    assert (created.read_bytes(), created.stat().st_mode & 0o777) == (b"text", 0o600)


@pytest.mark.parametrize(
    ("create_entry", "kind"), [row[1:] for row in NON_REGULAR_FILES if row[2] != "a folder"]
)
def test_tree_may_contain_folders_and_regular_files_only(
    folder: Path, create_entry: Callable[[Path], object], kind: str
) -> None:
    check_tree(folder, LIMITS)
    create_entry(folder)

    with pytest.raises(InputError, match=f"got {kind}"):
        check_tree(folder, LIMITS)


def _create_ten_files(folder: Path) -> None:
    for number in range(9):
        (folder / str(number)).touch()


def _create_sparse_file(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(40 << 30)


@pytest.mark.parametrize(
    ("create_entry", "problem"),
    [
        (_create_ten_files, "too many files: expected at most 10"),
        (_create_sparse_file, "too large: expected at most 100 bytes"),
        (lambda f: (f / "a/b/c/d").mkdir(parents=True), "a name is too long: .* got 4 and 7"),
        (lambda f: (f / ("a" * 41)).touch(), "a name is too long: .* got 1 and 41"),
    ],
)
def test_tree_limits_are_enforced(
    folder: Path, create_entry: Callable[[Path], object], problem: str
) -> None:
    create_entry(folder)

    with pytest.raises(InputError, match=problem):
        check_tree(folder, LIMITS)
