"""Download a published install image from a list of mirrors, resuming what an earlier try left.

What has arrived stays in ``NAME.part``, so that a cut connection or an interrupt costs nothing. The
file gets its name only after its digest was compared.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.builder.media.expected_digest import ExpectedDigest, match_digest
from hardpan.builder.media.inspect import MAX_ISO_BYTES
from hardpan.builder.media.published_images import PublishedImage
from hardpan.core.errors import (
    HardpanError,
    InputError,
    ResourceError,
    TrustError,
    UnreachableError,
)
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.files import require_free_space, sha256_file
from hardpan.core.http import HttpStatusError, RequestError, Response, open_url

STAGE = "fetch"
MAX_TRIES = 5
"""Tries per mirror without one byte more; each further byte starts the count again."""

_WAIT_TIMEOUT_S = 30.0
_TRANSFER_TIMEOUT_S = 24 * 3600.0
PAUSE_S = 2.0
"""Seconds to wait before the second try without progress; each further one waits longer."""
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An image to download."""

    image: PublishedImage
    expected: ExpectedDigest
    size_bytes: int | None
    """None if nobody states it."""

    folder: Path
    mirrors: tuple[str, ...]
    """Addresses of folders with ``VERSION/isos/ARCH/FILE``, tried in their order."""

    @property
    def destination(self) -> Path:
        """The file of the complete image."""
        return self.folder / self.image.name

    def url(self, mirror: str) -> str:
        """Return the address of the image on a mirror."""
        return f"{mirror.rstrip('/')}/{self.image.folder}/{self.image.name}"


def download_image(download: Download, emit: Emit) -> Path:
    """Return the complete image; nothing is downloaded if the folder has it.

    Raises:
        InputError: a file of its name exists that is not the image, or no mirror has it.
        TrustError: the image of at least one mirror has another digest, and no mirror has the
            right one.
        UnreachableError: no mirror could deliver it.
        ResourceError: not enough disk space, or another process downloads it.
    """
    destination = download.destination
    if destination.exists():
        emit(StageMessage(stage=STAGE, text=f"{destination} exists; checking its digest"))
        match_digest(destination, sha256_file(destination), (download.expected,))
        return destination
    download.folder.mkdir(parents=True, exist_ok=True)
    problems: list[HardpanError] = []
    with _open_part(destination) as (part, file):
        for mirror in download.mirrors:
            try:
                _download_from(download, download.url(mirror), file, emit)
                _require_digest(download, part, file, mirror, emit)
            except (InputError, TrustError, UnreachableError) as e:
                emit(StageMessage(stage=STAGE, text=str(e)))
                problems.append(e)
                continue
            part.replace(destination)
            return destination
    raise _summarize(download, problems)


@contextmanager
def _open_part(destination: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open the incomplete file for appending; no other process may use it."""
    part = destination.with_name(destination.name + ".part")
    with part.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise ResourceError(
                f"{part}: another process downloads this image", hint="wait until it is done"
            ) from e
        yield part, file


def _download_from(download: Download, url: str, file: IO[bytes], emit: Emit) -> None:
    """Append what is missing to ``file``; a cut connection is continued where it ended."""
    tries = 0
    while True:
        size = _size(file)
        if download.size_bytes is not None and size > download.size_bytes:
            file.truncate(0)
            size = 0
        if size == download.size_bytes:
            return
        _require_space(download, size)
        try:
            if _append(download, url, file, emit):
                return
            problem = RequestError(url, "the connection was cut")
        except HttpStatusError as e:
            if e.status == _RANGE_NOT_SATISFIABLE:
                file.truncate(0)
            elif e.status < 500:
                raise InputError(f"{url}: the mirror does not have it ({e.status})") from e
            problem = e
        except RequestError as e:
            problem = e
        tries = 1 if _size(file) > size else tries + 1
        if tries > MAX_TRIES:
            raise problem
        emit(StageMessage(stage=STAGE, text=f"{problem}; trying again"))
        time.sleep(PAUSE_S * (tries - 1))


def _append(download: Download, url: str, file: IO[bytes], emit: Emit) -> bool:
    """Request the missing bytes and append them; return whether the file is complete."""
    offset = _size(file)
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    maximum_bytes = MAX_ISO_BYTES if download.size_bytes is None else download.size_bytes
    with open_url(
        url,
        max_bytes=maximum_bytes,
        wait_timeout_s=_WAIT_TIMEOUT_S,
        transfer_timeout_s=_TRANSFER_TIMEOUT_S,
        headers=headers,
    ) as response:
        if response.status != _PARTIAL:
            # The server ignores Range, and sends everything from the start.
            file.truncate(0)
            offset = 0
        elif response.range_start != offset:
            raise InputError(
                f"{url}: expected bytes from {offset} on, the mirror sends those from"
                f" {response.range_start} on"
            )
        total = _total_bytes(download, url, response, offset)
        progress = _Progress(download.image.name, total, emit)
        for chunk in response.iter_bytes():
            _write(download, file, chunk)
            offset += len(chunk)
            progress.report(offset)
    return offset == total if total else bool(offset)


def _write(download: Download, file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as e:
        raise ResourceError(
            f"{download.folder}: {download.image.name} cannot be written: {e.strerror}",
            hint="free some space and run the command again: what has arrived is continued",
        ) from e


def _total_bytes(download: Download, url: str, response: Response, offset: int) -> int:
    """Return the size of the image; 0 if neither the list nor the server states it."""
    length = response.content_length
    announced = 0 if length is None else offset + length
    if download.size_bytes is not None and announced not in (0, download.size_bytes):
        raise InputError(f"{url}: expected {download.size_bytes} bytes, the mirror has {announced}")
    return download.size_bytes or announced


def _require_digest(
    download: Download, part: Path, file: IO[bytes], mirror: str, emit: Emit
) -> None:
    emit(StageMessage(stage=STAGE, text=f"checking the digest of {download.image.name}"))
    try:
        match_digest(part, sha256_file(part), (download.expected,))
    except TrustError as e:
        file.truncate(0)  # Whatever of it is wrong: nothing of it can be used.
        raise TrustError(f"{download.url(mirror)}: {e}".replace(f"{part}: ", "")) from e


def _require_space(download: Download, size: int) -> None:
    missing = (download.size_bytes or 0) - size
    require_free_space(download.folder, max(missing, 0) >> 20, purpose=download.image.name)


def _size(file: IO[bytes]) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size


def _summarize(download: Download, problems: Sequence[HardpanError]) -> HardpanError:
    """Return one error for all mirrors, of the gravest kind."""
    kinds = (TrustError, UnreachableError, InputError)
    kind = next((k for k in kinds if any(isinstance(p, k) for p in problems)), InputError)
    details = "; ".join(map(str, problems)) or "no mirror was named"
    return kind(
        f"{download.image.name}: no mirror delivered it: {details}",
        hint="name another one with --mirror; what has arrived is continued",
    )


class _Progress:
    """Emits the progress of a download, in MiB."""

    def __init__(self, name: str, total: int, emit: Emit) -> None:
        self._name = name
        self._total_mib = total >> 20
        self._emit = emit
        self._last_mib = -1

    def report(self, received: int) -> None:
        """Emit an event for each further MiB."""
        if received >> 20 != self._last_mib:
            self._last_mib = received >> 20
            self._emit(
                StageProgress(
                    stage=STAGE,
                    completed=self._last_mib,
                    total=self._total_mib,
                    text=f"MiB of {self._name}",
                )
            )
