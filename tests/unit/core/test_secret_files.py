"""Files with secrets are read only where nobody but their owner has access."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core import secret_files
from hardpan.core.errors import InputError
from hardpan.core.limits import MAX_SECRET_BYTES
from hardpan.core.secret_files import read_first_line, read_passphrase, read_secret, require_private


def create_secret(path: Path, mode: int = 0o600, content: bytes = b"correct horse\nmore\n") -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_private_file_is_read(tmp_path: Path, mode: int) -> None:
    path = create_secret(tmp_path / "phrase", mode)

    require_private(path)
    assert read_secret(path) == b"correct horse\nmore\n"
    assert read_first_line(path) == b"correct horse"
    assert read_passphrase(path) == "correct horse"


@pytest.mark.parametrize(
    ("mode", "access"),
    [
        *((m, "readable by") for m in (0o644, 0o640, 0o604, 0o660, 0o666, 0o444, 0o755)),
        # POSIX ACLs show their mask as the mode of the group, so 0640 is any ACL for reading.
        *((m, "accessible to") for m in (0o620, 0o602, 0o610, 0o601)),
    ],
)
def test_file_accessible_to_others_is_rejected(tmp_path: Path, mode: int, access: str) -> None:
    path = create_secret(tmp_path / "phrase", mode)

    with pytest.raises(InputError) as caught:
        read_secret(path)

    assert str(caught.value) == (
        f"{path}: is {access} group or others: expected mode 0600, got {mode:04o}"
    )
    assert caught.value.hint.startswith(f"chmod 600 {path}")
    with pytest.raises(InputError, match="expected mode 0600"):
        require_private(path)


def test_link_target_is_checked(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(create_secret(tmp_path / "phrase", 0o644))

    with pytest.raises(InputError, match=r"link: is readable by group or others: .* got 0644"):
        read_secret(link)

    (tmp_path / "phrase").chmod(0o600)
    assert read_first_line(link) == b"correct horse"


def test_file_of_another_user_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, owner = create_secret(tmp_path / "phrase"), os.geteuid()
    monkeypatch.setattr(secret_files, "_ROOT_UID", -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(InputError) as caught:
        read_secret(path)

    assert str(caught.value) == (
        f"{path}: belongs to another user, who can read it: expected owner {owner + 1} or root, "
        f"got {owner}"
    )


def test_file_of_root_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, owner = create_secret(tmp_path / "phrase"), os.geteuid()
    monkeypatch.setattr(secret_files, "_ROOT_UID", owner)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert read_first_line(path) == b"correct horse"


@pytest.mark.parametrize(
    ("create_entry", "problem"),
    [
        (lambda p: p.mkdir(mode=0o700), "expected a regular file or a pipe, got a folder"),
        (lambda p: os.mkfifo(p, 0o600), "expected a regular file or a pipe, got a named pipe"),
        (lambda p: p.symlink_to("/dev/null"), "got a character device"),
        (lambda p: p.symlink_to("/dev/zero"), "got a character device"),
        (lambda p: p.symlink_to(p), "cannot be read: Too many levels of symbolic links"),
        (lambda p: p.symlink_to("none"), "cannot be read: No such file"),
        (lambda p: os.mknod(p, stat.S_IFSOCK | 0o600), "cannot be read: No such device or address"),
    ],
    ids=["folder", "named pipe", "null", "zero", "loop", "dangling", "socket"],
)
def test_non_regular_file_is_rejected(
    tmp_path: Path, create_entry: Callable[[Path], None], problem: str
) -> None:
    create_entry(tmp_path / "phrase")

    with pytest.raises(InputError, match=problem):
        read_secret(tmp_path / "phrase")


def test_secret_size_is_limited(tmp_path: Path) -> None:
    path = create_secret(tmp_path / "phrase", content=b"x" * MAX_SECRET_BYTES)
    assert len(read_secret(path)) == MAX_SECRET_BYTES
    create_secret(path, content=b"x" * (MAX_SECRET_BYTES + 1))

    with pytest.raises(InputError, match="too large for a secret: expected at most 16384 bytes"):
        read_secret(path)


def test_pipe_is_read_once_and_cached() -> None:
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, b"correct horse\n")
        os.close(write_end)

        lines = [read_first_line(Path(f"/dev/fd/{read_end}")) for _ in range(3)]
    finally:
        os.close(read_end)
    assert lines == [b"correct horse"] * 3


def test_pipe_size_is_limited() -> None:
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, b"x" * (MAX_SECRET_BYTES + 1))

        with pytest.raises(InputError, match="too large for a secret"):
            read_secret(Path(f"/dev/fd/{read_end}"))
    finally:
        os.close(read_end)
        os.close(write_end)


def test_checked_file_is_the_file_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create_secret(tmp_path / "phrase")
    replacement = create_secret(tmp_path / "other", 0o644, b"known to others\n")
    original_fstat = os.fstat

    def replace_then_fstat(fd: int) -> os.stat_result:
        if replacement.exists():
            replacement.replace(path)
        return original_fstat(fd)

    monkeypatch.setattr(os, "fstat", replace_then_fstat)

    assert read_first_line(path) == b"correct horse"
    with pytest.raises(InputError, match="got 0644"):
        read_first_line(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected a passphrase on the first line, got none"),
        (b"\nsecond\n", "expected a passphrase on the first line, got none"),
        (b"\r\n", "expected a passphrase on the first line, got none"),
        (b"a\0b\n", "expected a passphrase of one line"),
        (b"a\rb\n", "expected a passphrase of one line"),
        (b"\xff\xfe\n", "expected a passphrase in UTF-8"),
    ],
)
def test_invalid_first_line_is_rejected(tmp_path: Path, content: bytes, problem: str) -> None:
    path = create_secret(tmp_path / "phrase", content=content)

    with pytest.raises(InputError, match=problem):
        read_passphrase(path)


def test_windows_line_end_is_stripped(tmp_path: Path) -> None:
    assert read_first_line(create_secret(tmp_path / "phrase", content=b"horse\r\n")) == b"horse"
