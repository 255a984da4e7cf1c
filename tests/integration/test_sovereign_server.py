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

from hardpan.builder.layers.sovereign import accounts, login, web
from hardpan.builder.layers.sovereign.login import COOKIE, Gate
from hardpan.builder.layers.sovereign.web import (
    Admission,
    Answer,
    Pool,
    Request,
    Server,
    Service,
    Slots,
    told,
)

pytestmark = pytest.mark.integration

MAX_ANSWER_S = 0.2
FLOOD = 500
FORM = urlencode({"name": "ada", "password": "wrong"})


@contextmanager
def serving(service: Service, ports: int = 2) -> Iterator[list[int]]:
    server = Server([0] * ports, service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.ports
    finally:
        server.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def head(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def form(body: str = FORM, **headers: str) -> bytes:
    sent = {"sec_fetch_site": "same-origin", "content_length": str(len(body)), **headers}
    return head("POST", "/login", **sent) + body.encode()


def ask(port: int, sent: bytes) -> tuple[int, str, float]:
    """Status, whole answer and seconds of one request."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(sent)
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    text = answer.decode("latin-1")
    return int(text.split()[1]), text, time.monotonic() - start


async def _ask_later(port: int, sent: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return (await reader.read()).decode("latin-1")
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr(accounts, "ROUNDS", 10)
    stored = accounts.password_hash("right horse", rounds=10)
    held = {"users": [{"name": "ada", "hash": stored}], "keys": []}
    (tmp_path / "login.json").write_text(json.dumps(held))
    return Gate([tmp_path / "login.json"], session_s=3600)


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashes end when the event is set."""
    end = threading.Event()

    def wait(_password: str, _stored: str) -> bool:
        return not end.wait(30)

    monkeypatch.setattr(accounts, "matches", wait)
    yield end
    end.set()


def test_flood_of_logins_delays_no_health_and_no_session_check(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    right = accounts.matches

    def wait(password: str, stored: str) -> bool:
        release.wait(30)
        return right(password, stored)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))

    async def flood(port: int) -> list[str]:
        sent = [form(x_real_ip=f"10.9.{n // 250}.{n % 250}") for n in range(FLOOD)]
        waiting = {asyncio.create_task(_ask_later(port, each)) for each in sent}
        answers = []
        while len(waiting) > login.MAX_WAITING:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            answers += [task.result() for task in done]
        release.set()
        return answers + await asyncio.gather(*waiting)

    with serving(gate) as (checks, forms):
        _, answer, _ = ask(forms, form(urlencode({"name": "ada", "password": "right horse"})))
        session = answer.partition("Set-Cookie: ")[2].partition(";")[0]
        monkeypatch.setattr(accounts, "matches", wait)
        answers: list[str] = []
        flooding = threading.Thread(target=lambda: answers.extend(asyncio.run(flood(forms))))
        flooding.start()
        took = []
        while flooding.is_alive() and not release.is_set():
            assert ask(checks, head("GET", "/health"))[0] == 200
            took.append(ask(checks, head("GET", "/check", cookie=session, x_original_method="GET")))
            time.sleep(0.01)
        flooding.join(30)
        after = ask(checks, head("GET", "/check", cookie=session, x_original_method="GET"))

    statuses = Counter(answer.split()[1] for answer in answers)
    assert statuses["503"] >= FLOOD - login.MAX_WAITING
    assert statuses["503"] + statuses["401"] == FLOOD
    assert all("\r\nRetry-After: " in answer for answer in answers if " 503 " in answer[:20])
    assert {status for status, _, _ in took} == {204}
    assert sorted(s for _, _, s in took)[len(took) * 9 // 10] < MAX_ANSWER_S
    assert after[0] == 204


def test_health_is_quick_while_every_login_slot_is_taken(
    gate: Gate, slow_hash: threading.Event
) -> None:
    with serving(gate) as (checks, forms), ExitStack() as open_links:
        for n in range(login.MAX_WAITING):
            link = open_links.enter_context(socket.create_connection(("127.0.0.1", forms)))
            link.sendall(form(x_real_ip=f"10.1.1.{n}"))
        until(lambda: ask(forms, form(x_real_ip="10.2.2.2"))[0] == 503)
        status, _, took = ask(checks, head("GET", "/health"))
        same_port = ask(forms, head("GET", "/health"))
        slow_hash.set()

    assert status == 200
    assert took < MAX_ANSWER_S
    assert same_port[0] == 200
    assert same_port[2] < MAX_ANSWER_S


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


HELD_OPEN = {
    "silent": b"",
    "half a request line": b"POST /lo",
    "half a head": b"POST /login HTTP/1.1\r\nHost: localhost\r\n",
    "no body": form()[: -len(FORM)],
    "half a body": form()[:-5],
}


@pytest.mark.parametrize("sent", HELD_OPEN.values(), ids=HELD_OPEN)
@pytest.mark.parametrize("port", [0, 1], ids=["check port", "form port"])
def test_connections_held_open_keep_nobody_out(
    gate: Gate, sent: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_CONNECTIONS", 64)

    with serving(gate) as ports, ExitStack() as held:
        for _ in range(128):
            link = held.enter_context(socket.create_connection(("127.0.0.1", ports[port])))
            link.sendall(sent)
        status, _, took = ask(ports[0], head("GET", "/health"))
        entered, _, _ = ask(ports[1], form(urlencode({"name": "ada", "password": "right horse"})))

    assert status == 200
    assert took < MAX_ANSWER_S
    assert entered == 303


def test_request_that_never_ends_is_closed(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_HEAD_S", 0.2)

    with serving(gate) as (checks, _), socket.create_connection(("127.0.0.1", checks)) as link:
        link.settimeout(5)
        link.sendall(b"GET /health HTTP/1.1\r\n")
        for _ in range(4):  # drop by drop: the time is for the whole head
            time.sleep(0.04)
            link.sendall(b"A")
        rest = link.recv(100)

    assert rest == b""


BAD_REQUESTS = {
    "huge header": (head("GET", "/health", a="x" * 100_000), "431"),
    "head without end": (b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, "431"),
    "too many headers": (head("GET", "/health", **{f"a{n}": "b" for n in range(101)}), "400"),
    "spaces": (head("GET", "/health", a=" " * 30_000 + "x"), "200"),
    "no HTTP": (b"hello\r\n\r\n", "400"),
    "absolute target": (head("GET", "http://elsewhere/health"), "400"),
    "control character": (head("GET", "/health", a="b\x00c"), "400"),
    "folded header": (b"GET /health HTTP/1.1\r\na: b\r\n c\r\n\r\n", "400"),
    "space before the colon": (b"GET /health HTTP/1.1\r\nCookie : a\r\n\r\n", "400"),
    "chunked body": (head("POST", "/login", transfer_encoding="chunked"), "411"),
    "two lengths": (
        head("POST", "/login", content_length="1")[:-2] + b"Content-Length: 2\r\n\r\n",
        "411",
    ),
    "negative length": (head("POST", "/login", content_length="-1"), "411"),
    "huge length": (head("POST", "/login", content_length="9" * 12), "413"),
}


@pytest.mark.parametrize(("sent", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_malformed_request_is_refused_at_once(gate: Gate, sent: bytes, status: str) -> None:
    with serving(gate) as (checks, _):
        answered, _, took = ask(checks, sent)
        health = ask(checks, head("GET", "/health"))

    assert str(answered) == status
    assert took < 2
    assert health[0] == 200
    assert health[2] < MAX_ANSWER_S


def test_twice_sent_header_is_not_the_last_ones_alone(gate: Gate) -> None:
    cookie = f"{COOKIE}=a"
    request = web._parse(head("GET", "/check", cookie=cookie)[:-2] + b"Cookie: x=1\r\n\r\n")

    assert request.headers["cookie"] == f"{cookie}, x=1"
    assert gate.handle(request).status == 401


class Echo:
    """Answers with the length of the body when it may."""

    pools = (Pool(name="echo", threads=2, slots=3, slots_per_user=2, max_body=1 << 20),)

    def __init__(self) -> None:
        self.go = threading.Event()
        self.at_work = 0

    def admit(self, request: Request) -> Admission | Answer:
        if request.path == "/quick":
            return told(200, {})
        return Admission(self.pools[0], request.headers.get("x-remote-user", ""))

    def handle(self, request: Request) -> Answer:
        self.at_work += 1
        self.go.wait(10)
        return told(200, len(request.body))


def test_each_user_has_a_share_of_the_slots() -> None:
    echo = Echo()
    with serving(echo, 1) as (port,), ExitStack() as links:

        def send(user: str) -> socket.socket:
            link = links.enter_context(socket.create_connection(("127.0.0.1", port)))
            link.sendall(head("POST", "/x", x_remote_user=user, content_length="3") + b"abc")
            return link

        first = [send("ada"), send("ada")]
        until(lambda: echo.at_work == 2)
        of_ada, _, _ = ask(port, head("GET", "/x", x_remote_user="ada"))
        third = send("ben")
        until(lambda: ask(port, head("GET", "/x", x_remote_user="cy"))[0] == 503)
        quick = ask(port, head("GET", "/quick"))
        echo.go.set()
        answers = [link.recv(1000) for link in (*first, third)]

    assert of_ada == 429
    assert quick[0] == 200
    assert quick[2] < MAX_ANSWER_S
    assert all(answer.endswith(b"\r\n\r\n3") for answer in answers)


def test_body_that_is_refused_is_not_received() -> None:
    echo = Echo()
    with serving(echo, 1) as (port,):
        status, answer, _ = ask(port, head("POST", "/x", content_length=str(1 << 21)) + b"x" * 5000)

    assert status == 413
    assert "expected at most 1048576 bytes, got 2097152" in answer
    assert echo.at_work == 0


def test_large_answer_arrives_whole() -> None:
    class Large(Echo):
        def admit(self, request: Request) -> Admission | Answer:
            return Answer(status=200, body=b"x" * (4 << 20))

    with serving(Large(), 1) as (port,):
        _, answer, _ = ask(port, head("GET", "/"))
        _, without, _ = ask(port, head("HEAD", "/"))

    assert len(answer.partition("\r\n\r\n")[2]) == 4 << 20
    assert without.endswith("\r\n\r\n")
    assert "Content-Length: 4194304" in without


def test_slots_are_given_back() -> None:
    slots = Slots(2, 1)

    assert slots.take("ada") is None
    second, other = slots.take("ada"), slots.take("ben")
    third = slots.take("cy")
    slots.free("ada")

    assert other is None
    assert [answer.status for answer in (second, third) if answer] == [429, 503]
    assert slots.take("ada") is None
