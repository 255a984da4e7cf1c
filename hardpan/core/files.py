"""Atomic writes, bounded reads, digests and canonical JSON."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NewType

from hardpan.core.errors import InputError, ResourceError, TrustError
from hardpan.core.json_values import validate_jcs_value

Sha256 = NewType("Sha256", str)
"""A SHA-256 digest as 64 lower-case hex digits."""

MiB = NewType("MiB", int)
"""A size in mebibytes (2**20 bytes)."""

PRIVATE_MODE = 0o600
"""Mode of a file with a secret, or with something that helps to guess one: a password hash."""

_CANONICAL_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_MIN_STALE_AGE_S = 10.0
_FILE_TYPES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def sha256_bytes(data: bytes) -> Sha256:
    """Return the digest of ``data``."""
    return Sha256(hashlib.sha256(data).hexdigest())


def sha256_file(path: Path) -> Sha256:
    """Return the digest of a file's bytes.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as f:
            return Sha256(hashlib.file_digest(f, "sha256").hexdigest())
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def open_regular(path: Path) -> IO[bytes]:
    """Open the regular file ``path`` for reading.

    A pipe, a device or a folder is rejected at once: a reader must not wait for a pipe without a
    writer, and a file that is read twice must not be empty the second time.

    Raises:
        InputError: it cannot be opened, or is not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    file_type = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if file_type != stat.S_IFREG:
        os.close(descriptor)
        if file_type == stat.S_IFDIR:
            raise InputError(f"{path}: cannot be read: {os.strerror(errno.EISDIR)}")
        description = _FILE_TYPES.get(file_type, "something else")
        raise InputError(
            f"{path}: expected a regular file, got {description}",
            hint="write it to a file first",
        )
    return os.fdopen(descriptor, "rb")


def read_limited(path: Path, max_bytes: int, *, hint: str = "") -> bytes:
    """Return the bytes of a file that the user named, a pipe included.

    Raises:
        InputError: it cannot be read, or has more than ``max_bytes``.
    """
    try:
        with path.open("rb") as file:
            return read_open_file(file, path, max_bytes=max_bytes, hint=hint)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def read_open_file(file: IO[bytes], path: Path, *, max_bytes: int, hint: str = "") -> bytes:
    """Return the bytes of an open file; its size is checked before and after reading.

    Raises:
        InputError: it has more than ``max_bytes``, or cannot be read.
    """
    try:
        size = os.fstat(file.fileno()).st_size
        data = file.read(max_bytes + 1) if size <= max_bytes else b""
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    size = max(size, len(data))
    if size > max_bytes:
        raise InputError(
            f"{path}: too long: expected at most {max_bytes} bytes, got {size}", hint=hint
        )
    return data


def check_sha256(path: Path, expected: str) -> None:
    """Check that the file has the expected digest.

    Raises:
        TrustError: it has another digest.
    """
    actual = sha256_file(path)
    if actual != expected:
        raise TrustError(f"{path}: expected sha256 {expected}, got {actual}")


def canonical_json(value: object) -> bytes:
    """Return ``value`` as RFC 8785 bytes: sorted keys, no spaces, UTF-8, no newline.

    Accepts what hardpan writes: ASCII keys, integers within 2**53, and floats whose shortest form
    has no exponent. The ``rfc8785`` package gives the same bytes in 2.7 times the time.

    Raises:
        ValueError: a number or a key is outside that.
    """
    validate_jcs_value(value)
    return _CANONICAL_ENCODER.encode(value).encode("utf-8")


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees either the old or the new content."""
    with atomic_path(path, mode=mode) as temp:
        temp.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def reserve_path(path: Path) -> None:
    """Create ``path`` as an empty file, which ``write_atomic`` replaces.

    Of several processes only one can create it.

    Raises:
        FileExistsError: it exists, as a file, a folder or a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def create_private(path: Path) -> None:
    """Create an empty file with mode 0600, for a program that opens it by name.

    An existing file is removed, not truncated: a process that has it open, or a link to it, gets
    nothing of what is written now.
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE))


@contextlib.contextmanager
def atomic_path(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if the block succeeds.

    The block may create a file or a folder there. The temporary path is always removed; leftovers
    of a killed process are removed at the next attempt. It is in a folder that only its owner can
    enter, and a file gets ``mode`` before it leaves that folder, so that others can never open it
    with a wider mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as folder:
        temp = folder / path.name
        yield temp
        if mode is not None:
            temp.chmod(mode)
        sync_to_disk(temp)
        if temp.is_dir() and path.is_dir():
            path.rename(folder / ".old")
        temp.replace(path)
        sync_to_disk(path.parent)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden temporary folder next to ``path``.

    A leftover of a killed process is removed at the next attempt for the same ``path``.
    """
    _remove_stale_folders(path)
    with (
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
        _lock_folder(Path(folder)),
    ):
        yield Path(folder)


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock ``folder``, to mark it as used while this process runs."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale_folders(path: Path) -> None:
    """Remove the temporary folders of ``path`` that no process has locked."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A new folder may not be locked yet.
                if time.time() - os.fstat(descriptor).st_mtime > _MIN_STALE_AGE_S:
                    shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def require_free_space(folder: Path, required_mib: int, *, purpose: str) -> None:
    """Check that the file system of ``folder`` has ``required_mib`` MiB free.

    Raises:
        ResourceError: it has less; reports both sizes.
    """
    free_mib = shutil.disk_usage(_find_existing(folder)).free >> 20
    if free_mib < required_mib:
        raise ResourceError(
            f"{purpose} needs {required_mib} MiB in {folder}, {free_mib} MiB are free",
            hint="free some space or choose another folder",
        )


def require_writable_folder(folder: Path) -> None:
    """Check that ``folder`` is writable or can be created.

    Raises:
        InputError: it is neither.
    """
    existing_folder = _find_existing(folder)
    if not existing_folder.is_dir():
        raise InputError(f"{folder}: expected a folder, got the file {existing_folder}")
    if not os.access(existing_folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: expected a writable folder, {existing_folder} is not writable")


def _find_existing(folder: Path) -> Path:
    """Return the folder, or its first parent that exists."""
    existing_folder = folder.absolute()
    while not existing_folder.exists():
        existing_folder = existing_folder.parent
    return existing_folder


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
