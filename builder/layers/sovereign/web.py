"""The HTTP server of a service behind the proxy: loopback only, bounded in every direction.

One thread receives and sends for all connections, so a connection that sends nothing costs
a file descriptor and no thread. Work is done in pools of threads: each kind of work has its
own threads and slots, and a request that finds them taken is answered at once.
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
"""Of each port. At one more, the oldest connection whose request is incomplete is closed."""

MAX_HEAD_BYTES = 32 * 1024
_MAX_HEADERS = 100
_HEAD_S, _BODY_S, _SEND_S, _LINGER_S = 10.0, 30.0, 30.0, 2.0
_PAUSE_S = 0.05
_RETRY_S = 2
_BACKLOG = 512
_CHUNK_BYTES = _SMALL_BODY_BYTES = 64 * 1024
_LENGTH = re.compile(r"[0-9]{1,12}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_START = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name; the values of a name that comes twice are joined by commas."""

    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Threads and slots for one kind of work."""

    name: str
    threads: int
    slots: int
    """Requests that wait for a thread or are at work, or whose large body is received."""

    slots_per_user: int
    max_body: int
    """Bytes; so ``slots`` times this is what bodies take of the memory."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The pool that a request is for, and the user whose slots it takes."""

    pool: Pool
    user: str


class Service(Protocol):
    """What a server serves."""

    @property
    def pools(self) -> Sequence[Pool]:
        """The pools that ``admit`` names."""

    def admit(self, request: Request) -> Admission | Answer:
        """Decide by the head alone; must not wait for anything."""

    def handle(self, request: Request) -> Answer:
        """Answer an admitted request; runs in a thread of its pool."""


def told(status: int, value: object) -> Answer:
    """An answer in JSON."""
    body = json.dumps(value).encode()
    return Answer(status=status, body=body, headers=(("Content-Type", "application/json"),))


def refused(status: int, why: str) -> Answer:
    """A refusal in the form that clients of OpenAI's interface read."""
    return told(status, {"error": {"message": why, "type": "refused", "code": status}})


def busy(status: int, why: str) -> Answer:
    """A refusal that ends by itself: the client is told when to try again."""
    answer = refused(status, why)
    return replace(answer, headers=(*answer.headers, ("Retry-After", str(_RETRY_S))))


class Slots:
    """Counts work under way, in total and for each user; never waits."""

    def __init__(self, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, user: str) -> Answer | None:
        """Take a slot for ``user``, or return the refusal."""
        with self._lock:
            if self._taken.total() >= self._total:
                return busy(503, "the service is busy; try again")
            if self._taken[user] >= self._per_user:
                return busy(429, "too many of your requests are under way; try again")
            self._taken[user] += 1
        return None

    def free(self, user: str) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken[user] -= 1
            if not self._taken[user]:
                del self._taken[user]


class Server:
    """Listens on ports of the loopback; each has its own limit of connections."""

    def __init__(self, ports: Sequence[int], service: Service) -> None:
        self._service = service
        self._ports = [_Port(socket.create_server((HOST, p), backlog=_BACKLOG)) for p in ports]
        self.ports = [int(p.listener.getsockname()[1]) for p in self._ports]
        self._slots = {p.name: Slots(p.slots, p.slots_per_user) for p in service.pools}
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
        # A port that can no longer accept ends the service, and systemd starts it again.
        done, _ = await asyncio.wait([stopping, *accepting], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _accept(self, port: "_Port") -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                link, _ = await loop.sock_accept(port.listener)
            except OSError:  # no file descriptor is free, or the client has gone again
                port.close_oldest()
                await asyncio.sleep(_PAUSE_S)
                continue
            if len(port.open) >= MAX_CONNECTIONS and not port.close_oldest():
                link.close()
                continue
            port.add(asyncio.create_task(self._talk(port, link)), link)
            await asyncio.sleep(0)  # the other port's turn

    async def _talk(self, port: "_Port", link: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=link, limit=MAX_HEAD_BYTES)
        # So that drain() returns when everything is sent.
        writer.transport.set_write_buffer_limits(0)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._exchange(port, reader, writer)
        finally:
            writer.transport.abort()

    async def _exchange(
        self, port: "_Port", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Receive one request and answer it."""
        head_only = False
        try:
            async with asyncio.timeout(_HEAD_S):
                request = _parse(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError:
            answer = refused(431, f"expected a head of at most {MAX_HEAD_BYTES} bytes")
        except ValueError as e:
            answer = refused(400, str(e))
        else:
            head_only = request.method == "HEAD"
            answer = await self._answer(port, request, reader)
        async with asyncio.timeout(_SEND_S):
            writer.write(_packed(answer, head_only=head_only))
            await writer.drain()
            writer.write_eof()
        # Closed with unread input the kernel would reset the connection, and the client lose
        # the answer.
        async with asyncio.timeout(_LINGER_S):
            while await reader.read(_CHUNK_BYTES):
                pass

    async def _answer(
        self, port: "_Port", request: Request, reader: asyncio.StreamReader
    ) -> Answer:
        """Answer one request, whose body is still to be received."""
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not _LENGTH.fullmatch(length):
            return refused(411, "expected a body of a known length")
        admission = self._service.admit(request)
        if isinstance(admission, Answer):
            return admission
        pool, user, size = admission.pool, admission.user, int(length)
        if size > pool.max_body:
            return refused(413, f"expected at most {pool.max_body} bytes, got {size}")
        body = b""
        if pool.max_body <= _SMALL_BODY_BYTES:
            # A body that never ends takes no slot.
            body = await _read_body(reader, size)
        slots = self._slots[pool.name]
        refusal = slots.take(user)
        if refusal:
            return refusal
        try:
            if pool.max_body > _SMALL_BODY_BYTES:
                body = await _read_body(reader, size)
            request = replace(request, body=body)
            with port.at_work():
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads[pool.name], self._service.handle, request
                )
        finally:
            slots.free(user)


class _Port:
    """One listening socket and its connections."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.open: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """Those that receive or linger, oldest first; they may be closed for a new one."""

    def add(self, task: asyncio.Task[None], link: socket.socket) -> None:
        """Count a connection until its task ends."""
        self.open.add(task)
        self._waiting[task] = None
        task.add_done_callback(self._forget)
        task.add_done_callback(lambda _: link.close())

    def close_oldest(self) -> bool:
        """Close the connection that has waited longest; whether there was one."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        oldest.cancel()
        self._forget(oldest)
        return True

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep the current task's connection open whatever comes."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._waiting.pop(task, None)
        try:
            yield
        finally:
            self._waiting[task] = None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.open.discard(task)
        self._waiting.pop(task, None)


async def _read_body(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(_BODY_S):
        return await reader.readexactly(size)


def _parse(head: bytes) -> Request:
    """The request of this head.

    Raises:
        ValueError: it is not of HTTP's form, or has too many headers.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    start = _START.fullmatch(first)
    if start is None:
        raise ValueError("expected a request line of HTTP/1.0 or HTTP/1.1")
    if len(lines) > _MAX_HEADERS:
        raise ValueError(f"expected at most {_MAX_HEADERS} headers, got {len(lines)}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise ValueError("expected headers of the form NAME: VALUE")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(method=start[1], path=start[2], headers=headers)


def _packed(answer: Answer, *, head_only: bool) -> bytes:
    """The answer as it is sent."""
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"Content-Length: {len(answer.body)}", "Connection: close"]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode("latin-1") + (b"" if head_only else answer.body)
