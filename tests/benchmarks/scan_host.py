"""The host of ``make bench-scan``, and meters for what a scan of it costs the host."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.local_sshd import free_port
from tests.integration.overlay_host import HostSpec, OverlayHost

MIN_FILES = 150_000
_CHUNK = 1 << 18
_SAMPLE_S = 0.1
_NOT_A_CONTAINER = ("/.dockerenv", "/run/.containerenv")
_FILES_SCRIPT = """
mkdir -p /srv/data; cd /srv/data
files=$(find / -xdev | wc -l)
folders=$(( files < 145000 ? (155000 - files) / 500 : 20 ))
i=0
while [ $i -lt $folders ]; do
  mkdir d$i; ( cd d$i; seq -f 'file%g.dat' 1 500 | xargs touch )
  case $((i % 6)) in
    0) chown -R 1000:1000 d$i;;
    1) chown -R daemon:bin d$i;;
    2) chown -R www-data:www-data d$i;;
    3) chmod 777 d$i;;
    4) chmod -R go-rx d$i;;
  esac
  i=$((i + 1))
done
chown 4242:4343 d4/file7.dat
"""
"""Folders of 500 files with several owners and modes, and one file without a known owner."""

HOST = HostSpec(
    setup=_FILES_SCRIPT,
    is_root_ext4=True,
    removed=_NOT_A_CONTAINER,
    size_mib=2048,
    sshd_settings={"Subsystem": "sftp internal-sftp"},  # for scp of OpenSSH 9
)


def count_files(host: OverlayHost) -> int:
    """Return the number of files of the root file system."""
    return int(host.run("find / -xdev | wc -l", timeout_s=300).stdout)


@dataclass(slots=True)
class ByteMeter:
    """Relays connections to a port of this machine and counts their bytes."""

    port: int
    byte_count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        """Count bytes, of either direction."""
        with self._lock:
            self.byte_count += count


@contextlib.contextmanager
def relay_connections(to_port: int) -> Iterator[ByteMeter]:
    """Relay connections to ``to_port`` for the length of the block."""
    meter = ByteMeter(port=free_port())
    with socket.create_server(("127.0.0.1", meter.port)) as server:
        accepting = threading.Thread(target=_accept, args=(server, to_port, meter), daemon=True)
        accepting.start()
        yield meter
        server.shutdown(socket.SHUT_RDWR)
    accepting.join()


def _accept(server: socket.socket, to_port: int, meter: ByteMeter) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return  # the server was closed
        target = socket.create_connection(("127.0.0.1", to_port))
        for source, sink in ((client, target), (target, client)):
            threading.Thread(target=_relay, args=(source, sink, meter), daemon=True).start()


def _relay(source: socket.socket, sink: socket.socket, meter: ByteMeter) -> None:
    with contextlib.suppress(OSError):  # the other end was closed
        while data := source.recv(_CHUNK):
            meter.add(len(data))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@dataclass(slots=True)
class MemoryMeter:
    """The largest sum of the resident memory of all processes of a host."""

    peak_mib: float = 0.0


@contextlib.contextmanager
def watch_memory(host: OverlayHost) -> Iterator[MemoryMeter]:
    """Sample the memory of the host's processes for the length of the block."""
    meter, end = MemoryMeter(), threading.Event()
    namespace = _find_namespace(str(host.pid))

    def sample() -> None:
        while not end.wait(_SAMPLE_S):
            meter.peak_mib = max(meter.peak_mib, _sum_memory_mib(namespace))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        end.set()
        thread.join()


def _find_namespace(pid: str) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def _sum_memory_mib(namespace: str) -> float:
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if _find_namespace(process.name) == namespace:
                pages += int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
