"""Egress proxy of a build guest: forwards connections to allowed endpoints only.

    egress_proxy.py ENDPOINTS.json

QEMU starts the program for every connection of the guest to ``network.PROXY_URL``; the connection
is its stdin and stdout. The program is run by its path and uses the standard library only. The
guest is hostile: input is bounded, refusals are one line, and nothing is logged.

A name is resolved once and the checked address is used for the connection, so that a name server
cannot redirect the guest to this host or its network: see ``is_address_allowed``.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

MAX_CONNECTIONS = 16
"""Simultaneous connections; dnf opens three, and each one is a process."""

MAX_HEAD_BYTES = 16 << 10
_HEAD_TIMEOUT_S = 20.0
_CONNECT_TIMEOUT_S = 30.0
_IDLE_TIMEOUT_S = 120.0
_MAX_DURATION_S = 4 * 3600.0
_MAX_DOWNLOAD_BYTES = 16 << 30
_MAX_UPLOAD_BYTES = 16 << 20
"""Limits per connection: seconds, bytes to the guest (the largest package has some GiB) and bytes
from it (dnf sends about 500 bytes per request), which limits exfiltration."""

_LINGER_S = 2.0
_CHUNK_BYTES = 64 << 10
_MAX_QUOTED_CHARS = 100

_HOST = r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252})"
_CONNECT = re.compile(rf"CONNECT {_HOST}:(?P<port>[0-9]{{1,5}}) HTTP/1\.[01]", re.ASCII)
_GET = re.compile(
    rf"(?P<method>GET|HEAD) http://{_HOST}(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<path>/[\x21-\x7e]*)? HTTP/1\.[01]",
    re.ASCII,
)
_FIELD = re.compile(r"(?P<name>[A-Za-z0-9-]{1,64}):[\t\x20-\x7e]*", re.ASCII)
_FORWARDED_FIELDS = (
    "accept",
    "cache-control",
    "if-modified-since",
    "if-none-match",
    "range",
    "user-agent",
)
"""Forwarded header fields: none can name another host or start a body."""

_STATUS_TEXTS = {
    400: "Bad Request",
    403: "Forbidden",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """An allowed endpoint: ``https`` by CONNECT, ``http`` by GET and HEAD."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return the URL, without the default port."""
        is_default_port = self.port == _DEFAULT_PORTS.get(self.scheme)
        return f"{self.scheme}://{self.host}" + ("" if is_default_port else f":{self.port}")


class ProxyRequest(NamedTuple):
    """A request of the guest."""

    endpoint: Endpoint
    head: bytes
    """Bytes for the server; empty for CONNECT."""


class ProxyRefusedError(Exception):
    """A refused request; the response contains the reason in one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def response(self) -> bytes:
        """Return the HTTP response."""
        text = f"hardpan: {self}\n"
        return (
            f"HTTP/1.1 {self.status} {_STATUS_TEXTS[self.status]}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
        ).encode("ascii")


def endpoint_of(url: str) -> Endpoint:
    """Return the endpoint of an http or https URL."""
    parts = urlsplit(url)
    return Endpoint(parts.scheme, str(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme])


def parse_request(head: bytes, allowed: Collection[Endpoint]) -> ProxyRequest:
    """Parse a request head without its empty line.

    Raises:
        RefusedError: it is not on the list, or nothing that dnf would ask.
    """
    request_line, *fields = head.decode("latin-1").split("\r\n")
    field_matches = [_FIELD.fullmatch(line) for line in fields]
    if not all(field_matches):
        raise ProxyRefusedError(400, "expected header fields of plain characters")
    if request_match := _CONNECT.fullmatch(request_line):
        endpoint = Endpoint("https", request_match["host"].lower(), int(request_match["port"]))
        return ProxyRequest(_require_listed(endpoint, allowed), b"")
    request_match = _GET.fullmatch(request_line)
    if request_match is None:
        quoted_line = ascii(request_line[:_MAX_QUOTED_CHARS])
        raise ProxyRefusedError(
            400, f"expected CONNECT host:port or GET http://host/..., got {quoted_line}"
        )
    endpoint = _require_listed(
        Endpoint("http", request_match["host"].lower(), int(request_match["port"] or 80)), allowed
    )
    lines = [
        f"{request_match['method']} {request_match['path'] or '/'} HTTP/1.1",
        f"Host: {_authority(endpoint)}",
    ]
    lines += [
        field_match[0]
        for field_match in field_matches
        if field_match and field_match["name"].lower() in _FORWARDED_FIELDS
    ]
    return ProxyRequest(
        endpoint, "\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii")
    )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this host, RFC 791
            "100.64.0.0/10",  # the provider's own network, RFC 6598; metadata of Alibaba Cloud
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's metadata and its agent
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "192.0.0.0/24",  # protocol assignments, RFC 6890; metadata of Oracle Cloud
            "192.88.99.0/24",  # relays of 6to4, RFC 7526
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that is routed in IPv6 (RFC 4291). Outside are loopback, link-local, site-local, unique-local
(fc00::/7, with the metadata of AWS and Google), multicast, and the forms with an IPv4 address."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_6TO4 = ipaddress.IPv6Network("2002::/16")
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def is_address_allowed(address: str, host: str) -> bool:
    """Return whether a guest may connect to ``address`` for the allowed host ``host``.

    An address that is listed itself is allowed, and loopback if ``localhost`` is listed. Answers of
    name servers are restricted: private IPv4 addresses (RFC 1918) may be a site's mirror, but not
    an address of this host; IPv6 addresses must be global and must not embed an IPv4 address that
    is not global.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if address == host or (host == "localhost" and ip.is_loopback):
        return True
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _FORBIDDEN_IPV4) and not _is_local_address(ip)
    embedded = _embedded_ipv4(ip)
    if ip not in _GLOBAL_IPV6 and not (ip in _NAT64 and embedded):
        return False
    return not _is_local_address(ip) and all(
        ipv4.is_global and not _is_local_address(ipv4) for ipv4 in embedded
    )


def _embedded_ipv4(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses embedded in ``ip`` for translators and tunnels."""
    raw = ip.packed
    packed_addresses = []
    if ip in _NAT64:
        packed_addresses.append(raw[12:])
    if ip in _6TO4:
        packed_addresses.append(raw[2:6])
    if ip in _TEREDO:
        packed_addresses += [raw[4:8], bytes(255 - b for b in raw[12:])]
    if raw[8:12] in _ISATAP:
        packed_addresses.append(raw[12:])
    return [ipaddress.IPv4Address(packed) for packed in packed_addresses]


def _is_local_address(ip: _Address) -> bool:
    """Return whether the kernel routes ``ip`` to this host; no packet is sent.

    For its own addresses the kernel selects the same address as the source. Without a route,
    nothing can be connected either.
    """
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), 9))
        except PermissionError:  # a broadcast address of an own network
            return True
        except OSError:
            return False
        return _is_loopback(probe, ip)


def _is_loopback(connected: socket.socket, ip: _Address) -> bool:
    source = ipaddress.ip_address(connected.getsockname()[0].partition("%")[0])
    return source == ip or source.is_loopback


def serve(guest: socket.socket, endpoints_file: Path) -> None:
    """Serve one connection; ``endpoints_file`` lists the allowed endpoints."""
    start = time.monotonic()
    allowed = [Endpoint(*fields) for fields in json.loads(endpoints_file.read_text("utf-8"))]
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_acquire_slot(endpoints_file))
            head, remainder = _read_head(guest)
            request = parse_request(head, allowed)
            server = stack.enter_context(_connect(request.endpoint))
        except ProxyRefusedError as e:
            guest.settimeout(_LINGER_S)
            guest.sendall(e.response())
            _linger(guest)
            return
        for connection in (guest, server):
            connection.settimeout(_IDLE_TIMEOUT_S)
        if request.head:
            server.sendall(request.head)
        else:
            guest.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            server.sendall(remainder)
        _relay(guest, server, is_two_way=not request.head, start=start)


def _require_listed(endpoint: Endpoint, allowed: Collection[Endpoint]) -> Endpoint:
    if endpoint not in allowed:
        raise ProxyRefusedError(403, f"{endpoint} is not an address of the profile's repositories")
    return endpoint


def _authority(endpoint: Endpoint) -> str:
    return (
        endpoint.host
        if endpoint.port == _DEFAULT_PORTS[endpoint.scheme]
        else f"{endpoint.host}:{endpoint.port}"
    )


def _acquire_slot(endpoints_file: Path) -> BinaryIO:
    """Lock one byte of the endpoints file per connection; closing the file releases it."""
    file = endpoints_file.open("r+b")
    for slot in range(MAX_CONNECTIONS):
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
            return file
    file.close()
    raise ProxyRefusedError(503, f"{MAX_CONNECTIONS} connections are already open")


def _read_head(guest: socket.socket) -> tuple[bytes, bytes]:
    """Read a request head and the bytes after it, within limits of size and time."""
    deadline, data = time.monotonic() + _HEAD_TIMEOUT_S, b""
    while b"\r\n\r\n" not in data:
        guest.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            chunk = guest.recv(MAX_HEAD_BYTES + 1 - len(data))
        except TimeoutError:
            chunk = b""
        if not chunk:
            raise ProxyRefusedError(
                400, f"expected a complete request within {_HEAD_TIMEOUT_S:g} s"
            )
        data += chunk
        if len(data) > MAX_HEAD_BYTES:
            raise ProxyRefusedError(400, f"expected a request of at most {MAX_HEAD_BYTES} bytes")
    head, _, remainder = data.partition(b"\r\n\r\n")
    return head, remainder


def _connect(endpoint: Endpoint) -> socket.socket:
    reason = "has no address that a repository may have"
    try:
        address_infos = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ProxyRefusedError(502, f"{endpoint} cannot be resolved by the build host") from None
    for family, address in dict.fromkeys((info[0], info[4]) for info in address_infos):
        if not is_address_allowed(str(address[0]), endpoint.host):
            continue
        server = socket.socket(family, socket.SOCK_STREAM)
        server.settimeout(_CONNECT_TIMEOUT_S)
        try:
            server.connect(address)
        except OSError:
            server.close()
            reason = "does not respond to the build host"
            continue
        return server
    raise ProxyRefusedError(502, f"{endpoint} {reason}")


def _relay(guest: socket.socket, server: socket.socket, *, is_two_way: bool, start: float) -> None:
    """Relay bytes until a side closes, the connection is idle, or a limit is reached.

    Without ``is_two_way`` further bytes of the guest are dropped: one request per connection.
    """
    remaining = {guest: _MAX_UPLOAD_BYTES, server: _MAX_DOWNLOAD_BYTES}
    with selectors.DefaultSelector() as ready:
        ready.register(guest, selectors.EVENT_READ, (guest, server if is_two_way else None))
        ready.register(server, selectors.EVENT_READ, (server, guest))
        while events := ready.select(
            max(0.0, min(_IDLE_TIMEOUT_S, start + _MAX_DURATION_S - time.monotonic()))
        ):
            for key, _ in events:
                source, destination = key.data
                data = source.recv(min(_CHUNK_BYTES, remaining[source]))
                if not data:
                    return
                remaining[source] -= len(data)
                if destination is not None:
                    destination.sendall(data)


def _linger(guest: socket.socket) -> None:
    """Let the guest read the response: closing with unread bytes resets the connection."""
    guest.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _LINGER_S
    while time.monotonic() < deadline and guest.recv(_CHUNK_BYTES):
        pass


def main() -> None:
    """Serve the connection on stdin."""
    # The guest also receives stderr; Python's error messages must not reach it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with socket.socket(fileno=os.dup(0)) as guest, contextlib.suppress(OSError):
        serve(guest, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
