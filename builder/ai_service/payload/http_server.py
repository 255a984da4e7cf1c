"""HTTP server of a service behind the proxy: loopback only, all resources limited.

One thread receives and sends for all connections, so a connection that sends nothing costs
a file descriptor and no thread. Work is done in pools of threads: each kind of work has its
own threads and slots, and a request that exceeds them is refused at once.
"""

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Protocol

HOST = "127.0.0.1"
MAX_CONNECTIONS = 512
"""Per port. Beyond it, the oldest connection with an incomplete request is closed."""

MAX_HEAD_BYTES = 32 * 1024
_MAX_HEADERS = 100
_HEAD_TIMEOUT_S, _BODY_TIMEOUT_S, _SEND_TIMEOUT_S, _LINGER_TIMEOUT_S = 10.0, 30.0, 30.0, 2.0
_ACCEPT_PAUSE_S = 0.05
_RETRY_AFTER_S = 2
_BACKLOG = 512
_CHUNK_BYTES = _SMALL_BODY_BYTES = 64 * 1024
_CONTENT_LENGTH = re.compile(r"[0-9]{1,12}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Keyed by lower-case name; values of repeated headers are joined by commas."""

    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPool:
    """Threads and slots for one kind of work."""

    name: str
    threads: int
    slots: int
    """Requests that are queued, in progress, or whose large body is being received."""

    slots_per_user: int
    max_body_bytes: int
    """In bytes; bodies take at most ``slots`` times this much memory."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The pool of a request, and the user whose slots it takes."""

    pool: WorkerPool
    user: str


class HttpService(Protocol):
    """A service: its thread pools, admission and responses."""

    @property
    def pools(self) -> Sequence[WorkerPool]:
        """The pools that ``admit`` can return."""

    def admit(self, request: HttpRequest) -> Admission | HttpResponse:
        """Decide from the request head alone; must not block."""

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer an admitted request; runs in a thread of its pool."""


def json_response(status: int, value: object) -> HttpResponse:
    """Return a JSON response."""
    body = json.dumps(value).encode()
    return HttpResponse(status=status, body=body, headers=(("Content-Type", "application/json"),))


def error_response(status: int, message: str) -> HttpResponse:
    """Return an error in the format of OpenAI's API."""
    return json_response(status, {"error": {"message": message, "type": "refused", "code": status}})


def busy_response(status: int, message: str) -> HttpResponse:
    """Return a temporary refusal with a Retry-After header."""
    response = error_response(status, message)
    return replace(response, headers=(*response.headers, ("Retry-After", str(_RETRY_AFTER_S))))


class RequestSlots:
    """Counts running requests, in total and per user; never blocks."""

    def __init__(self, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._lock = threading.Lock()
        self._used: Counter[str] = Counter()

    def acquire(self, user: str) -> HttpResponse | None:
        """Take a slot for ``user``, or return the refusal."""
        with self._lock:
            if self._used.total() >= self._total:
                return busy_response(503, "the service is busy; try again")
            if self._used[user] >= self._per_user:
                return busy_response(429, "too many of your requests are under way; try again")
            self._used[user] += 1
        return None

    def release(self, user: str) -> None:
        """Release a slot."""
        with self._lock:
            self._used[user] -= 1
            if not self._used[user]:
                del self._used[user]


class HttpServer:
    """Listens on loopback ports; each has its own connection limit."""

    def __init__(self, ports: Sequence[int], service: HttpService) -> None:
        self._service = service
        self._ports = [
            _ListeningPort(socket.create_server((HOST, p), backlog=_BACKLOG)) for p in ports
        ]
        self.ports = [int(p.listener.getsockname()[1]) for p in self._ports]
        self._slots = {p.name: RequestSlots(p.slots, p.slots_per_user) for p in service.pools}
        self._threads: dict[str, Executor] = {}
        self._stop: Callable[[], object] = lambda: None
        self._started = threading.Event()

    def serve_forever(self) -> None:
        """Serve until ``shutdown`` is called from another thread."""
        with contextlib.ExitStack() as stack:
            for port in self._ports:
                port.listener.setblocking(False)
                stack.enter_context(port.listener)
            for pool in self._service.pools:
                threads = ThreadPoolExecutor(pool.threads, thread_name_prefix=pool.name)
                self._threads[pool.name] = stack.enter_context(threads)
            asyncio.run(self._serve())

    def shutdown(self) -> None:
        """Make ``serve_forever`` return."""
        self._started.wait()
        self._stop()

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        accepting = [asyncio.create_task(self._accept(port)) for port in self._ports]
        self._started.set()
        stopping = asyncio.create_task(stop.wait())
        # If a port can no longer accept, the service ends and systemd restarts it.
        done, _ = await asyncio.wait([stopping, *accepting], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _accept(self, port: "_ListeningPort") -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(port.listener)
            except OSError:  # no file descriptor is free, or the client has gone again
                port.close_oldest()
                await asyncio.sleep(_ACCEPT_PAUSE_S)
                continue
            if len(port.connections) >= MAX_CONNECTIONS and not port.close_oldest():
                connection.close()
                continue
            port.add(asyncio.create_task(self._handle_connection(port, connection)), connection)
            await asyncio.sleep(0)  # the other port's turn

    async def _handle_connection(self, port: "_ListeningPort", connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD_BYTES)
        # So that drain() returns only when everything is sent.
        writer.transport.set_write_buffer_limits(0)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._handle_request(port, reader, writer)
        finally:
            writer.transport.abort()

    async def _handle_request(
        self, port: "_ListeningPort", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Receive one request and answer it."""
        head_only = False
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                request = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError:
            response = error_response(431, f"expected a head of at most {MAX_HEAD_BYTES} bytes")
        except ValueError as e:
            response = error_response(400, str(e))
        else:
            head_only = request.method == "HEAD"
            response = await self._respond(port, request, reader)
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            writer.write(_serialize(response, head_only=head_only))
            await writer.drain()
            writer.write_eof()
        # Closed with unread input the kernel would reset the connection, and the client lose
        # the answer.
        async with asyncio.timeout(_LINGER_TIMEOUT_S):
            while await reader.read(_CHUNK_BYTES):
                pass

    async def _respond(
        self, port: "_ListeningPort", request: HttpRequest, reader: asyncio.StreamReader
    ) -> HttpResponse:
        """Answer one request, whose body is still to be received."""
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not _CONTENT_LENGTH.fullmatch(length):
            return error_response(411, "expected a body of a known length")
        admission = self._service.admit(request)
        if isinstance(admission, HttpResponse):
            return admission
        pool, user, size = admission.pool, admission.user, int(length)
        if size > pool.max_body_bytes:
            return error_response(413, f"expected at most {pool.max_body_bytes} bytes, got {size}")
        body = b""
        if pool.max_body_bytes <= _SMALL_BODY_BYTES:
            # A body that never ends takes no slot.
            body = await _read_body(reader, size)
        slots = self._slots[pool.name]
        refusal = slots.acquire(user)
        if refusal:
            return refusal
        try:
            if pool.max_body_bytes > _SMALL_BODY_BYTES:
                body = await _read_body(reader, size)
            request = replace(request, body=body)
            with port.keep_open():
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads[pool.name], self._service.handle, request
                )
        finally:
            slots.release(user)


class _ListeningPort:
    """One listening socket and its connections."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connections: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """Connections that receive or linger, oldest first; a new one may replace them."""

    def add(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        """Count a connection until its task ends."""
        self.connections.add(task)
        self._waiting[task] = None
        task.add_done_callback(self._forget)
        task.add_done_callback(lambda _: connection.close())

    def close_oldest(self) -> bool:
        """Close the longest waiting connection; return whether there was one."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        oldest.cancel()
        self._forget(oldest)
        return True

    @contextlib.contextmanager
    def keep_open(self) -> Iterator[None]:
        """Protect the current task's connection from being closed for a new one."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._waiting.pop(task, None)
        try:
            yield
        finally:
            self._waiting[task] = None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.connections.discard(task)
        self._waiting.pop(task, None)


async def _read_body(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(_BODY_TIMEOUT_S):
        return await reader.readexactly(size)


def _parse_head(head: bytes) -> HttpRequest:
    """Parse the head of a request.

    Raises:
        ValueError: the head is not valid HTTP, or has too many headers.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        raise ValueError("expected a request line of HTTP/1.0 or HTTP/1.1")
    if len(lines) > _MAX_HEADERS:
        raise ValueError(f"expected at most {_MAX_HEADERS} headers, got {len(lines)}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name) or _CONTROL_CHARACTER.search(value):
            raise ValueError("expected headers of the form NAME: VALUE")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return HttpRequest(method=request_line[1], path=request_line[2], headers=headers)


def _serialize(response: HttpResponse, *, head_only: bool) -> bytes:
    """Return the response as bytes."""
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines += [f"Content-Length: {len(response.body)}", "Connection: close"]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode("latin-1") + (b"" if head_only else response.body)
