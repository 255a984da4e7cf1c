"""Send RFC 3161 requests over HTTP, the only network access of signing."""

from hardpan.core.errors import TrustError, UnreachableError
from hardpan.core.http import HttpStatusError, RequestError, ResponseTooLongError, open_url

_REPLY_TYPE = "application/timestamp-reply"


def post(url: str, data: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
    """Send the request ``data`` to the TSA at ``url`` and return its response.

    Redirects are reported, not followed: only the TSA that the user named gets the request.

    Raises:
        UnreachableError: no answer in time, or another HTTP status.
        TrustError: the answer is no timestamp reply, or is too long.
    """
    headers = {"Content-Type": "application/timestamp-query", "Accept": _REPLY_TYPE}
    try:
        with open_url(
            url,
            data=data,
            headers=headers,
            max_bytes=max_bytes,
            wait_timeout_s=timeout_s,
            transfer_timeout_s=timeout_s,
            follow_redirects=False,
        ) as response:
            content_type = response.content_type
            body = response.read()
    except HttpStatusError as e:
        raise UnreachableError(f"{url}: the TSA answers with HTTP status {e.status}") from e
    except RequestError as e:
        raise UnreachableError(
            f"{url}: the TSA does not answer: {e.reason}",
            hint="scan again without --timestamp, or later",
        ) from e
    except ResponseTooLongError as e:
        raise TrustError(str(e)) from e
    if content_type != _REPLY_TYPE:
        raise TrustError(f"{url}: expected {_REPLY_TYPE}, got {content_type[:60]}")
    return body
