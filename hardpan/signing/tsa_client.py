"""HTTP client for RFC 3161 requests, the only network access of signing."""

import http.client
import time
import urllib.error
import urllib.request
from typing import IO

from hardpan.core.errors import TrustError, UnreachableError

_REPLY_TYPE = "application/timestamp-reply"


def post(url: str, data: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
    """Send the request ``data`` to the TSA at ``url`` and return its response.

    Raises:
        UnreachableError: no answer in time, or another HTTP status.
        TrustError: the answer is no timestamp reply, or is too long.
    """
    headers = {"Content-Type": "application/timestamp-query", "Accept": _REPLY_TYPE}
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")  # noqa: S310
    deadline = time.monotonic() + timeout_s
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s) as response:
            content_type = response.headers.get_content_type()
            body = _read_bounded(response, deadline, url, max_bytes)
    except urllib.error.HTTPError as e:
        e.close()
        raise UnreachableError(f"{url}: the TSA answers with HTTP status {e.code}") from e
    except (OSError, http.client.HTTPException, ValueError) as e:
        reason = getattr(e, "reason", e)
        raise UnreachableError(
            f"{url}: the TSA does not answer: {reason}",
            hint="scan again without --timestamp, or later",
        ) from e
    if content_type != _REPLY_TYPE:
        raise TrustError(f"{url}: expected {_REPLY_TYPE}, got {content_type[:60]}")
    return body


def _read_bounded(response: IO[bytes], deadline: float, url: str, max_bytes: int) -> bytes:
    body = b""
    while chunk := response.read1(8192):  # type: ignore[attr-defined]
        body += chunk
        if len(body) > max_bytes:
            raise TrustError(f"{url}: expected at most {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are reported, not followed."""

    def redirect_request(self, *_: object) -> None:
        """No request: the status becomes the error."""
