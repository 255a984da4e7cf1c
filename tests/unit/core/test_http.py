"""The rules of the HTTP client that need no server."""

from email.message import Message
from http.client import HTTPMessage  # noqa: TID251
from io import BytesIO

import pytest

from hardpan.core import http
from hardpan.core.clock import Deadline
from hardpan.core.errors import InputError
from hardpan.core.http import RedirectError, RequestError, ResponseTooLongError, open_url


class FakeResponse:
    """A response whose body is ``body``; reading it raises ``error`` if there is one."""

    def __init__(self, body: bytes = b"", error: Exception | None = None) -> None:
        self.headers = Message()
        self.headers["Content-Type"] = "Text/HTML; charset=utf-8"
        self._body = BytesIO(body)
        self._error = error

    def __enter__(self) -> "FakeResponse":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read1(self, size: int) -> bytes:
        if self._error is not None:
            raise self._error
        return self._body.read(size)


class FakeOpener:
    """Answers every request with ``response``."""

    def __init__(self, response: FakeResponse) -> None:
        self._response = response

    def open(self, *_: object, **__: object) -> FakeResponse:
        return self._response


def make_response(
    response: FakeResponse, *, max_bytes: int = 100, limit_s: float = 10
) -> http.Response:
    return http.Response(
        response,  # type: ignore[arg-type]
        "http://mirror.example/x",
        max_bytes=max_bytes,
        deadline=Deadline(limit_s),
    )


def test_body_of_the_maximum_size_is_returned() -> None:
    body = b"x" * 100

    assert make_response(FakeResponse(body)).read() == body


def test_content_type_has_no_parameters() -> None:
    assert make_response(FakeResponse()).content_type == "text/html"


def test_longer_body_is_rejected() -> None:
    with pytest.raises(ResponseTooLongError, match="/x: expected at most 100 bytes, got more"):
        make_response(FakeResponse(b"x" * 101)).read()


def test_body_after_the_time_limit_is_rejected() -> None:
    with pytest.raises(RequestError, match="/x: not received within 0 s"):
        make_response(FakeResponse(b"x"), limit_s=0).read()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (http.http.client.IncompleteRead(b"x"), "IncompleteRead"),
        (ValueError("invalid chunk"), "invalid chunk"),
    ],
)
def test_foreign_error_is_mapped(error: Exception, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        make_response(FakeResponse(error=error)).read()

    assert caught.value.__cause__ is error
    assert str(caught.value) == f"http://mirror.example/x: {caught.value.reason}"


def test_error_of_the_caller_is_not_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_build_opener", lambda _: FakeOpener(FakeResponse()))

    with (
        pytest.raises(OSError, match="No space left on device"),
        open_url("http://x/", max_bytes=1, wait_timeout_s=1, transfer_timeout_s=1),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://mirror.example/x", "/etc/passwd"])
def test_other_scheme_is_rejected(url: str) -> None:
    with (
        pytest.raises(InputError, match=r"expected an http\(s\) address"),
        open_url(url, max_bytes=1, wait_timeout_s=1, transfer_timeout_s=1),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "new_url"),
    [
        ("https://mirror.example/repomd.xml", "http://mirror.example/"),
        ("https://mirror.example/repomd.xml", "ftp://mirror.example/"),
        ("http://mirror.example/repomd.xml", "file:///etc/passwd"),
    ],
)
def test_redirect_to_a_weaker_scheme_is_rejected(url: str, new_url: str) -> None:
    request = http.urllib.request.Request(url)

    with pytest.raises(RedirectError, match=r"redirects from https? to '(http|ftp|file):"):
        http._RedirectHandler().redirect_request(
            request, BytesIO(), 302, "", HTTPMessage(), new_url
        )


@pytest.mark.parametrize("url", ["http://mirror.example/a", "https://mirror.example/a"])
def test_redirect_to_https_is_followed(url: str) -> None:
    request = http.urllib.request.Request(url)

    followed = http._RedirectHandler().redirect_request(
        request, BytesIO(), 302, "", HTTPMessage(), "https://mirror.example/b"
    )

    assert followed is not None
    assert followed.full_url == "https://mirror.example/b"


@pytest.mark.parametrize("follow_redirects", [True, False])
def test_opener_has_handlers_for_http_only(follow_redirects: bool) -> None:
    handlers = {type(handler).__name__ for handler in http._build_opener(follow_redirects).handlers}

    assert handlers.isdisjoint({"FileHandler", "FTPHandler", "DataHandler"})
    assert ("_RedirectHandler" in handlers) is follow_redirects
    assert {"ProxyHandler", "HTTPHandler", "HTTPSHandler"} <= handlers | {"ProxyHandler"}
