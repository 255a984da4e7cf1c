"""Fetch files of a dnf repository from a folder or over http(s), with size and time limits."""

import http.client
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from pathlib import Path, PurePosixPath
from typing import IO

from hardpan.core import clock
from hardpan.core.errors import InputError, UnreachableError
from hardpan.core.extracted_files import (
    MAX_DEPTH,
    MAX_PATH_BYTES,
    MissingFileError,
    open_regular_file,
)

_CHUNK = 1 << 16
_CONNECT_TIMEOUT_S = 20.0
_FILE_TIMEOUT_S = 300.0
_MAX_REDIRECTS = 4
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_.+~^-]+", re.ASCII)


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
        parts = PurePosixPath(name).parts
        if not parts or not all(_PATH_SEGMENT.fullmatch(p) and p != ".." for p in parts):
            raise InputError(
                f"{self}: expected a file inside of the repository, got {name[:200]!a}"
            )
        if len(name) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
            raise InputError(
                f"{self}: a name is too long: expected at most {MAX_DEPTH} parts and"
                f" {MAX_PATH_BYTES} characters, got {len(parts)} and {len(name)}"
            )
        name = "/".join(parts)
        location = self._base + name if self.is_url else str(self._folder / name)
        with self._open(name, location) as source, destination.open("wb") as sink:
            remaining = max_bytes
            for chunk in source:
                remaining -= len(chunk)
                if remaining < 0:
                    raise InputError(f"{location}: expected at most {max_bytes} bytes, got more")
                sink.write(chunk)

    @contextmanager
    def _open(self, name: str, location: str) -> Iterator[Iterator[bytes]]:
        if self.is_url:
            with _get(location) as answer:
                yield _read_before_deadline(answer.read1, location)
            return
        try:
            # Mirrors often consist of hard links.
            f = open_regular_file(self._folder, name, allow_hard_links=True)
        except MissingFileError as e:
            raise InputError(str(e), hint="create the metadata with createrepo_c") from e
        with f:
            yield iter(lambda: f.read(_CHUNK), b"")


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


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows a limited number of redirects, to http(s) only and never from https to http."""

    max_redirections = _MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(newurl).scheme not in allowed:
            raise InputError(f"{req.full_url}: redirects from {req.type} to {newurl!a}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _build_opener() -> urllib.request.OpenerDirector:
    """Return an opener for http(s) only; urllib's default opener also reads files and ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        _RedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _get(url: str) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, headers={"User-Agent": "hardpan"})  # noqa: S310  http(s)
    try:
        with _build_opener().open(request, timeout=_CONNECT_TIMEOUT_S) as response:
            yield response
    except urllib.error.HTTPError as e:
        e.close()
        if e.code in (404, 410):
            raise InputError(f"{url}: not found ({e.code})", hint="is it a repository?") from e
        if 300 <= e.code < 400:
            raise InputError(f"{url}: redirect loop, or redirect to another scheme") from e
        raise UnreachableError(f"{url}: the server answered {e.code}") from e
    except (OSError, http.client.HTTPException) as e:
        reason = getattr(e, "reason", None) or e
        raise UnreachableError(f"{url}: {reason}") from e


def _read_before_deadline(read: Callable[[int], bytes], url: str) -> Iterator[bytes]:
    deadline = clock.monotonic_s() + _FILE_TIMEOUT_S
    while chunk := read(_CHUNK):
        if clock.monotonic_s() > deadline:
            raise UnreachableError(f"{url}: not received within {_FILE_TIMEOUT_S:.0f} s")
        yield chunk
