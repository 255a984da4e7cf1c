"""Read files with secrets, only if nobody but their owner has access."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.limits import MAX_SECRET_BYTES

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_ROOT_UID = 0
_FILE_TYPES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a named pipe"),
)

_pipe_contents: dict[tuple[int, int], bytes] = {}
"""Device and inode of a pipe -> its content, for a command that reads it more than once."""


def require_private(path: Path) -> None:
    """Check that nobody but its owner has access to a file, without reading it.

    Raises:
        InputError: as for ``read_secret``, except for the size.
    """
    with _open_private(path):
        pass


def read_secret(path: Path) -> bytes:
    """Return the bytes of a small file to which nobody but its owner has access.

    Type, owner and mode of the open file are checked, so that it cannot be replaced between check
    and read. A symbolic link is followed, and its target is checked. A pipe such as bash's
    ``<(command)`` is accepted: its content is not on a disk.

    Raises:
        InputError: it cannot be read, is neither a regular file nor an anonymous pipe, belongs to
            a user other than this one and root, gives access to group or others, or has more than
            ``MAX_SECRET_BYTES``.
    """
    with _open_private(path) as (descriptor, status):
        inode = (status.st_dev, status.st_ino)
        if stat.S_ISFIFO(status.st_mode) and inode in _pipe_contents:
            return _pipe_contents[inode]
        try:
            data = _read_limited(descriptor)
        except OSError as e:
            raise InputError(f"{path}: cannot be read: {e.strerror}") from e
        if len(data) > MAX_SECRET_BYTES:
            raise InputError(
                f"{path}: is too large for a secret: expected at most {MAX_SECRET_BYTES} bytes"
            )
        if stat.S_ISFIFO(status.st_mode):
            _pipe_contents[inode] = data
        return data


def read_first_line(path: Path) -> bytes:
    """Return the first line of a secret file, without the line end.

    Raises:
        InputError: as for ``read_secret``, or the line is empty or contains a NUL or CR.
    """
    line = read_secret(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise InputError(f"{path}: expected a passphrase on the first line, got none")
    # Programs read it from stdin as one line; a NUL would end it early.
    if b"\0" in line or b"\r" in line:
        raise InputError(f"{path}: expected a passphrase of one line")
    return line


def read_passphrase(path: Path) -> str:
    """Return the first line of a secret file as text.

    Raises:
        InputError: as for ``read_first_line``, or it is not UTF-8.
    """
    try:
        return read_first_line(path).decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: expected a passphrase in UTF-8, got other bytes") from e


@contextmanager
def _open_private(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """Open and check a secret file; yield its descriptor and status."""
    try:
        # Without O_NONBLOCK, a named pipe without a writer would block forever.
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    try:
        status = os.fstat(descriptor)
        _require_file_type(path, descriptor, status)
        _require_owner(path, status)
        _require_mode(path, status)
        os.set_blocking(descriptor, True)
        yield descriptor, status
    finally:
        os.close(descriptor)


def _require_file_type(path: Path, descriptor: int, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if (
        stat.S_ISFIFO(status.st_mode)
        and str(Path(f"/proc/self/fd/{descriptor}").readlink())[:5] == "pipe:"
    ):
        return
    file_type = next(
        (name for is_type, name in _FILE_TYPES if is_type(status.st_mode)), "something else"
    )
    raise InputError(
        f"{path}: cannot be a secret file: expected a regular file or a pipe, got {file_type}"
    )


def _require_owner(path: Path, status: os.stat_result) -> None:
    user_id = os.geteuid()
    if status.st_uid in (user_id, _ROOT_UID):
        return
    raise InputError(
        f"{path}: belongs to another user, who can read it: expected owner {user_id} or root, "
        f"got {status.st_uid}",
        hint="copy it to your own file with mode 0600, or run hardpan as its owner",
    )


def _require_mode(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return
    access = "readable by" if mode & 0o044 else "accessible to"
    raise InputError(
        f"{path}: is {access} group or others: expected mode 0600, got {mode:04o}",
        hint=f"chmod 600 {path}; replace a secret that others could read",
    )


def _read_limited(descriptor: int) -> bytes:
    """Read a file or pipe, up to one byte more than the limit."""
    data = b""
    while len(data) <= MAX_SECRET_BYTES:
        chunk = os.read(descriptor, MAX_SECRET_BYTES + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return data
