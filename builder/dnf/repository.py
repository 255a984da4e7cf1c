"""Fetch files of a dnf repository from a folder or over http(s), with size and time limits."""

import re
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Protocol

from hardpan.core.errors import InputError
from hardpan.core.extracted_files import MissingFileError, open_regular_file
from hardpan.core.http import HttpStatusError, open_url
from hardpan.core.limits import MAX_PATH_BYTES, MAX_PATH_DEPTH

_CHUNK = 1 << 16
_WAIT_TIMEOUT_S = 20.0
_FILE_TIMEOUT_S = 300.0
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_.+~^-]+", re.ASCII)


class MetadataSource(Protocol):
    """Where the files of a repository come from; its text is the source's name in messages."""

    def fetch(self, name: str, destination: Path, *, max_bytes: int) -> None:
        """Copy the repository's file ``name`` to ``destination``.

        Raises:
            InputError: it does not exist, or is not a file of at most ``max_bytes`` inside of the
                repository.
            UnreachableError: the server does not respond in time.
        """


class RepositoryClient:
    """Fetches files of a repository in a folder or at an http(s) URL."""

    def __init__(self, repo: str) -> None:
        """Create a client for a URL or a folder.

        Raises:
            InputError: it is neither.
        """
        self.is_url = "://" in repo
        self._base = _parse_url(repo) if self.is_url else ""
        self._folder = Path(repo)
        if not self.is_url and not self._folder.is_dir():
            raise InputError(f"{repo}: expected a repository's folder or http(s) address")

    def __str__(self) -> str:
        """Return the URL or the folder."""
        return self._base or str(self._folder)

    def fetch(self, name: str, destination: Path, *, max_bytes: int) -> None:
        """Copy the repository's file ``name`` to ``destination``.

        Raises:
            InputError: the file does not exist, its name leaves the repository, it is not a
                regular file, or it is longer than ``max_bytes``.
            UnreachableError: the server does not respond in time.
        """
        name = check_file_name(name, str(self))
        open_source = _open_remote_file if self.is_url else self._open_local_file
        location = self._base + name if self.is_url else name
        with open_source(location, max_bytes) as source, destination.open("wb") as sink:
            for chunk in source:
                sink.write(chunk)

    @contextmanager
    def _open_local_file(self, name: str, max_bytes: int) -> Iterator[Iterator[bytes]]:
        try:
            # Mirrors often consist of hard links.
            f = open_regular_file(self._folder, name, allow_hard_links=True)
        except MissingFileError as e:
            raise InputError(str(e), hint="create the metadata with createrepo_c") from e
        with f:
            yield _iter_bounded(f, self._folder / name, max_bytes)


def check_file_name(name: str, source: str) -> str:
    """Return the name of a file inside of the repository ``source``, normalized.

    Raises:
        InputError: it leaves the repository, is too long, or has unusual characters.
    """
    parts = PurePosixPath(name).parts
    if not parts or not all(_PATH_SEGMENT.fullmatch(p) and p != ".." for p in parts):
        raise InputError(f"{source}: expected a file inside of the repository, got {name[:200]!a}")
    if len(name) > MAX_PATH_BYTES or len(parts) > MAX_PATH_DEPTH:
        raise InputError(
            f"{source}: a name is too long: expected at most {MAX_PATH_DEPTH} parts and"
            f" {MAX_PATH_BYTES} characters, got {len(parts)} and {len(name)}"
        )
    return "/".join(parts)


def _parse_url(repo: str) -> str:
    parts = urllib.parse.urlsplit(repo)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{repo!a}: expected a folder or an http(s) address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"{parts.hostname}: expected an address without user, password, query and fragment"
        )
    if not repo.isascii() or not repo.isprintable() or " " in repo:
        raise InputError(f"{repo!a}: expected an address in plain characters")
    return repo.rstrip("/") + "/"


def _iter_bounded(file: BufferedReader, path: Path, max_bytes: int) -> Iterator[bytes]:
    remaining_bytes = max_bytes
    while chunk := file.read(_CHUNK):
        remaining_bytes -= len(chunk)
        if remaining_bytes < 0:
            raise InputError(f"{path}: expected at most {max_bytes} bytes, got more")
        yield chunk


@contextmanager
def _open_remote_file(url: str, max_bytes: int) -> Iterator[Iterator[bytes]]:
    try:
        with open_url(
            url,
            max_bytes=max_bytes,
            wait_timeout_s=_WAIT_TIMEOUT_S,
            transfer_timeout_s=_FILE_TIMEOUT_S,
        ) as response:
            yield response.iter_bytes()
    except HttpStatusError as e:
        if e.status in (404, 410):
            raise InputError(f"{url}: not found ({e.status})", hint="is it a repository?") from e
        if 300 <= e.status < 400:
            raise InputError(f"{url}: redirect loop, or redirect to another scheme") from e
        raise
