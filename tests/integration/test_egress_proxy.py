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

from hardpan.builder.vm import egress_proxy
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.network import network_option
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import start_vm
from hardpan.core.process import run
from tests.integration.frame_socket import open_frame_socket

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
SPEC = VmSpec(disk=Path("disk.qcow2"), vcpus=1, memory_mib=64, firmware="bios")


class EchoRequestHandler(http.server.BaseHTTPRequestHandler):
    """Record each request."""

    def do_GET(self) -> None:
        body = f"{self.path} {sorted(self.headers.items())}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class EchoHandler(socketserver.BaseRequestHandler):
    """What a TLS server is to the proxy: bytes both ways."""

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)


@contextlib.contextmanager
def serve(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a server on this machine."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class ProxyFixture:
    """Where QEMU would start the program."""

    def __init__(self, folder: Path, *endpoints: Endpoint) -> None:
        self.endpoints_file = folder / "allowed-endpoints.json"
        self.endpoints_file.write_text(json.dumps(endpoints))
        self.processes: list[subprocess.Popen[bytes]] = []

    def connect(self) -> socket.socket:
        """The guest's end of a connection to the program."""
        guest, proxy_end = socket.socketpair()
        argv = [sys.executable, "-ISB", str(Path(egress_proxy.__file__)), str(self.endpoints_file)]
        with proxy_end:
            descriptor = proxy_end.fileno()
            self.processes.append(
                subprocess.Popen(argv, stdin=descriptor, stdout=descriptor, stderr=descriptor)
            )
        guest.settimeout(20)
        return guest

    def request(self, data: bytes) -> bytes:
        """All that comes back for a request."""
        with self.connect() as guest:
            guest.sendall(data)
            return read_all(guest)

    def all_exited_cleanly(self) -> bool:
        return [p.wait(timeout=20) for p in self.processes] == [0] * len(self.processes)


def read_all(guest: socket.socket) -> bytes:
    return b"".join(iter(lambda: guest.recv(1 << 16), b""))


def test_http_request_to_allowed_server_is_forwarded_only(tmp_path: Path) -> None:
    with serve(EchoRequestHandler) as mirror, serve(EchoRequestHandler) as other:
        proxy = ProxyFixture(tmp_path, Endpoint("http", "127.0.0.1", mirror))
        response = proxy.request(
            f"GET http://127.0.0.1:{mirror}/repodata/repomd.xml HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{other}\r\nUser-Agent: libdnf\r\nContent-Length: 9\r\n\r\n"
            "GET / HTTP/1.1\r\n\r\n".encode()
        )
        refused = proxy.request(f"GET http://127.0.0.1:{other}/ HTTP/1.1\r\n\r\n".encode())
        by_host_name = proxy.request(f"GET http://localhost:{mirror}/ HTTP/1.1\r\n\r\n".encode())
        by_connect = proxy.request(f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode())

    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert body.decode() == (
        "/repodata/repomd.xml "
        f"[('Connection', 'close'), ('Host', '127.0.0.1:{mirror}'), ('User-Agent', 'libdnf')]"
    )
    for answer in (refused, by_host_name, by_connect):
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert answer.endswith(b"is not an address of the profile's repositories\n")
    assert proxy.all_exited_cleanly()


def test_connect_relays_bytes_in_both_directions(tmp_path: Path) -> None:
    payload = bytes(range(256)) * 4096
    with serve(EchoHandler) as mirror:
        proxy = ProxyFixture(tmp_path, Endpoint("https", "localhost", mirror))
        with proxy.connect() as guest:
            guest.sendall(f"CONNECT localhost:{mirror} HTTP/1.1\r\n\r\nearly".encode())
            expected = b"HTTP/1.1 200 Connection established\r\n\r\nearly"
            assert read_exactly(guest, len(expected)) == expected
            sender = threading.Thread(target=guest.sendall, args=(payload,))
            sender.start()
            assert read_exactly(guest, len(payload)) == payload
            sender.join()

        assert proxy.all_exited_cleanly()


def read_exactly(guest: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = guest.recv(size - len(data))
        assert chunk, f"ended after {len(data)} bytes: {data[:80]!r}"
        data += chunk
    return data


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET http://x/ HTTP/1.1\r\nA: " + b"a" * 20_000, "at most 16384 bytes"),
        (b"POST http://127.0.0.1/ HTTP/1.1\r\n\r\n", "got 'POST http://127.0.0.1/ HTTP/1.1'"),
        (b"CONNECT nowhere.invalid:443 HTTP/1.1\r\n\r\n", "cannot be resolved by the build"),
        (
            b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
            "https://127.0.0.1:1 does not respond to the build",
        ),
    ],
)
def test_refusal_is_a_single_line(tmp_path: Path, sent: bytes, answer: str) -> None:
    endpoints = [Endpoint("https", "nowhere.invalid", 443), Endpoint("https", "127.0.0.1", 1)]
    proxy = ProxyFixture(tmp_path, *endpoints)

    head, _, text = proxy.request(sent).decode().partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 4" if "expected" in text else "HTTP/1.1 502 Bad Gateway")
    assert text.startswith("hardpan: ")
    assert answer in text
    assert text.count("\n") == 1
    assert proxy.all_exited_cleanly()


def test_disconnected_guest_leaves_no_process(tmp_path: Path) -> None:
    with serve(EchoHandler) as mirror:
        proxy = ProxyFixture(tmp_path, Endpoint("https", "127.0.0.1", mirror))
        proxy.connect().close()
        with proxy.connect() as guest:
            guest.sendall(f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode())
            assert guest.recv(1 << 16).startswith(b"HTTP/1.1 200")

        assert proxy.all_exited_cleanly()


def test_connection_count_is_limited(tmp_path: Path) -> None:
    with serve(EchoHandler) as mirror, contextlib.ExitStack() as stack:
        proxy = ProxyFixture(tmp_path, Endpoint("https", "127.0.0.1", mirror))
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()
        for _ in range(egress_proxy.MAX_CONNECTIONS):
            guest = stack.enter_context(proxy.connect())
            guest.sendall(request)
            assert guest.recv(1 << 16).startswith(b"HTTP/1.1 200")
        refused = proxy.request(request)
        guest.close()
        proxy.processes[egress_proxy.MAX_CONNECTIONS - 1].wait(timeout=20)
        next_guest = stack.enter_context(proxy.connect())
        next_guest.sendall(request)
        next_response = next_guest.recv(1 << 16)

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert refused.endswith(b"hardpan: 16 connections are already open\n")
    assert next_response.startswith(b"HTTP/1.1 200")
    assert proxy.all_exited_cleanly()


@pytest.mark.parametrize("sent", [b"", b"CONNECT 127.0."])
def test_incomplete_request_times_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(egress_proxy, "_HEAD_TIMEOUT_S", 0.3)

    assert b"expected a complete request within 0.3 s" in serve_in_process(tmp_path, sent)


def test_idle_connection_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_proxy, "_IDLE_TIMEOUT_S", 0.3)
    with serve(EchoHandler) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        response = serve_in_process(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert response == b"HTTP/1.1 200 Connection established\r\n\r\n"


class TalkingHandler(socketserver.BaseRequestHandler):
    """Says something now and then, for ever."""

    payload = b"."

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.request.sendall(self.payload)
                time.sleep(0.02)


def test_connection_duration_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_proxy, "_MAX_DURATION_S", 0.4)
    with serve(TalkingHandler) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        response = serve_in_process(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert 0 < response.count(b".") < 100


def test_download_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_proxy, "_MAX_DOWNLOAD_BYTES", 1000)
    with serve(TalkingHandler) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()
        monkeypatch.setattr(TalkingHandler, "payload", b"." * 700)

        response = serve_in_process(tmp_path, request, Endpoint("https", "127.0.0.1", mirror))

    assert response.partition(b"\r\n\r\n")[2] == b"." * 1000


class SinkHandler(socketserver.BaseRequestHandler):
    """Takes all that comes, and answers nothing."""

    received = bytearray()
    ended = threading.Event()

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.received.extend(data)
        self.ended.set()


def test_upload_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_proxy, "_MAX_UPLOAD_BYTES", 1000)
    with serve(SinkHandler) as mirror:
        request = f"CONNECT 127.0.0.1:{mirror} HTTP/1.1\r\n\r\n".encode()

        response = serve_in_process(
            tmp_path, request, Endpoint("https", "127.0.0.1", mirror), second_request=b"x" * 5000
        )
        assert SinkHandler.ended.wait(20)

    assert response == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert SinkHandler.received == b"x" * 1000


LOCAL_ADDRESS_SCRIPT = """
import json, socket, sys, threading
from pathlib import Path
from hardpan.builder.vm import egress_proxy

endpoints_file, arguments = Path(sys.argv[1]), sys.argv[2:]
server = socket.create_server(("", 80), family=socket.AF_INET6, dualstack_ipv6=True)

def serve():
    while True:
        with server.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nsecret")

threading.Thread(target=serve, daemon=True).start()
resolve = socket.getaddrinfo
for name, address in (argument.split("=") for argument in arguments):
    infos = resolve(address, 80, type=socket.SOCK_STREAM)
    socket.getaddrinfo = lambda *_, infos=infos, **__: infos
    endpoints_file.write_text(json.dumps([["http", name, 80]]))
    guest, proxy_end = socket.socketpair()
    guest.sendall(f"GET http://{name}/ HTTP/1.1\\r\\n\\r\\n".encode())
    if name != address:  # otherwise the proxy waits for a client that never reads
        guest.shutdown(socket.SHUT_WR)
    with proxy_end:
        egress_proxy.serve(proxy_end, endpoints_file)
    data = b"".join(iter(lambda: guest.recv(4096), b""))
    print(address, data.partition(b"\\r\\n\\r\\n")[2].decode().strip())
"""
"""Calls the proxy for names that resolve to addresses of the host it runs on."""

NETWORK_SETUP = (
    "ip link set lo up && ip addr add 10.9.9.9/24 dev lo && "
    "ip -6 addr add 2001:db8:9::9/64 dev lo nodad && "
    'ip route add local 198.51.100.0/24 dev lo && exec "$@"'
)


def test_name_resolving_to_build_host_is_refused(tmp_path: Path) -> None:
    """A machine of its own, as far as the network goes, with three addresses more."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    local_addresses = ("10.9.9.9", "10.9.9.255", "198.51.100.7", "2001:db8:9::9", "::ffff:10.9.9.9")
    names = [f"mirror.example={address}" for address in local_addresses]
    program = [
        sys.executable,
        "-c",
        LOCAL_ADDRESS_SCRIPT,
        tmp_path / "list.json",
        *names,
        "10.9.9.9=10.9.9.9",
    ]

    result = run([*unshare, "sh", "-c", NETWORK_SETUP, "sh", *program], timeout_s=60, cwd=REPO)

    refused = "hardpan: http://mirror.example has no address that a repository may have"
    assert result.stdout.splitlines() == [
        *(f"{address} {refused}" for address in local_addresses),
        # An address that is on the list itself is what the profile's author wants.
        "10.9.9.9 secret",
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("192.0.2.7", False), ("2001:db8::7", False)],
)
def test_local_addresses_are_detected(address: str, expected: bool) -> None:
    assert egress_proxy._is_local_address(ipaddress.ip_address(address)) is expected


def serve_in_process(
    tmp_path: Path, sent: bytes, *endpoints: Endpoint, second_request: bytes = b""
) -> bytes:
    """What the program's own function answers, in this process, to a guest that then waits."""
    proxy = ProxyFixture(tmp_path, *endpoints)
    guest, proxy_end = socket.socketpair()

    def serve() -> None:
        with proxy_end:
            egress_proxy.serve(proxy_end, proxy.endpoints_file)

    thread = threading.Thread(target=serve)
    thread.start()
    with guest:
        guest.settimeout(20)
        guest.sendall(sent)
        response = b""
        if second_request:
            response = guest.recv(1 << 16)
            guest.sendall(second_request)
        # A socket that is closed on unread bytes resets its peer.
        with contextlib.suppress(ConnectionResetError):
            response += read_all(guest)
    thread.join(timeout=20)
    assert not thread.is_alive()
    return response


def test_qemu_accepts_proxy_in_folder_with_special_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = tmp_path / "a, b'c"
    workdir.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(workdir))
    create_disk(tmp_path / "disk.qcow2", size_mib=1)
    mirror = Endpoint("https", "mirror.example", 443)
    spec = replace(SPEC, disk=tmp_path / "disk.qcow2", allowed_endpoints=(mirror,))

    with start_vm(spec, detect_acceleration(), log=tmp_path / "log") as machine:
        (endpoints_file,) = workdir.glob("*/allowed-endpoints.json")
        assert machine.control is not None
        status = machine.control.call("query-status")
        assert isinstance(status, dict)
        assert status["running"]
        assert json.loads(endpoints_file.read_text()) == [["https", "mirror.example", 443]]
        assert endpoints_file.stat().st_mode & 0o777 == 0o600


PROXY = ("10.0.2.100", 3128)


def test_guest_reaches_allowed_endpoint_through_proxy_only(tmp_path: Path) -> None:
    with serve(EchoRequestHandler) as mirror, serve(EchoRequestHandler) as other:
        proxy = ProxyFixture(tmp_path, Endpoint("http", "127.0.0.1", mirror))
        option = network_option(ssh_port=0, endpoints_file=proxy.endpoints_file)
        with open_frame_socket(option, tmp_path) as wire:
            assert wire.resolve_mac(PROXY[0]), (tmp_path / "wire.log").read_text()
            response = wire.exchange(
                *PROXY, f"GET http://127.0.0.1:{mirror}/x HTTP/1.1\r\n\r\n".encode()
            )
            refused = wire.exchange(
                *PROXY, f"GET http://127.0.0.1:{other}/ HTTP/1.1\r\n\r\n".encode()
            )
            # Past the proxy there is no way: not to this machine, which a user network has at
            # 10.0.2.2, not to another port of the proxy's address, not further.
            other_addresses = [(PROXY[0], mirror), ("10.0.2.2", mirror), ("127.0.0.1", mirror)]
            answers = [wire.connect(*address) for address in other_addresses]

    assert response.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"/x [('Connection', 'close'), ('Host', '127.0.0.1" in response
    assert refused.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert answers == ["refused"] * 3


def test_guest_without_endpoints_reaches_nothing(tmp_path: Path) -> None:
    option = network_option(ssh_port=0, endpoints_file=None)
    with serve(EchoRequestHandler) as other:
        with open_frame_socket(option, tmp_path) as wire:
            assert wire.resolve_mac("10.0.2.2"), (tmp_path / "wire.log").read_text()
            assert wire.connect(*PROXY) == "refused"
            assert wire.connect("10.0.2.2", other) == "refused"
        # The wire itself would tell: without the restriction the same address answers.
        open_to_all = option.replace("restrict=on", "restrict=off")
        with open_frame_socket(open_to_all, tmp_path) as wire:
            assert wire.resolve_mac("10.0.2.2")
            assert wire.connect("10.0.2.2", other) == "accepted"
