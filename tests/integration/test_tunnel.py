"""The way out of a build's guest: the real program, real servers on this machine, real QEMU."""

import contextlib
import http.server
import ipaddress
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder.machine import tunnel
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.machine.qemu import Spec, _network, create_disk, running
from hardpan.builder.machine.tunnel import Endpoint
from hardpan.process import run
from tests.integration.wire import wired

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
SPEC = Spec(disk=Path("disk.qcow2"), vcpus=1, memory_mib=64, firmware="bios")


class Pages(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked."""

    def do_GET(self) -> None:
        body = f"{self.path} {sorted(self.headers.items())}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Echo(socketserver.BaseRequestHandler):
    """What a TLS server is to the tunnel: bytes both ways."""

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)


@contextlib.contextmanager
def serving(kind: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a server on this machine."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class Room:
    """Where QEMU would start the program."""

    def __init__(self, folder: Path, *listed: Endpoint) -> None:
        self.list = folder / "reaches.json"
        self.list.write_text(json.dumps(listed))
        self.started: list[subprocess.Popen[bytes]] = []

    def connected(self) -> socket.socket:
        """The guest's end of a connection to the program."""
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-ISB", str(Path(tunnel.__file__)), str(self.list)]
        with theirs:
            at = theirs.fileno()
            self.started.append(subprocess.Popen(argv, stdin=at, stdout=at, stderr=at))
        ours.settimeout(20)
        return ours

    def asks(self, request: bytes) -> bytes:
        """All that comes back for a request."""
        with self.connected() as guest:
            guest.sendall(request)
            return everything(guest)

    def all_ended(self) -> bool:
        return [p.wait(timeout=20) for p in self.started] == [0] * len(self.started)


def everything(guest: socket.socket) -> bytes:
    return b"".join(iter(lambda: guest.recv(1 << 16), b""))


def test_a_page_of_a_listed_server_is_got_and_no_other(tmp_path: Path) -> None:
    with serving(Pages) as mirror, serving(Pages) as other:
        room = Room(tmp_path, Endpoint("http", "127.0.0.1", mirror))
        got = room.asks(
            f"GET http://127.0.0.1:{mirror}/repodata/repomd.xml HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{other}\r\nUser-Agent: libdnf\r\nContent-Length: 9\r\n\r\n"
            "GET / HTTP/1.1\r\n\r\n".encode()
        )
        refused = room.asks(f"GET http://127.0.0.1:{other}/ HTTP/1.1\r\n\r\n".encode())
        by_name = room.asks(f"GET http://localhost:{mirror}/ HTTP/1.1\r\n\r\n".encode())
        asked_tls = room.asks(f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode())

    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert body.decode() == (
        "/repodata/repomd.xml "
        f"[('Connection', 'close'), ('Host', '127.0.0.1:{mirror}'), ('User-Agent', 'libdnf')]"
    )
    for answer in (refused, by_name, asked_tls):
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert answer.endswith(b"is not an address of the profile's repositories\n")
    assert room.all_ended()


def test_connect_carries_bytes_both_ways_until_one_side_ends(tmp_path: Path) -> None:
    much = bytes(range(256)) * 4096
    with serving(Echo) as mirror:
        room = Room(tmp_path, Endpoint("https", "localhost", mirror))
        with room.connected() as guest:
            guest.sendall(f"CONNECT localhost:{mirror} HTTP/1.1\r\n\r\nearly".encode())
            expected = b"HTTP/1.1 200 Connection established\r\n\r\nearly"
            assert exactly(guest, len(expected)) == expected
            sender = threading.Thread(target=guest.sendall, args=(much,))
            sender.start()
            assert exactly(guest, len(much)) == much
            sender.join()

        assert room.all_ended()


def exactly(guest: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = guest.recv(size - len(data))
        assert more, f"ended after {len(data)} bytes: {data[:80]!r}"
        data += more
    return data


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET http://x/ HTTP/1.1\r\nA: " + b"a" * 20_000, "at most 16384 bytes"),
        (b"POST http://127.0.0.1/ HTTP/1.1\r\n\r\n", "found 'POST http://127.0.0.1/ HTTP/1.1'"),
        (b"CONNECT nowhere.invalid:443 HTTP/1.1\r\n\r\n", "is not known by name to the build"),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", "https://127.0.0.1:1 does not answer the build"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path: Path, sent: bytes, answer: str) -> None:
    listed = [Endpoint("https", "nowhere.invalid", 443), Endpoint("https", "127.0.0.1", 1)]
    room = Room(tmp_path, *listed)

    head, _, text = room.asks(sent).decode().partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 4" if "expected" in text else "HTTP/1.1 502 Bad Gateway")
    assert text.startswith("hardpan: ")
    assert answer in text
    assert text.count("\n") == 1
    assert room.all_ended()


def test_a_guest_that_hangs_up_leaves_no_process(tmp_path: Path) -> None:
    with serving(Echo) as mirror:
        room = Room(tmp_path, Endpoint("https", "127.0.0.1", mirror))
        room.connected().close()
        with room.connected() as guest:
            guest.sendall(f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode())
            assert guest.recv(1 << 16).startswith(b"HTTP/1.1 200")

        assert room.all_ended()


def test_no_more_than_so_many_connections_at_one_time(tmp_path: Path) -> None:
    with serving(Echo) as mirror, contextlib.ExitStack() as held:
        room = Room(tmp_path, Endpoint("https", "127.0.0.1", mirror))
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()
        for _ in range(tunnel.MOST):
            guest = held.enter_context(room.connected())
            guest.sendall(request)
            assert guest.recv(1 << 16).startswith(b"HTTP/1.1 200")
        refused = room.asks(request)
        guest.close()
        room.started[tunnel.MOST - 1].wait(timeout=20)
        again = held.enter_context(room.connected())
        again.sendall(request)
        let_in = again.recv(1 << 16)

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert refused.endswith(b"hardpan: 16 connections are open already\n")
    assert let_in.startswith(b"HTTP/1.1 200")
    assert room.all_ended()


@pytest.mark.parametrize("sent", [b"", b"CONNECT 127.0."])
def test_a_guest_that_says_too_little_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(tunnel, "_HEAD_S", 0.3)

    assert b"expected a whole request within 0.3 s" in answered(tmp_path, sent)


def test_a_connection_on_which_nobody_speaks_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_IDLE_S", 0.3)
    with serving(Echo) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        said = answered(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert said == b"HTTP/1.1 200 Connection established\r\n\r\n"


class Talker(socketserver.BaseRequestHandler):
    """Says something now and then, for ever."""

    words = b"."

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.request.sendall(self.words)
                time.sleep(0.02)


def test_a_connection_ends_when_its_time_is_up_however_much_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_WHOLE_S", 0.4)
    with serving(Talker) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        said = answered(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert 0 < said.count(b".") < 100


def test_a_connection_ends_when_the_bytes_to_the_guest_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_DOWN_MOST", 1000)
    with serving(Talker) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()
        monkeypatch.setattr(Talker, "words", b"." * 700)

        said = answered(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert said.partition(b"\r\n\r\n")[2] == b"." * 1000


class Sink(socketserver.BaseRequestHandler):
    """Takes all that comes, and answers nothing."""

    taken = bytearray()
    ended = threading.Event()

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.taken.extend(data)
        self.ended.set()


def test_a_connection_ends_when_the_bytes_from_the_guest_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_UP_MOST", 1000)
    with serving(Sink) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        said = answered(tmp_path, request, Endpoint("https", "127.0.0.1", mirror), then=b"x" * 5000)
        assert Sink.ended.wait(20)

    assert said == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert Sink.taken == b"x" * 1000


OWN = """
import json, socket, sys, threading
from pathlib import Path
from hardpan.builder.machine import tunnel

listed, asked = Path(sys.argv[1]), sys.argv[2:]
server = socket.create_server(("", 80), family=socket.AF_INET6, dualstack_ipv6=True)

def serve():
    while True:
        with server.accept()[0] as one:
            one.recv(4096)
            one.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nsecret")

threading.Thread(target=serve, daemon=True).start()
resolve = socket.getaddrinfo
for name, address in (one.split("=") for one in asked):
    found = resolve(address, 80, type=socket.SOCK_STREAM)
    socket.getaddrinfo = lambda *_, found=found, **__: found
    listed.write_text(json.dumps([["http", name, 80]]))
    guest, theirs = socket.socketpair()
    guest.sendall(f"GET http://{name}/ HTTP/1.1\\r\\n\\r\\n".encode())
    if name != address:  # then no answer is waited for that will not be read
        guest.shutdown(socket.SHUT_WR)
    with theirs:
        tunnel.serve(theirs, listed)
    data = b"".join(iter(lambda: guest.recv(4096), b""))
    print(address, data.partition(b"\\r\\n\\r\\n")[2].decode().strip())
"""
"""Asks the program's own function for names that mean addresses of the machine it runs on."""

SET_UP = (
    "ip link set lo up && ip addr add 10.9.9.9/24 dev lo && "
    "ip -6 addr add 2001:db8:9::9/64 dev lo nodad && "
    'ip route add local 198.51.100.0/24 dev lo && exec "$@"'
)


def test_a_name_does_not_lead_to_an_address_of_the_build_machine(tmp_path: Path) -> None:
    """A machine of its own, as far as the network goes, with three addresses more."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    own = ("10.9.9.9", "10.9.9.255", "198.51.100.7", "2001:db8:9::9", "::ffff:10.9.9.9")
    names = [f"mirror.example={address}" for address in own]
    program = [sys.executable, "-c", OWN, tmp_path / "list.json", *names, "10.9.9.9=10.9.9.9"]

    done = run([*unshare, "sh", "-c", SET_UP, "sh", *program], timeout_s=60, cwd=REPO)

    refused = "hardpan: http://mirror.example has no address that a repository may have"
    assert done.stdout.splitlines() == [
        *(f"{address} {refused}" for address in own),
        # An address that is on the list itself is what the profile's author wants.
        "10.9.9.9 secret",
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("192.0.2.7", False), ("2001:db8::7", False)],
)
def test_the_kernel_is_asked_which_addresses_are_its_own(address: str, expected: bool) -> None:
    assert tunnel._is_own(ipaddress.ip_address(address)) is expected


def answered(tmp_path: Path, sent: bytes, *listed: Endpoint, then: bytes = b"") -> bytes:
    """What the program's own function answers, in this process, to a guest that then waits."""
    room = Room(tmp_path, *listed)
    guest, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            tunnel.serve(theirs, room.list)

    thread = threading.Thread(target=serve)
    thread.start()
    with guest:
        guest.settimeout(20)
        guest.sendall(sent)
        said = b""
        if then:
            said = guest.recv(1 << 16)
            guest.sendall(then)
        # A socket that is closed on unread bytes resets its peer.
        with contextlib.suppress(ConnectionResetError):
            said += everything(guest)
    thread.join(timeout=20)
    assert not thread.is_alive()
    return said


def test_qemu_takes_the_way_out_whatever_its_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "a, b'c"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    create_disk(tmp_path / "disk.qcow2", size_mib=1)
    mirror = Endpoint("https", "mirror.example", 443)
    spec = replace(SPEC, disk=tmp_path / "disk.qcow2", reaches=(mirror,))

    with running(spec, acceleration(), log=tmp_path / "log") as machine:
        (listed,) = room.glob("*/reaches.json")
        assert machine.control is not None
        told = machine.control.call("query-status")
        assert isinstance(told, dict)
        assert told["running"]
        assert json.loads(listed.read_text()) == [["https", "mirror.example", 443]]
        assert listed.stat().st_mode & 0o777 == 0o600


PROXY = ("10.0.2.100", 3128)


def test_a_guest_reaches_what_is_listed_by_its_proxy_and_nobody_else(tmp_path: Path) -> None:
    with serving(Pages) as mirror, serving(Pages) as other:
        room = Room(tmp_path, Endpoint("http", "127.0.0.1", mirror))
        spec = replace(SPEC, reaches=(Endpoint("http", "127.0.0.1", mirror),))
        with wired(_network(spec, room.list.parent), tmp_path) as wire:
            assert wire.is_there(PROXY[0]), (tmp_path / "wire.log").read_text()
            got = wire.asks(*PROXY, f"GET http://127.0.0.1:{mirror}/x HTTP/1.1\r\n\r\n".encode())
            refused = wire.asks(*PROXY, f"GET http://127.0.0.1:{other}/ HTTP/1.1\r\n\r\n".encode())
            # Past the proxy there is no way: not to this machine, which a user network has at
            # 10.0.2.2, not to another port of the proxy's address, not further.
            past = [(PROXY[0], mirror), ("10.0.2.2", mirror), ("127.0.0.1", mirror)]
            reached = [wire.answers(*one) for one in past]

    assert got.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"/x [('Connection', 'close'), ('Host', '127.0.0.1" in got
    assert refused.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert reached == ["refused"] * 3


def test_a_guest_of_layers_without_repositories_reaches_nobody(tmp_path: Path) -> None:
    with serving(Pages) as other:
        with wired(_network(SPEC, tmp_path), tmp_path) as wire:
            assert wire.is_there("10.0.2.2"), (tmp_path / "wire.log").read_text()
            assert wire.answers(*PROXY) == "refused"
            assert wire.answers("10.0.2.2", other) == "refused"
        # The wire itself would tell: without the restriction the same address answers.
        open_to_all = _network(SPEC, tmp_path).replace("restrict=on", "restrict=off")
        with wired(open_to_all, tmp_path) as wire:
            assert wire.is_there("10.0.2.2")
            assert wire.answers("10.0.2.2", other) == "accepted"
