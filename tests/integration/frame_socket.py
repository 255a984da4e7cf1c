"""A guest of one network card: frames by hand, on the wire that a QEMU's user network is at.

With it a test sees what libslirp lets through without an operating system to boot.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.vm.probe import QEMU
from hardpan.builder.vm.qemu import free_port
from hardpan.core.process import spawn

GUEST = "10.0.2.15"
_MAC = bytes.fromhex("525400123456")
_IPV4, _ARP, _TCP = 0x0800, 0x0806, 6
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_REPLY_TIMEOUT_S = 20.0


class FrameSocket:
    """One end of it; QEMU's is the other."""

    def __init__(self, local_socket: socket.socket) -> None:
        self._socket = local_socket
        self._port = 40000

    def resolve_mac(self, address: str) -> bytes:
        """The MAC of an address, or b"" if no host has it. QEMU may still be starting."""
        arp_request = struct.pack("!HHBBH", 1, _IPV4, 6, 4, 1)
        arp_request += _MAC + socket.inet_aton(GUEST) + bytes(6) + socket.inet_aton(address)
        for _ in range(10):
            with contextlib.suppress(ConnectionRefusedError):
                self._send_frame(b"\xff" * 6, _ARP, arp_request)
            for kind, payload in self._read_frames(0.2):
                expected_reply = b"\0\2" + payload[8:14] + socket.inet_aton(address)
                if kind == _ARP and payload[6:18] == expected_reply:
                    return payload[8:14]
        return b""

    def connect(self, address: str, port: int, timeout_s: float = 1.0) -> str:
        """What comes of asking for a connection: ``accepted``, ``refused`` or ``silence``."""
        self._port += 1
        self._send_segment(address, port, 1000, 0, SYN)
        for _, _, flags, _ in self._read_segments(address, port, timeout_s):
            return "refused" if flags & RST else "accepted"
        return "silence"

    def exchange(self, address: str, port: int, request: bytes) -> bytes:
        """All that comes back for a request, to the other side's end."""
        self._port += 1
        local_sequence, remote_sequence, received = 1000, 0, b""
        self._send_segment(address, port, local_sequence, 0, SYN)
        for number, _, flags, data in self._read_segments(address, port, _REPLY_TIMEOUT_S):
            assert not flags & RST, "the connection was reset"
            if flags & SYN:
                remote_sequence, local_sequence = number + 1, local_sequence + 1
                self._send_segment(address, port, local_sequence, remote_sequence, ACK)
                self._send_segment(
                    address, port, local_sequence, remote_sequence, ACK | PSH, request
                )
                local_sequence += len(request)
            elif number == remote_sequence:
                received += data
                remote_sequence += len(data) + bool(flags & FIN)
                self._send_segment(
                    address, port, local_sequence, remote_sequence, ACK | (flags & FIN)
                )
                if flags & FIN:
                    return received
        raise AssertionError(f"no end after {len(received)} bytes: {received[:200]!r}")

    def _read_segments(
        self, address: str, port: int, timeout_s: float
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Number, acknowledged, flags and data of each TCP segment of our connection."""
        for kind, packet in self._read_frames(timeout_s):
            if kind != _IPV4 or packet[9] != _TCP or packet[12:16] != socket.inet_aton(address):
                continue
            (size,) = struct.unpack("!H", packet[2:4])
            tcp = packet[4 * (packet[0] & 15) : size]
            source, target_port, number, acknowledged, offset, flags = struct.unpack(
                "!HHIIBB", tcp[:14]
            )
            if (source, target_port) == (port, self._port):
                yield number, acknowledged, flags, tcp[offset >> 4 << 2 :]

    def _read_frames(self, timeout_s: float) -> Iterator[tuple[int, bytes]]:
        deadline = time.monotonic() + timeout_s
        while (remaining_s := deadline - time.monotonic()) > 0:
            self._socket.settimeout(remaining_s)
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                frame = self._socket.recv(1 << 16)
                yield struct.unpack("!H", frame[12:14])[0], frame[14:]

    def _send_segment(
        self, address: str, port: int, number: int, acknowledged: int, flags: int, data: bytes = b""
    ) -> None:
        addresses = socket.inet_aton(GUEST) + socket.inet_aton(address)
        tcp = struct.pack(
            "!HHIIBBHHH", self._port, port, number, acknowledged, 5 << 4, flags, 65535, 0, 0
        )
        pseudo = addresses + struct.pack("!BBH", 0, _TCP, len(tcp) + len(data))
        tcp = tcp[:16] + _checksum(pseudo + tcp + data) + tcp[18:] + data
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, _TCP, 0)
        ip = ip[:10] + _checksum(ip + addresses) + addresses
        self._send_frame(b"\x52\x55" + socket.inet_aton(address), _IPV4, ip + tcp)

    def _send_frame(self, target_mac: bytes, kind: int, payload: bytes) -> None:
        self._socket.send((target_mac + _MAC + struct.pack("!H", kind) + payload).ljust(60, b"\0"))


def _checksum(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


@contextlib.contextmanager
def open_frame_socket(network: str, folder: Path) -> Iterator[FrameSocket]:
    """A wire at a user network of these options, in a QEMU without a machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as local_socket:
        local_socket.bind(("127.0.0.1", 0))
        qemu_port = free_port()
        local_socket.connect(("127.0.0.1", qemu_port))
        local_port = local_socket.getsockname()[1]
        wire = f"socket,id=wire,udp=127.0.0.1:{local_port},localaddr=127.0.0.1:{qemu_port}"
        argv = [QEMU, "-machine", "none", "-nodefaults", "-display", "none"]
        for option in (network, wire):
            name = option.partition("id=")[2].partition(",")[0]
            argv += ["-netdev", option, "-netdev", f"hubport,id=to-{name},hubid=0,netdev={name}"]
        with spawn(argv, log=folder / "wire.log"):
            yield FrameSocket(local_socket)
