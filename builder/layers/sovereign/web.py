"""The HTTP door of a service behind the proxy: loopback alone, bounded in every direction.

The proxy reads requests whole before it hands them on, so nothing slow arrives here.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer

HOST = "127.0.0.1"
_AT_ONCE = 16
_READ_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""

    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Handle = Callable[[Request], Answer]


def told(status: int, value: object) -> Answer:
    """An answer in JSON."""
    body = json.dumps(value).encode()
    return Answer(status=status, body=body, headers=(("Content-Type", "application/json"),))


def refused(status: int, why: str) -> Answer:
    """A refusal in the form that clients of OpenAI's interface read."""
    return told(status, {"error": {"message": why, "type": "refused", "code": status}})


class Server(ThreadingHTTPServer):
    """Listens on the loopback and asks ``handle``; few requests at a time, the rest wait."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, handle: Handle, *, body_most: int) -> None:
        self.handle = handle
        self.body_most = body_most
        self.free = threading.Semaphore(_AT_ONCE)
        super().__init__((HOST, port), _Asked)


class _Asked(BaseHTTPRequestHandler):
    timeout = _READ_S
    server_version = "hardpan"
    sys_version = ""

    def __init__(self, request: object, address: object, server: BaseServer) -> None:
        assert isinstance(server, Server)  # noqa: S101 - for the type checker
        self.ours = server
        super().__init__(request, address, server)  # type: ignore[arg-type]

    def _answer(self) -> None:
        size = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not (size.isascii() and size.isdigit()):
            self._send(refused(411, "expected a body of a known length"))
        elif int(size) > self.ours.body_most:
            self._send(refused(413, f"expected at most {self.ours.body_most} bytes"))
        else:
            asked = Request(
                method=self.command,
                path=self.path,
                headers={k.lower(): v for k, v in self.headers.items()},
                body=self.rfile.read(int(size)),
            )
            with self.ours.free:
                answer = self.ours.handle(asked)
            self._send(answer)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = do_OPTIONS = _answer  # noqa: N815

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """The proxy keeps the one access log."""
