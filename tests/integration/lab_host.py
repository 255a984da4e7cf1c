"""A booted lab system without a virtual machine: its own systemd, sshd and dnf, at native speed.

The lab's payload runs in namespaces (systemd-nspawn) over a throw-away layer, so a role
that needs minutes on an emulated guest needs seconds. The kernel is this machine's: no
FIPS mode, no audit, no modules, no boot loader are tried here, only on emulated guests.
"""

import contextlib
import ipaddress
import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.receipts import Guest
from hardpan.process import Completed, run, spawn
from hardpan.scanners.target import Target, parse

USER = "steward"
_MEDIA_AT = "/run/install/repo"
_WAIT_S = 90
# An own network for each host, in the range that is set apart for tests between hosts.
_RANGE = ipaddress.ip_network("198.18.0.0/15")


@dataclass(frozen=True)
class Kernel:
    """The lab media's kernel. Debian moves it every few weeks, so no test names a version."""

    package: str
    """Version and release of the media's kernel-core, e.g. ``6.12.117-1.lab9``."""

    release: str
    """Its folder below ``/usr/lib/modules``, e.g. ``6.12.117+deb13-cloud-amd64``."""


@dataclass(frozen=True)
class Payload:
    """The unpacked lab media: what every lab host is laid over."""

    root: Path
    media: Path

    @classmethod
    def unpacked_in(cls, folder: Path) -> "Payload":
        """The payload that ``unpack`` wrote to ``folder``."""
        return cls(root=folder / "root", media=folder / "media")

    @property
    def kernel(self) -> Kernel:
        """The one kernel of the media."""
        rpms = [rpm.name for rpm in self.media.glob("*/Packages/kernel-core-*.x86_64.rpm")]
        releases = [folder.name for folder in (self.root / "usr/lib/modules").iterdir()]
        assert (len(rpms), len(releases)) == (1, 1), (
            f"{self.media}: expected one kernel, found {rpms} and modules of {releases}"
        )
        package = rpms[0].removeprefix("kernel-core-").removesuffix(".x86_64.rpm")
        return Kernel(package=package, release=releases[0])


@dataclass(frozen=True)
class LabHost:
    """A running lab host."""

    guest: Guest
    root: Path
    """Its file system, seen from outside."""

    pid: int
    """Its first process, seen from outside."""

    @property
    def target(self) -> Target:
        """The host as a scanner addresses it."""
        return parse(
            f"{USER}@{self.guest.address}:{self.guest.port}",
            identity=self.guest.private_key,
            host_keys=list(self.guest.host_keys),
        )

    def run(self, script: str, *, ok: Sequence[int] = (0,), timeout_s: float = 120) -> Completed:
        """Run a shell script inside, as root, without SSH."""
        inside = ["nsenter", "-t", str(self.pid), "-a", "--", "/bin/sh", "-c", script]
        return run(inside, timeout_s=timeout_s, ok=ok, env={"HOME": "/root", "PATH": _PATH})


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def unpack(iso: Path, folder: Path) -> None:
    """Unpack the lab media's repositories and payload into ``folder``."""
    to = Payload.unpacked_in(folder)
    run(["xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", to.media], timeout_s=300)
    run(["unsquashfs", "-q", "-n", "-d", to.root, to.media / "images/install.img"], timeout_s=300)


@contextlib.contextmanager
def lab_host(payload: Payload, folder: Path, *, install: Sequence[str] = ()) -> Iterator[LabHost]:
    """Boot a fresh lab host, with more packages from the lab's repositories.

    Its first user is the one that the lab's profile builds as, with sudo without password.
    """
    name = f"hp{secrets.token_hex(3)}"
    ours, theirs = _addresses()
    top, work, root = folder / "top", folder / "work", folder / "host"
    for part in (top, work, root):
        part.mkdir(parents=True)
    layers = f"lowerdir={payload.root},upperdir={top},workdir={work}"
    with _mounted(["-t", "overlay", "overlay", "-o", layers], root):
        _prepare(root, folder, theirs)
        argv: list[str | Path] = ["systemd-nspawn", "-q", "--boot", "--register=no", "--keep-unit"]
        argv += [f"--machine={name}", f"--directory={root}", "--console=pipe", "--network-veth"]
        argv += [f"--bind-ro={payload.media}:{_MEDIA_AT}", "--capability=CAP_NET_ADMIN,CAP_BPF"]
        # bpf: without it systemd ignores IPAddressDeny= of the units.
        argv += ["--system-call-filter=@keyring bpf"]
        log = folder / "console.log"
        with spawn(argv, log=log, env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}):
            veth = f"ve-{name}"
            run(["ip", "address", "add", f"{ours}/30", "dev", veth], timeout_s=_until(veth, log))
            run(["ip", "link", "set", veth, "up"], timeout_s=10)
            first = _first_process(name, log)
            try:
                yield _ready(first, theirs, root, folder, install)
            finally:
                # An orderly end takes longer than 'spawn' waits, and would outlive systemd-nspawn.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)


def _prepare(root: Path, folder: Path, address: ipaddress.IPv4Address) -> None:
    """What an installer would have set up: a user, a key, an address."""
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", folder / "key"], timeout_s=20)
    add = ["useradd", "--create-home", "--groups", "wheel", "--shell", "/bin/bash", USER]
    run(["chroot", root, *add], timeout_s=20, env={"PATH": _PATH})
    home = root / "home" / USER
    owner = home.stat()
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/authorized_keys").write_bytes((folder / "key.pub").read_bytes())
    for path in (home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)
    allowed = root / "etc/sudoers.d" / USER
    allowed.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    allowed.chmod(0o440)
    networks = root / "etc/systemd/network"
    networks.mkdir(parents=True, exist_ok=True)
    (networks / "10-host0.network").write_text(
        f"[Match]\nName=host0\n[Network]\nAddress={address}/30\nLinkLocalAddressing=no\n"
    )
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    (root / "etc/hostname").write_text("lab-host\n")


def _ready(
    first: int, address: ipaddress.IPv4Address, root: Path, folder: Path, install: Sequence[str]
) -> LabHost:
    host = LabHost(guest=_guest(address, folder, ()), root=root, pid=first)
    waited = f"timeout {_WAIT_S} systemctl is-system-running --wait"
    host.run(f"until test -S /run/dbus/system_bus_socket; do sleep .1; done; {waited}", ok=(0, 1))
    if install:
        host.run(f"dnf -q -y install {' '.join(install)}", timeout_s=600)
    keys = host.run("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    told = tuple(" ".join(line.split()[:2]) for line in keys)
    return LabHost(guest=_guest(address, folder, told), root=root, pid=first)


def _guest(address: ipaddress.IPv4Address, folder: Path, keys: tuple[str, ...]) -> Guest:
    return Guest(
        address=str(address),
        port=22,
        user=USER,
        private_key=folder / "key",
        host_keys=keys,
        accelerator="none",
        boot_s=0.0,
    )


def _addresses() -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """Both ends of a network of two that no other interface of this machine has."""
    taken = run(["ip", "-4", "-o", "address"], timeout_s=10).stdout
    while True:
        base = _RANGE.network_address + 4 * secrets.randbelow(_RANGE.num_addresses // 4)
        if f" {base + 1}/" not in taken:
            return base + 1, base + 2


def _until(veth: str, log: Path) -> float:
    """Wait for the interface; the seconds that the next command may take."""
    for _ in range(_WAIT_S * 10):
        if Path(f"/sys/class/net/{veth}").exists():
            return 10
        time.sleep(0.1)
    raise AssertionError(f"the lab host did not start: {_end(log)}")


def _first_process(name: str, log: Path) -> int:
    """The host's own PID 1: the child of systemd-nspawn that leads its namespaces."""
    for _ in range(_WAIT_S * 10):
        found = run(["pgrep", "-f", f"machine={name} "], timeout_s=5, ok=(0, 1)).stdout.split()
        for parent in found:
            children = run(["pgrep", "-P", parent], timeout_s=5, ok=(0, 1)).stdout.split()
            for child in children:
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return int(child)
        time.sleep(0.1)
    raise AssertionError(f"the lab host did not start: {_end(log)}")


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def _mounted(what: Sequence[str], at: Path) -> Iterator[None]:
    run(["mount", *what, at], timeout_s=30)
    try:
        yield
    finally:
        run(["umount", "--recursive", "--lazy", at], timeout_s=60)
