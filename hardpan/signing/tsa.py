"""The one network call of signing: an RFC 3161 request to a timestamp authority."""

import http.client
import time
import urllib.error
import urllib.request
from typing import IO

from hardpan.errors import TrustError, UnreachableError

_KIND = "application/timestamp-reply"


def post(url: str, data: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
    """What the TSA at ``url`` answers to the request ``data``.

    Raises:
        UnreachableError: no answer in time, or another HTTP status.
        TrustError: the answer is no timestamp reply, or is too long.
    """
    head = {"Content-Type": "application/timestamp-query", "Accept": _KIND}
    asked = urllib.request.Request(url, data=data, headers=head, method="POST")  # noqa: S310
    ends = time.monotonic() + timeout_s
    try:
        with urllib.request.build_opener(_NoRedirect).open(asked, timeout=timeout_s) as answer:
            kind = answer.headers.get_content_type()
            body = _bounded(answer, ends, url, max_bytes)
    except urllib.error.HTTPError as e:
        e.close()
        raise UnreachableError(f"{url}: the TSA answers with HTTP status {e.code}") from e
    except (OSError, http.client.HTTPException, ValueError) as e:
        why = getattr(e, "reason", e)
        raise UnreachableError(
            f"{url}: the TSA does not answer: {why}",
            hint="scan again without --timestamp, or later",
        ) from e
    if kind != _KIND:
        raise TrustError(f"{url}: expected {_KIND}, found {kind[:60]}")
    return body


def _bounded(answer: IO[bytes], ends: float, url: str, max_bytes: int) -> bytes:
    body = b""
    while chunk := answer.read1(8192):  # type: ignore[attr-defined]
        body += chunk
        if len(body) > max_bytes:
            raise TrustError(f"{url}: expected at most {max_bytes} bytes")
        if time.monotonic() > ends:
            raise TimeoutError("timed out")
    return body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A TSA that sends elsewhere is an answer that a person should see."""

    def redirect_request(self, *_: object) -> None:
        """No request: the status becomes the error."""
