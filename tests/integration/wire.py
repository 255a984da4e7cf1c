"""A guest of one network card: frames by hand, on the wire that a QEMU's user network is at.

With it a test sees what libslirp lets through without an operating system to boot.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.machine.probe import QEMU
from hardpan.builder.machine.qemu import free_port
from hardpan.process import spawn

GUEST = "10.0.2.15"
_MAC = bytes.fromhex("525400123456")
_IPV4, _ARP, _TCP = 0x0800, 0x0806, 6
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_ANSWER_S = 20.0


class Wire:
    """One end of it; QEMU's is the other."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self._port = 40000

    def is_there(self, address: str) -> bytes:
        """The MAC of an address, or nothing when nobody has it. QEMU may yet be starting."""
        ask = struct.pack("!HHBBH", 1, _IPV4, 6, 4, 1)
        ask += _MAC + socket.inet_aton(GUEST) + bytes(6) + socket.inet_aton(address)
        for _ in range(10):
            with contextlib.suppress(ConnectionRefusedError):
                self._send(b"\xff" * 6, _ARP, ask)
            for kind, payload in self._frames(0.2):
                answer = b"\0\2" + payload[8:14] + socket.inet_aton(address)
                if kind == _ARP and payload[6:18] == answer:
                    return payload[8:14]
        return b""

    def answers(self, address: str, port: int, for_s: float = 1.0) -> str:
        """What comes of asking for a connection: ``accepted``, ``refused`` or ``silence``."""
        self._port += 1
        self._segment(address, port, 1000, 0, SYN)
        for _, _, flags, _ in self._segments(address, port, for_s):
            return "refused" if flags & RST else "accepted"
        return "silence"

    def asks(self, address: str, port: int, request: bytes) -> bytes:
        """All that comes back for a request, to the other side's end."""
        self._port += 1
        ours, theirs, got = 1000, 0, b""
        self._segment(address, port, ours, 0, SYN)
        for number, _, flags, data in self._segments(address, port, _ANSWER_S):
            assert not flags & RST, "the connection was reset"
            if flags & SYN:
                theirs, ours = number + 1, ours + 1
                self._segment(address, port, ours, theirs, ACK)
                self._segment(address, port, ours, theirs, ACK | PSH, request)
                ours += len(request)
            elif number == theirs:
                got += data
                theirs += len(data) + bool(flags & FIN)
                self._segment(address, port, ours, theirs, ACK | (flags & FIN))
                if flags & FIN:
                    return got
        raise AssertionError(f"no end after {len(got)} bytes: {got[:200]!r}")

    def _segments(
        self, address: str, port: int, for_s: float
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Number, acknowledged, flags and data of each TCP segment of our connection."""
        for kind, packet in self._frames(for_s):
            if kind != _IPV4 or packet[9] != _TCP or packet[12:16] != socket.inet_aton(address):
                continue
            (size,) = struct.unpack("!H", packet[2:4])
            tcp = packet[4 * (packet[0] & 15) : size]
            source, to, number, acknowledged, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
            if (source, to) == (port, self._port):
                yield number, acknowledged, flags, tcp[offset >> 4 << 2 :]

    def _frames(self, for_s: float) -> Iterator[tuple[int, bytes]]:
        end = time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                frame = self._socket.recv(1 << 16)
                yield struct.unpack("!H", frame[12:14])[0], frame[14:]

    def _segment(
        self, address: str, port: int, number: int, acknowledged: int, flags: int, data: bytes = b""
    ) -> None:
        ends = socket.inet_aton(GUEST) + socket.inet_aton(address)
        tcp = struct.pack(
            "!HHIIBBHHH", self._port, port, number, acknowledged, 5 << 4, flags, 65535, 0, 0
        )
        pseudo = ends + struct.pack("!BBH", 0, _TCP, len(tcp) + len(data))
        tcp = tcp[:16] + _checksum(pseudo + tcp + data) + tcp[18:] + data
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, _TCP, 0)
        ip = ip[:10] + _checksum(ip + ends) + ends
        self._send(b"\x52\x55" + socket.inet_aton(address), _IPV4, ip + tcp)

    def _send(self, to: bytes, kind: int, payload: bytes) -> None:
        self._socket.send((to + _MAC + struct.pack("!H", kind) + payload).ljust(60, b"\0"))


def _checksum(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


@contextlib.contextmanager
def wired(network: str, folder: Path) -> Iterator[Wire]:
    """A wire at a user network of these options, in a QEMU without a machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        theirs = free_port()
        ours.connect(("127.0.0.1", theirs))
        wire = f"socket,id=wire,udp=127.0.0.1:{ours.getsockname()[1]},localaddr=127.0.0.1:{theirs}"
        argv = [QEMU, "-machine", "none", "-nodefaults", "-display", "none"]
        for option in (network, wire):
            name = option.partition("id=")[2].partition(",")[0]
            argv += ["-netdev", option, "-netdev", f"hubport,id=to-{name},hubid=0,netdev={name}"]
        with spawn(argv, log=folder / "wire.log"):
            yield Wire(ours)
