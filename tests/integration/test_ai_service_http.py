"""The services' HTTP server: whatever is sent, quick requests are answered quickly."""

import asyncio
import json
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hardpan.builder.ai_service.payload import accounts, auth_gateway, http_server
from hardpan.builder.ai_service.payload.auth_gateway import COOKIE, AuthGateway
from hardpan.builder.ai_service.payload.http_server import (
    Admission,
    HttpRequest,
    HttpResponse,
    HttpServer,
    HttpService,
    RequestSlots,
    WorkerPool,
    json_response,
)

pytestmark = pytest.mark.integration

MAX_RESPONSE_S = 2.0
"""A request that waits for another one in these tests waits for ten seconds or more."""
FLOOD = 500
FORM = urlencode({"name": "ada", "password": "wrong"})


@contextmanager
def running_server(service: HttpService, ports: int = 2) -> Iterator[list[int]]:
    server = HttpServer([0] * ports, service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.ports
    finally:
        server.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def request_head(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def login_form(body: str = FORM, **headers: str) -> bytes:
    sent = {"sec_fetch_site": "same-origin", "content_length": str(len(body)), **headers}
    return request_head("POST", "/login", **sent) + body.encode()


def send_request(port: int, sent: bytes) -> tuple[int, str, float]:
    """Status, whole answer and seconds of one request."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    text = response.decode("latin-1")
    return int(text.split()[1]), text, time.monotonic() - start


async def _send_request_async(port: int, sent: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return (await reader.read()).decode("latin-1")
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuthGateway:
    monkeypatch.setattr(accounts, "DEFAULT_ROUNDS", 10)
    stored = accounts.hash_password("right horse", rounds=10)
    accounts_data = {"users": [{"name": "ada", "hash": stored}], "keys": []}
    (tmp_path / "login.json").write_text(json.dumps(accounts_data))
    return AuthGateway([tmp_path / "login.json"], session_s=3600)


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashes end when the event is set."""
    release = threading.Event()

    def wait(_password: str, _stored: str) -> bool:
        return not release.wait(30)

    monkeypatch.setattr(accounts, "verify_password", wait)
    yield release
    release.set()


def test_login_flood_does_not_delay_health_or_sessions(
    gateway: AuthGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    verify_password = accounts.verify_password

    def wait(password: str, stored: str) -> bool:
        release.wait(30)
        return verify_password(password, stored)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))

    async def flood(port: int) -> list[str]:
        sent = [login_form(x_real_ip=f"10.9.{n // 250}.{n % 250}") for n in range(FLOOD)]
        waiting = {asyncio.create_task(_send_request_async(port, request)) for request in sent}
        answers = []
        while len(waiting) > auth_gateway.MAX_PENDING_LOGINS:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            answers += [task.result() for task in done]
        release.set()
        return answers + await asyncio.gather(*waiting)

    with running_server(gateway) as (checks, forms):
        _, answer, _ = send_request(
            forms, login_form(urlencode({"name": "ada", "password": "right horse"}))
        )
        session = answer.partition("Set-Cookie: ")[2].partition(";")[0]
        monkeypatch.setattr(accounts, "verify_password", wait)
        answers: list[str] = []
        flooding = threading.Thread(target=lambda: answers.extend(asyncio.run(flood(forms))))
        flooding.start()
        replies = []
        while flooding.is_alive() and not release.is_set():
            assert send_request(checks, request_head("GET", "/health"))[0] == 200
            replies.append(
                send_request(
                    checks, request_head("GET", "/check", cookie=session, x_original_method="GET")
                )
            )
            time.sleep(0.01)
        flooding.join(30)
        final_reply = send_request(
            checks, request_head("GET", "/check", cookie=session, x_original_method="GET")
        )

    statuses = Counter(answer.split()[1] for answer in answers)
    assert statuses["503"] >= FLOOD - auth_gateway.MAX_PENDING_LOGINS
    assert statuses["503"] + statuses["401"] == FLOOD
    assert all("\r\nRetry-After: " in answer for answer in answers if " 503 " in answer[:20])
    assert {status for status, _, _ in replies} == {204}
    assert sorted(s for _, _, s in replies)[len(replies) * 9 // 10] < MAX_RESPONSE_S
    assert final_reply[0] == 204


def test_health_is_fast_when_login_slots_are_full(
    gateway: AuthGateway, slow_hash: threading.Event
) -> None:
    with running_server(gateway) as (checks, forms), ExitStack() as open_links:
        for n in range(auth_gateway.MAX_PENDING_LOGINS):
            link = open_links.enter_context(socket.create_connection(("127.0.0.1", forms)))
            link.sendall(login_form(x_real_ip=f"10.1.1.{n}"))
        wait_until(lambda: send_request(forms, login_form(x_real_ip="10.2.2.2"))[0] == 503)
        status, _, duration_s = send_request(checks, request_head("GET", "/health"))
        same_port = send_request(forms, request_head("GET", "/health"))
        slow_hash.set()

    assert status == 200
    assert duration_s < MAX_RESPONSE_S
    assert same_port[0] == 200
    assert same_port[2] < MAX_RESPONSE_S


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


INCOMPLETE_REQUESTS = {
    "silent": b"",
    "half a request line": b"POST /lo",
    "half a head": b"POST /login HTTP/1.1\r\nHost: localhost\r\n",
    "no body": login_form()[: -len(FORM)],
    "half a body": login_form()[:-5],
}


@pytest.mark.parametrize("sent", INCOMPLETE_REQUESTS.values(), ids=INCOMPLETE_REQUESTS)
@pytest.mark.parametrize("port", [0, 1], ids=["check port", "form port"])
def test_idle_connections_do_not_block_others(
    gateway: AuthGateway, sent: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 64)

    with running_server(gateway) as ports, ExitStack() as open_connections:
        for _ in range(128):
            connection = open_connections.enter_context(
                socket.create_connection(("127.0.0.1", ports[port]))
            )
            connection.sendall(sent)
        status, _, duration_s = send_request(ports[0], request_head("GET", "/health"))
        entered, _, _ = send_request(
            ports[1], login_form(urlencode({"name": "ada", "password": "right horse"}))
        )

    assert status == 200
    assert duration_s < MAX_RESPONSE_S
    assert entered == 303


def test_incomplete_request_is_closed(
    gateway: AuthGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_HEAD_TIMEOUT_S", 0.2)

    with (
        running_server(gateway) as (checks, _),
        socket.create_connection(("127.0.0.1", checks)) as connection,
    ):
        connection.settimeout(5)
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        for _ in range(4):  # drop by drop: the time is for the whole head
            time.sleep(0.04)
            connection.sendall(b"A")
        response = connection.recv(100)

    assert response == b""


MALFORMED_REQUESTS = {
    "huge header": (request_head("GET", "/health", a="x" * 100_000), "431"),
    "head without end": (b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, "431"),
    "too many headers": (
        request_head("GET", "/health", **{f"a{n}": "b" for n in range(101)}),
        "400",
    ),
    "spaces": (request_head("GET", "/health", a=" " * 30_000 + "x"), "200"),
    "no HTTP": (b"hello\r\n\r\n", "400"),
    "absolute target": (request_head("GET", "http://elsewhere/health"), "400"),
    "control character": (request_head("GET", "/health", a="b\x00c"), "400"),
    "folded header": (b"GET /health HTTP/1.1\r\na: b\r\n c\r\n\r\n", "400"),
    "space before the colon": (b"GET /health HTTP/1.1\r\nCookie : a\r\n\r\n", "400"),
    "chunked body": (request_head("POST", "/login", transfer_encoding="chunked"), "411"),
    "two lengths": (
        request_head("POST", "/login", content_length="1")[:-2] + b"Content-Length: 2\r\n\r\n",
        "411",
    ),
    "negative length": (request_head("POST", "/login", content_length="-1"), "411"),
    "huge length": (request_head("POST", "/login", content_length="9" * 12), "413"),
}


@pytest.mark.parametrize(("sent", "status"), MALFORMED_REQUESTS.values(), ids=MALFORMED_REQUESTS)
def test_malformed_request_is_rejected_immediately(
    gateway: AuthGateway, sent: bytes, status: str
) -> None:
    with running_server(gateway) as (checks, _):
        reply_status, _, duration_s = send_request(checks, sent)
        health = send_request(checks, request_head("GET", "/health"))

    assert str(reply_status) == status
    assert duration_s < 2
    assert health[0] == 200
    assert health[2] < MAX_RESPONSE_S


def test_repeated_header_values_are_joined(gateway: AuthGateway) -> None:
    cookie = f"{COOKIE}=a"
    request = http_server._parse_head(
        request_head("GET", "/check", cookie=cookie)[:-2] + b"Cookie: x=1\r\n\r\n"
    )

    assert request.headers["cookie"] == f"{cookie}, x=1"
    assert gateway.handle(request).status == 401


class EchoService:
    """Answers with the length of the body when it may."""

    pools = (WorkerPool(name="echo", threads=2, slots=3, slots_per_user=2, max_body_bytes=1 << 20),)

    def __init__(self) -> None:
        self.release = threading.Event()
        self.active_requests = 0

    def admit(self, request: HttpRequest) -> Admission | HttpResponse:
        if request.path == "/quick":
            return json_response(200, {})
        return Admission(self.pools[0], request.headers.get("x-remote-user", ""))

    def handle(self, request: HttpRequest) -> HttpResponse:
        self.active_requests += 1
        self.release.wait(10)
        return json_response(200, len(request.body))


def test_slots_are_limited_per_user() -> None:
    echo = EchoService()
    with running_server(echo, 1) as (port,), ExitStack() as links:

        def send(user: str) -> socket.socket:
            link = links.enter_context(socket.create_connection(("127.0.0.1", port)))
            link.sendall(
                request_head("POST", "/x", x_remote_user=user, content_length="3") + b"abc"
            )
            return link

        first = [send("ada"), send("ada")]
        wait_until(lambda: echo.active_requests == 2)
        ada_status, _, _ = send_request(port, request_head("GET", "/x", x_remote_user="ada"))
        third = send("ben")
        wait_until(
            lambda: send_request(port, request_head("GET", "/x", x_remote_user="cy"))[0] == 503
        )
        quick = send_request(port, request_head("GET", "/quick"))
        echo.release.set()
        answers = [link.recv(1000) for link in (*first, third)]

    assert ada_status == 429
    assert quick[0] == 200
    assert quick[2] < MAX_RESPONSE_S
    assert all(answer.endswith(b"\r\n\r\n3") for answer in answers)


def test_oversized_body_is_not_received() -> None:
    echo = EchoService()
    with running_server(echo, 1) as (port,):
        status, answer, _ = send_request(
            port, request_head("POST", "/x", content_length=str(1 << 21)) + b"x" * 5000
        )

    assert status == 413
    assert "expected at most 1048576 bytes, got 2097152" in answer
    assert echo.active_requests == 0


def test_large_response_is_complete() -> None:
    class LargeResponseService(EchoService):
        def admit(self, request: HttpRequest) -> Admission | HttpResponse:
            return HttpResponse(status=200, body=b"x" * (4 << 20))

    with running_server(LargeResponseService(), 1) as (port,):
        _, answer, _ = send_request(port, request_head("GET", "/"))
        _, head_response, _ = send_request(port, request_head("HEAD", "/"))

    assert len(answer.partition("\r\n\r\n")[2]) == 4 << 20
    assert head_response.endswith("\r\n\r\n")
    assert "Content-Length: 4194304" in head_response


def test_slots_are_released() -> None:
    slots = RequestSlots(2, 1)

    assert slots.acquire("ada") is None
    second, other = slots.acquire("ada"), slots.acquire("ben")
    third = slots.acquire("cy")
    slots.release("ada")

    assert other is None
    assert [answer.status for answer in (second, third) if answer] == [429, 503]
    assert slots.acquire("ada") is None
