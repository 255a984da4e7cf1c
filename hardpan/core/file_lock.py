"""A lock on a folder, whose file names the process that holds it.

The lock is the kernel's (flock): it ends with the process that holds it, however that ends. The
file stays, so that two processes never lock two files of one name.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import InputError, ResourceError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import PRIVATE_MODE

LOCK_NAME = ".hardpan.lock"
_MAX_HOLDER_BYTES = 4096
_MAX_COMMAND_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """The process that holds a lock, as it described itself."""

    process_id: int
    started: str
    """When it took the lock, RFC 3339 UTC."""

    command: str

    def __str__(self) -> str:
        return f"process {self.process_id} ({self.command}, since {self.started})"


@contextlib.contextmanager
def lock_folder(
    folder: Path, *, command: str, stage: str, emit: Emit, may_wait: bool = True
) -> Iterator[None]:
    """Hold the lock of ``folder`` for the length of the block; ``folder`` is created.

    If another process holds it, a message of ``stage`` names that process, and the call waits.
    ``command`` describes this process to others.

    Raises:
        ResourceError: another process holds it and ``may_wait`` is not set.
        InputError: the folder cannot be created or written to.
    """
    descriptor = _open_lock(folder)
    try:
        if not _try_lock(descriptor):
            holder = _describe_holder(descriptor)
            if not may_wait:
                raise ResourceError(
                    f"{folder}: in use: {holder} holds its lock",
                    hint="wait until it ends, or choose another folder",
                )
            emit(StageMessage(stage=stage, text=f"waiting for {holder}, which uses {folder}"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write_holder(descriptor, command)
        yield
    finally:
        os.close(descriptor)


def _open_lock(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(folder / LOCK_NAME, flags, PRIVATE_MODE)
    except OSError as e:
        raise InputError(f"{folder}: cannot be locked: {e.strerror}") from e


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(descriptor: int, command: str) -> None:
    holder = {
        "pid": os.getpid(),
        "started": clock.format_rfc3339(clock.now()),
        "command": command[:_MAX_COMMAND_CHARS],
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, (json.dumps(holder) + "\n").encode(), 0)


def _describe_holder(descriptor: int) -> str:
    """Return who holds the lock; its file may not be written yet."""
    try:
        data = json.loads(os.pread(descriptor, _MAX_HOLDER_BYTES, 0))
        holder = LockHolder(
            process_id=int(data["pid"]), started=str(data["started"]), command=str(data["command"])
        )
    except (ValueError, KeyError, TypeError):
        return "another process"
    return str(holder)
