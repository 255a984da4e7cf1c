"""Read files in a folder of untrusted content: an extracted archive, a mirror, a medium.

A symbolic link in such a folder names a file of this machine, a hard link may be one, a pipe never
ends, and opening a device can have effects. So each part of a name is opened relative to the
descriptor of the folder before it (openat(2)), with O_NOFOLLOW, and the last one is a regular file
both by lstat(2) before it is opened and by fstat(2) after.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.files import read_open_file
from hardpan.core.limits import MAX_PATH_BYTES, MAX_PATH_DEPTH

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FILE_TYPES = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class MissingFileError(InputError):
    """The folder has no file of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """Limits of the content of an extracted archive."""

    max_files: int
    """Files and folders."""

    max_total_bytes: int
    """Bytes of all files."""

    max_depth: int = MAX_PATH_DEPTH
    max_path_bytes: int = MAX_PATH_BYTES


def open_regular_file(folder: Path, name: str, *, allow_hard_links: bool = False) -> BufferedReader:
    """Open the file ``name`` below ``folder`` for reading.

    ``folder`` itself may be a link: the caller chose it. ``allow_hard_links`` accepts a file with
    further names, as in a mirror; an extracted file has a single name.

    Raises:
        MissingFileError: it does not exist.
        InputError: the name leads out of the folder, a part of it is a link or not a folder, or it
            is not a regular file or cannot be read.
    """
    path = folder / name
    parts = _split_name(folder, name)
    try:
        with _open_parent(folder, parts, path) as parent:
            _require_regular(
                os.lstat(parts[-1], dir_fd=parent), path, allow_hard_links=allow_hard_links
            )
            descriptor = os.open(parts[-1], _FILE_FLAGS, dir_fd=parent)
        return _open_checked(descriptor, path, allow_hard_links=allow_hard_links)
    except FileNotFoundError as e:
        raise MissingFileError(f"{path}: no such file") from e
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def read_bytes(folder: Path, name: str, *, max_bytes: int, allow_hard_links: bool = False) -> bytes:
    """Return the bytes of the file ``name`` below ``folder``.

    Raises:
        InputError: as for ``open_regular_file``, or it is longer than ``max_bytes``.
    """
    with open_regular_file(folder, name, allow_hard_links=allow_hard_links) as file:
        return read_open_file(file, folder / name, max_bytes=max_bytes)


def open_named_file(path: Path) -> BufferedReader:
    """Open a file that the user named, for reading; links are followed, pipes are rejected.

    Raises:
        MissingFileError: it does not exist.
        InputError: it is not a regular file or cannot be read.
    """
    try:
        # Checked before opening: opening a pipe blocks, and opening a device can have effects.
        _require_regular(path.stat(), path, allow_hard_links=True)
        descriptor = os.open(path, _FILE_FLAGS & ~os.O_NOFOLLOW)
        return _open_checked(descriptor, path, allow_hard_links=True)
    except FileNotFoundError as e:
        raise MissingFileError(f"{path}: cannot be read: {e.strerror}") from e
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def _open_checked(descriptor: int, path: Path, *, allow_hard_links: bool) -> BufferedReader:
    """Return the file of ``descriptor`` after checking its type; closes it on an error."""
    try:
        _require_regular(os.fstat(descriptor), path, allow_hard_links=allow_hard_links)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def create_file(folder: Path, name: str, data: bytes | str, *, mode: int = 0o600) -> Path:
    """Create a new file in ``folder``; no link is followed and nothing is replaced.

    It has the ``mode`` whatever the umask is: ISOs record the modes of files.

    Raises:
        InputError: the name exists already, or leads out of the folder.
    """
    path = folder / name
    parts = _split_name(folder, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with _open_parent(folder, parts, path) as parent:
            descriptor = os.open(parts[-1], flags, mode, dir_fd=parent)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
    except OSError as e:
        raise InputError(f"{path}: cannot be written: {e.strerror}") from e
    return path


def check_tree(folder: Path, limits: TreeLimits) -> None:
    """Check that ``folder`` has only folders and regular files with a single name, within limits.

    Raises:
        InputError: it has something else, or exceeds a limit.
    """
    total_bytes = 0
    for count, (path, status) in enumerate(_walk_entries(folder, ""), 1):
        if count > limits.max_files:
            raise InputError(f"{folder}: too many files: expected at most {limits.max_files}")
        name = path.relative_to(folder)
        if len(name.parts) > limits.max_depth or len(os.fsencode(name)) > limits.max_path_bytes:
            raise InputError(
                f"{folder}: a name is too long: expected at most {limits.max_depth} parts and"
                f" {limits.max_path_bytes} bytes,"
                f" got {len(name.parts)} and {len(os.fsencode(name))}"
            )
        if not stat.S_ISDIR(status.st_mode):
            _require_regular(status, path, allow_hard_links=False)
            total_bytes += status.st_size
        if total_bytes > limits.max_total_bytes:
            raise InputError(
                f"{folder}: too large: expected at most {limits.max_total_bytes} bytes"
            )


def _walk_entries(folder: Path, subfolder: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all entries with their lstat, parents first: the caller stops at too deep a path."""
    try:
        with os.scandir(folder / subfolder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                yield Path(entry.path), status
                if stat.S_ISDIR(status.st_mode):
                    yield from _walk_entries(folder, str(Path(subfolder, entry.name)))
    except OSError as e:
        raise InputError(f"{folder / subfolder}: cannot be read: {e.strerror}") from e


@contextlib.contextmanager
def _open_parent(folder: Path, parts: tuple[str, ...], path: Path) -> Iterator[int]:
    """Open the folder that contains the last of ``parts``; yield its descriptor."""
    descriptor = os.open(folder, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            mode = os.lstat(part, dir_fd=descriptor).st_mode
            if not stat.S_ISDIR(mode):
                raise InputError(
                    f"{path}: {part!a} in it: expected a folder, got {_file_type(mode)}"
                )
            child = os.open(part, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = child
        yield descriptor
    finally:
        os.close(descriptor)


def _split_name(folder: Path, name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:  # lone surrogates cannot be part of a file name
        length = 0
    if not length or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise InputError(f"{folder}: expected the name of a file inside it, got {name[:200]!a}")
    if len(parts) > MAX_PATH_DEPTH or length > MAX_PATH_BYTES:
        raise InputError(
            f"{folder}: a name is too long: expected at most {MAX_PATH_DEPTH} parts and"
            f" {MAX_PATH_BYTES} bytes, got {len(parts)} and {length}"
        )
    return parts


def _require_regular(status: os.stat_result, path: Path, *, allow_hard_links: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected a regular file, got {_file_type(status.st_mode)}")
    if status.st_nlink != 1 and not allow_hard_links:
        raise InputError(
            f"{path}: expected a file with a single name, got {status.st_nlink} hard links"
        )


def _file_type(mode: int) -> str:
    return _FILE_TYPES.get(stat.S_IFMT(mode), "a regular file")
