"""The ledger's file and the files next to it, examined before SQLite opens them.

Whoever may write to the folder chooses what SQLite finds there, and SQLite does what a file next
to the database says: it rolls back a ``-journal`` and deletes the super-journal that it names,
takes pages from a ``-wal``, writes to a ``-shm``. So a reader refuses all of them but a journal of
the form that hardpan leaves, and opens the ledger for reading alone: SQLite rolls back nothing.

A writer holds SQLite's locks while it examines the files, through a descriptor of its own
(``F_OFD_SETLK``: such a lock excludes SQLite in this process as well). While another one holds
RESERVED, SQLite takes a journal for that writer's and leaves it alone. So a journal that comes
after the examination is not rolled back either.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from hardpan.core.errors import HardpanError, InputError, ResourceError, TrustError
from hardpan.core.files import sync_to_disk
from hardpan.scanners.ledger.rollback_journal import check_journal, restore_pages

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4850_4C47  # "HPLG"
_MAX_FILE_BYTES = 64 << 30
_POLL_S = 0.02

# SQLite's locks are of bytes (os_unix.c): a reader takes SHARED, and PENDING for a moment; a writer
# RESERVED from its first statement, PENDING and all of SHARED to change the file.
_PENDING = (0x4000_0000, 1)
_RESERVED = (0x4000_0001, 1)
_SHARED = (0x4000_0002, 510)
_FLOCK = struct.Struct("hhqqi4x")


def resolve_path(path: Path, *, write: bool) -> Path:
    """The file that ``path`` is or links to; ``write`` creates a missing file.

    The files next to the link's target count: SQLite follows links, too.

    Raises:
        InputError: it cannot be created.
    """
    if write and not os.path.lexists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            pass  # another process was faster; whoever locks it first fills it
        except OSError as e:
            raise InputError(f"{path}: cannot be created: {e.strerror}") from e
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def open_file(path: Path, flags: int) -> Iterator[int]:
    """The regular file ``path``, open; no link is followed.

    NOTE: closing any descriptor of a file drops the POSIX locks that this process holds on it. A
    writer closes this one after SQLite has closed its own.

    Raises:
        InputError: it cannot be opened, or is no regular file.
    """
    file = _open(path, flags, InputError(f"{path}: not a file"))
    if file is None:
        problem = os.strerror(errno.ENOENT)
        raise InputError(f"{path}: cannot be read: {problem}", hint="'hardpan ledger add' makes it")
    try:
        yield file
    finally:
        os.close(file)


def check_for_reader(path: Path) -> None:
    """Pass if ``path`` is a ledger and nothing next to it can deceive a reader.

    A journal may be that of a writer at work: whether it is hot, SQLite decides by its locks.

    Raises:
        InputError: it cannot be read, is empty, or is no ledger of this version.
        TrustError: it is in WAL mode or too large; or a file next to it is refused.
    """
    with open_file(path, os.O_RDONLY) as file:
        is_ledger = _is_ledger(file, path)
        if os.fstat(file).st_size == 0:
            raise InputError(
                f"{path}: is empty: nothing was added to it yet",
                hint="'hardpan ledger add' fills it",
            )
        with _open_journal(path) as journal:
            hot_journal = None
            if journal is not None:
                hot_journal = check_journal(journal, file, label=str(_journal_path(path)))
            if not is_ledger and hot_journal is None:
                raise InputError(f"{path}: not a ledger of hardpan")


def acquire_reserved_lock(path: Path, file: int, deadline_s: float) -> bool:
    """Hold RESERVED with no journal next to the ledger; True where the ledger is empty.

    ``file`` is the ledger, open for writing; ``release`` or closing it gives the lock back. A hot
    journal is rolled back, one that is not hot is removed.

    Raises:
        InputError: it is no ledger of this version.
        TrustError: it is in WAL mode or too large; or a file next to it is refused.
        ResourceError: it is locked by another process until ``deadline_s`` on the monotonic clock.
    """
    while not _try_reserve(file, path):
        _wait_for_lock(path, deadline_s)
    # PENDING keeps new readers out: a new reader would mistake a journal for the one written here.
    is_ledger = _is_ledger(file, path)
    with _open_journal(path) as journal:
        if journal is not None:
            while not _try_lock(file, _SHARED, path):
                _wait_for_lock(path, deadline_s)
            _recover(path, journal, file)
            is_ledger = _is_ledger(file, path)
            _unlock(file, _SHARED)
    if not is_ledger and os.fstat(file).st_size:
        raise InputError(f"{path}: not a ledger of hardpan")
    _unlock(file, _PENDING)
    return not is_ledger


def release_reserved_lock(file: int) -> None:
    """Give RESERVED back."""
    _unlock(file, _RESERVED)


def count_descriptors(file: int) -> int:
    """How many descriptors of this process are of the same file as ``file``, itself among them.

    Raises:
        ResourceError: ``/proc`` is not mounted.
    """
    try:
        entries = list(Path("/proc/self/fd").iterdir())
    except OSError as e:
        raise ResourceError(f"/proc/self/fd: cannot be read: {e.strerror}") from e
    count = 0
    for entry in entries:
        with contextlib.suppress(OSError):  # the one that listed the folder is closed already
            count += os.path.samestat(os.fstat(int(entry.name)), os.fstat(file))
    return count


def _is_ledger(file: int, path: Path) -> bool:
    """False for a file without a byte, or with a first page that is not written yet.

    Raises:
        InputError: it holds something else than a ledger of this version.
        TrustError: it is a ledger that hardpan did not write so.
    """
    # The fields of SQLite's file format (section 1.3) that say whose file it is.
    header = os.pread(file, 100, 0)
    if not header.strip(b"\0"):
        return False
    owner = int.from_bytes(header[68:72], "big")
    version = int.from_bytes(header[60:64], "big")
    if len(header) < 100 or header[:16] != b"SQLite format 3\0" or owner != APPLICATION_ID:
        raise InputError(f"{path}: not a ledger of hardpan")
    if version != SCHEMA_VERSION:
        raise InputError(f"{path}: expected a ledger of version {SCHEMA_VERSION}, got {version}")
    if header[18:20] != b"\1\1":
        raise TrustError(f"{path}: is in WAL mode, which hardpan never writes")
    size = os.fstat(file).st_size
    if size > _MAX_FILE_BYTES:
        raise TrustError(f"{path}: expected at most {_MAX_FILE_BYTES} bytes, got {size}")
    return True


def _journal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


@contextlib.contextmanager
def _open_journal(path: Path) -> Iterator[int | None]:
    """The journal next to the ledger ``path``, open; None where there is none.

    Raises:
        InputError: it cannot be read, or is no regular file.
        TrustError: it has a second name, or there is another file that SQLite would use.
    """
    for suffix in ("-wal", "-shm"):
        if os.path.lexists(f"{path}{suffix}"):
            raise TrustError(
                f"{path}{suffix}: expected no such file, hardpan never makes one",
                hint="SQLite would take rows from it; keep it, and find out who wrote it",
            )
    journal = _journal_path(path)
    refusal = TrustError(f"{journal}: expected a regular file, as a writer leaves it")
    file = _open(journal, os.O_RDONLY, refusal)
    if file is None:
        yield None
        return
    try:
        if os.fstat(file).st_nlink > 1:
            raise TrustError(f"{journal}: expected a file with one name, got a hard link")
        yield file
    finally:
        os.close(file)


def _open(path: Path, flags: int, refusal: HardpanError) -> int | None:
    """A descriptor of the regular file ``path``; None where there is none.

    Raises:
        InputError: it cannot be opened.
        HardpanError: ``refusal``, where it is no regular file.
    """
    try:
        # Before it is opened as well: opening a device can do something.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise refusal
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as e:
        use = "written" if flags & os.O_RDWR else "read"
        raise InputError(f"{path}: cannot be {use}: {e.strerror}") from e
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise refusal
    return file


def _recover(path: Path, journal: int, file: int) -> None:
    hot_journal = check_journal(journal, file, label=str(_journal_path(path)))
    try:
        if hot_journal is not None:
            restore_pages(journal, file, hot_journal)
        _journal_path(path).unlink(missing_ok=True)
        sync_to_disk(path.parent)
    except OSError as e:
        raise ResourceError(f"{path}: cannot be rolled back: {e}") from e


def _try_reserve(file: int, path: Path) -> bool:
    if not _try_lock(file, _PENDING, path):
        return False
    if _try_lock(file, _RESERVED, path):
        return True
    _unlock(file, _PENDING)
    return False


def _try_lock(file: int, span: tuple[int, int], path: Path) -> bool:
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, *span, 0))
    except (BlockingIOError, PermissionError):
        return False
    except OSError as e:
        raise ResourceError(f"{path}: cannot be locked: {e.strerror}") from e
    return True


def _unlock(file: int, span: tuple[int, int]) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, *span, 0))


def _wait_for_lock(path: Path, deadline_s: float) -> None:
    if time.monotonic() > deadline_s:
        raise ResourceError(f"{path}: is locked by another process")
    time.sleep(_POLL_S)
