"""Whether the AI service can send packets to another machine."""

import errno
import socket
import sys
from typing import Iterator, Tuple

from .tools import ProbeResult, not_tested, satisfied, violated

TEST_ADDRESS = ("192.0.2.1", 443)
"""An address of TEST-NET-1 (RFC 5737), which no machine uses."""


def check_egress_denied() -> ProbeResult:
    """Control check: egress is denied. The host's side checks that it was counted."""
    attempt = _attempt_connection(TEST_ADDRESS)
    # A host without a default route may still reach neighbours.
    for address in _iter_neighbours() if attempt[0] == "not_tested" else ():
        attempt = _attempt_connection((address, TEST_ADDRESS[1]))
        if attempt[0] != "not_tested":
            break
    return attempt


def _attempt_connection(address: Tuple[str, int]) -> ProbeResult:
    label = f"an attempt to reach {address[0]} port {address[1]}"
    try:
        socket.create_connection(address, timeout=3).close()
    except socket.timeout:
        return satisfied(f"{label} got no answer")
    except OSError as e:
        if e.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return not_tested(f"no route to test: {e.strerror}")
        return satisfied(f"{label}: {e.strerror}")
    return violated(f"{label} was answered")


def _iter_neighbours() -> Iterator[str]:
    """Yield one other address of each connected network (see proc(5), route)."""
    with open("/proc/net/route", encoding="ascii") as f:
        routes = [line.split() for line in f][1:]
    for route in routes:
        # NOTE: the kernel prints these as native words, the address's first byte lowest.
        network, gateway, mask = (
            int.from_bytes(int(route[i], 16).to_bytes(4, sys.byteorder), "big") for i in (1, 2, 7)
        )
        hosts = mask ^ 0xFFFFFFFF
        if gateway or not mask or hosts < 3 or route[0] == "lo":
            continue
        first = (network + i for i in (1, 2))
        yield next(a for a in map(_format_ipv4, first) if not _is_local_address(a))


def _format_ipv4(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))


def _is_local_address(address: str) -> bool:
    """Return whether the kernel would use itself for this address; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((address, 9))
        return bool(s.getsockname()[0] == address)
