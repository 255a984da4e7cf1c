"""The HTTP client: every request that hardpan itself makes starts here.

The rules are the same for every server:

- http and https only; urllib's default opener also reads local files and FTP.
- Certificates are verified with the trust store of the system.
- Proxies come from the environment (``http_proxy``, ``https_proxy``, ``no_proxy``).
- Redirects are limited in number, and never lead from https to http. A caller may refuse them.
- A response has a byte limit, a limit for each wait and one for the whole transfer.

::

    InputError
    ├── RedirectError           the server redirects to a scheme that is not allowed
    └── ResponseTooLongError    the body is longer than the caller's limit
    UnreachableError
    └── RequestError            no connection, no response in time, or an invalid one
        └── HttpStatusError     the server answered with another status than 2xx

What urllib, ``http.client``, ``ssl`` and ``socket`` raise is mapped to these, here only. An error
of the caller inside of ``open_url`` stays as it is: a full disk is not an unreachable server.
"""

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPMessage
from typing import IO

from hardpan.core.clock import Deadline
from hardpan.core.errors import InputError, UnreachableError

_CHUNK_BYTES = 1 << 16
_MAX_REDIRECTS = 4

# ValueError: a host name that IDNA does not allow, or an invalid Location.
_FOREIGN_ERRORS = (OSError, http.client.HTTPException, ValueError)


class RedirectError(InputError):
    """The server redirects to a scheme that is not allowed."""


class ResponseTooLongError(InputError):
    """The body of the response is longer than the limit of the caller."""


class RequestError(UnreachableError):
    """No connection, no response in time, or an invalid one; ``reason`` has no URL in it."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.reason = reason


class HttpStatusError(RequestError):
    """The server answered with ``status``, which is not 2xx."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(url, f"the server answered {status}")
        self.status = status


class Response:
    """The response to one request, while ``open_url`` keeps its connection open."""

    def __init__(
        self, response: http.client.HTTPResponse, url: str, *, max_bytes: int, deadline: Deadline
    ) -> None:
        self._response = response
        self._url = url
        self._max_bytes = max_bytes
        self._deadline = deadline

    @property
    def status(self) -> int:
        """The status: 200, or 206 for a part of the resource."""
        return self._response.status

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as the server announces them, or None."""
        return _to_int(self._response.headers.get("Content-Length"))

    @property
    def range_start(self) -> int | None:
        """Offset of the first byte of a partial response (RFC 9110, 14.4), or None."""
        value = str(self._response.headers.get("Content-Range") or "")
        return _to_int(value.removeprefix("bytes ").partition("-")[0])

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self._response.headers.get_content_type()

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body in chunks.

        Raises:
            ResponseTooLongError: the body is longer than the limit.
            RequestError: the connection failed, or the time limit has expired.
        """
        received_bytes = 0
        while chunk := self._read_chunk():
            received_bytes += len(chunk)
            if received_bytes > self._max_bytes:
                raise ResponseTooLongError(
                    f"{self._url}: expected at most {self._max_bytes} bytes, got more"
                )
            if self._deadline.has_expired:
                raise RequestError(self._url, f"not received within {self._deadline.limit_s:g} s")
            yield chunk

    def read(self) -> bytes:
        """Return the whole body; raises as ``iter_bytes`` does."""
        return b"".join(self.iter_bytes())

    def _read_chunk(self) -> bytes:
        try:
            return self._response.read1(_CHUNK_BYTES)
        except _FOREIGN_ERRORS as e:
            raise _to_request_error(self._url, e) from e


@contextmanager
def open_url(
    url: str,
    *,
    max_bytes: int,
    wait_timeout_s: float,
    transfer_timeout_s: float,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    follow_redirects: bool = True,
) -> Iterator[Response]:
    """Request ``url`` and yield the response; with ``data`` it is a POST, else a GET.

    ``wait_timeout_s`` limits the connection and every wait for more bytes, and
    ``transfer_timeout_s`` all of the request: a server that sends a byte now and then does not
    hang the caller.

    Raises:
        InputError: the URL is not an http(s) URL.
        RedirectError: a redirect from https to http, or to another scheme.
        HttpStatusError: another status than 2xx; 3xx if redirects are not followed, or loop.
        RequestError: the server cannot be reached, or does not respond in time.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url[:200]!a}: expected an http(s) address")
    deadline = Deadline(transfer_timeout_s)
    all_headers = {"User-Agent": "hardpan", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=all_headers)  # noqa: S310  http(s)
    try:
        response = _build_opener(follow_redirects).open(request, timeout=wait_timeout_s)
    except urllib.error.HTTPError as e:
        e.close()
        raise HttpStatusError(url, e.code) from e
    except _FOREIGN_ERRORS as e:
        raise _to_request_error(url, e) from e
    with response:
        yield Response(response, url, max_bytes=max_bytes, deadline=deadline)


def _to_int(text: str | None) -> int | None:
    """Return a number of a header; None if it is missing or malformed."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _to_request_error(url: str, error: Exception) -> RequestError:
    # urllib wraps what it catches; the reason is an exception or a text.
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return RequestError(url, str(reason) or type(error).__name__)


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
            raise RedirectError(f"{req.full_url}: redirects from {req.type} to {newurl[:200]!a}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _build_opener(follow_redirects: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    if follow_redirects:
        opener.add_handler(_RedirectHandler())
    return opener
