"""What the way out of a build's guest takes for a request, and what it refuses."""

import pytest

from hardpan.builder.vm import egress_proxy
from hardpan.builder.vm.egress_proxy import (
    Endpoint,
    ProxyRefusedError,
    endpoint_of,
    is_address_allowed,
    parse_request,
)

HTTPS = Endpoint("https", "mirror.example", 443)
HTTP = Endpoint("http", "mirror.example", 80)
PORT_8080 = Endpoint("http", "10.1.2.3", 8080)
ALLOWED = (HTTPS, HTTP, PORT_8080)
CONNECTION_CLOSE = "Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mirror.example/rocky/", HTTPS),
        ("http://mirror.example/", HTTP),
        ("http://10.1.2.3:8080/x/", PORT_8080),
        ("https://mirror.example:8443/", Endpoint("https", "mirror.example", 8443)),
    ],
)
def test_url_is_converted_to_endpoint(url: str, expected: Endpoint) -> None:
    assert endpoint_of(url) == expected
    assert url.startswith(str(expected))


@pytest.mark.parametrize(
    ("head", "to", "sent"),
    [
        ("CONNECT mirror.example:443 HTTP/1.1\r\nHost: mirror.example:443", HTTPS, ""),
        ("CONNECT Mirror.Example:443 HTTP/1.0", HTTPS, ""),
        (
            "GET http://mirror.example HTTP/1.1",
            HTTP,
            "GET / HTTP/1.1\r\nHost: mirror.example\r\n" + CONNECTION_CLOSE,
        ),
        (
            "HEAD http://10.1.2.3:8080/a%20b?c HTTP/1.1\r\nRange: bytes=5-",
            PORT_8080,
            "HEAD /a%20b?c HTTP/1.1\r\nHost: 10.1.2.3:8080\r\nRange: bytes=5-\r\n"
            + CONNECTION_CLOSE,
        ),
    ],
)
def test_allowed_request_is_forwarded(head: str, to: Endpoint, sent: str) -> None:
    request = parse_request(head.encode(), ALLOWED)

    assert request.endpoint == to
    assert request.head.decode() == sent


def test_only_safe_header_fields_are_forwarded() -> None:
    fields = "Host: inside.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    fields += "Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\n"
    fields += "X-Forwarded-Host: inside.example\r\nUser-Agent: libdnf"

    sent = parse_request(f"GET http://mirror.example/x HTTP/1.1\r\n{fields}".encode(), ALLOWED).head

    assert sent.decode().split("\r\n") == [
        *("GET /x HTTP/1.1", "Host: mirror.example", "User-Agent: libdnf", "Connection: close"),
        *("", ""),
    ]


NOT_ALLOWED_MESSAGE = "is not an address of the profile's repositories"
INVALID_REQUEST_MESSAGE = "expected CONNECT host:port or GET http://host/..., got '"
INVALID_FIELDS_MESSAGE = "expected header fields of plain characters"


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        ("CONNECT other.example:443 HTTP/1.1", 403, f"https://other.example {NOT_ALLOWED_MESSAGE}"),
        (
            "CONNECT mirror.example:22 HTTP/1.1",
            403,
            f"https://mirror.example:22 {NOT_ALLOWED_MESSAGE}",
        ),
        # What is listed for http is not listed for TLS, nor the other way.
        (
            "CONNECT mirror.example:80 HTTP/1.1",
            403,
            f"https://mirror.example:80 {NOT_ALLOWED_MESSAGE}",
        ),
        ("CONNECT 10.1.2.3:8080 HTTP/1.1", 403, f"https://10.1.2.3:8080 {NOT_ALLOWED_MESSAGE}"),
        (
            "GET http://mirror.example:443/ HTTP/1.1",
            403,
            f"http://mirror.example:443 {NOT_ALLOWED_MESSAGE}",
        ),
        ("GET http://127.0.0.1/ HTTP/1.1", 403, f"http://127.0.0.1 {NOT_ALLOWED_MESSAGE}"),
        (
            "CONNECT mirror.example.:443 HTTP/1.1",
            403,
            f"https://mirror.example. {NOT_ALLOWED_MESSAGE}",
        ),
        ("CONNECT evil.mirror.example:443 HTTP/1.1", 403, NOT_ALLOWED_MESSAGE),
        ("CONNECT mirror.example:99999 HTTP/1.1", 403, NOT_ALLOWED_MESSAGE),
        ("CONNECT mirror.example HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("CONNECT mirror.example:443 HTTP/2", 400, INVALID_REQUEST_MESSAGE),
        ("CONNECT mirror.example:443@other.example:443 HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("CONNECT [::1]:443 HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("GET http://mirror.example@other.example/ HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("GET http://mirror.example/a b HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("GET https://mirror.example/ HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("GET / HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("POST http://mirror.example/ HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("OPTIONS * HTTP/1.1", 400, INVALID_REQUEST_MESSAGE),
        ("", 400, INVALID_REQUEST_MESSAGE),
        ("\x16\x03\x01\x02\x00\x01", 400, INVALID_REQUEST_MESSAGE + r"\x16\x03"),
        ("GET http://mirror.example/ HTTP/1.1\nHost: other.example", 400, INVALID_REQUEST_MESSAGE),
        ("GET http://mirror.example/ HTTP/1.1\r\nRange: x\nHost: y", 400, INVALID_FIELDS_MESSAGE),
        ("GET http://mirror.example/ HTTP/1.1\r\n folded: x", 400, INVALID_FIELDS_MESSAGE),
        ("CONNECT mirror.example:443 HTTP/1.1\r\nno colon", 400, INVALID_FIELDS_MESSAGE),
        ("CONNECT mirror.example:443 HTTP/1.1\r\nHost: \xe9", 400, INVALID_FIELDS_MESSAGE),
    ],
)
def test_other_requests_are_refused(head: str, status: int, reason: str) -> None:
    with pytest.raises(ProxyRefusedError) as caught:
        parse_request(head.encode("latin-1"), ALLOWED)

    assert caught.value.status == status
    assert reason in str(caught.value)


def test_refusal_is_a_short_printable_line() -> None:
    with pytest.raises(ProxyRefusedError) as caught:
        parse_request(b"\x1b[31m\xff" * 4000, ALLOWED)

    head, _, text = caught.value.response().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(text)}".encode() in head
    assert text.count(b"\n") == 1
    assert len(text) < 600
    assert text.rstrip(b"\n").decode("ascii").isprintable()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.7", "mirror.example"),
        # A site's mirror may well have a private address.
        ("10.0.0.5", "mirror.example"),
        ("172.16.3.4", "mirror.example"),
        ("192.168.1.9", "mirror.example"),
        ("2001:db8::7", "mirror.example"),
        ("64:ff9b::8.8.8.8", "mirror.example"),
        ("2002:808:808::1", "mirror.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("100.64.0.7", "100.64.0.7"),
        ("::1", "localhost"),
    ],
)
def test_mirror_address_is_allowed(
    monkeypatch: pytest.MonkeyPatch, address: str, host: str
) -> None:
    monkeypatch.setattr(egress_proxy, "_is_local_address", lambda _: False)

    assert is_address_allowed(address, host) is True


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "mirror.example"),
        ("127.0.1.1", "127.0.0.1"),
        ("169.254.0.1", "localhost"),
        ("::1", "mirror.example"),
        ("0.0.0.0", "mirror.example"),  # noqa: S104 - an answer of a name server
        ("0.1.2.3", "mirror.example"),
        ("100.64.0.7", "mirror.example"),
        ("224.0.0.1", "mirror.example"),
        ("240.0.0.1", "mirror.example"),
        ("255.255.255.255", "mirror.example"),
        # Metadata of clouds.
        ("169.254.169.254", "mirror.example"),
        ("100.100.100.200", "mirror.example"),
        ("168.63.129.16", "mirror.example"),
        ("192.0.0.192", "mirror.example"),
        ("fd00:ec2::254", "mirror.example"),
        ("fd20:ce::254", "mirror.example"),
        # Forms with an IPv4 address in them: mapped, compatible, translated.
        ("::ffff:127.0.0.1", "mirror.example"),
        ("::ffff:10.0.0.5", "mirror.example"),
        ("::127.0.0.1", "mirror.example"),
        ("::ffff:0:127.0.0.1", "mirror.example"),
        ("64:ff9b::7f00:1", "mirror.example"),
        ("64:ff9b::10.0.0.5", "mirror.example"),
        ("64:ff9b:1::7f00:1", "mirror.example"),
        ("64:ff9b:1:ffff::8.8.8.8", "mirror.example"),
        # 6to4, Teredo (its client address is inverted), ISATAP.
        ("2002:7f00:1::1", "mirror.example"),
        ("2002:a00:5::1", "mirror.example"),
        ("2001:0:7f00:1::f7f7:f7f7", "mirror.example"),
        ("2001:0:808:808::80ff:fffe", "mirror.example"),
        ("2001:db8::5efe:127.0.0.1", "mirror.example"),
        ("2001:db8::200:5efe:10.0.0.5", "mirror.example"),
        # Unique-local, site-local, link-local, multicast, unspecified.
        ("fd00::5", "mirror.example"),
        ("fc00::5", "mirror.example"),
        ("fec0::5", "mirror.example"),
        ("fe80::1%eth0", "mirror.example"),
        ("ff02::1", "mirror.example"),
        ("::", "mirror.example"),
        ("5f00::1", "mirror.example"),
    ],
)
def test_internal_address_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, address: str, host: str
) -> None:
    monkeypatch.setattr(egress_proxy, "_is_local_address", lambda _: False)

    assert is_address_allowed(address, host) is False


@pytest.mark.parametrize(
    "address", ["10.9.9.9", "192.0.2.7", "2001:db8::7", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_address_of_build_host_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    local_addresses = {"10.9.9.9", "192.0.2.7", "2001:db8::7", "8.8.8.8"}
    monkeypatch.setattr(egress_proxy, "_is_local_address", lambda ip: str(ip) in local_addresses)

    assert is_address_allowed(address, "mirror.example") is False
    # Who wants the machine itself puts its address on the list.
    assert is_address_allowed(address, address) is True
