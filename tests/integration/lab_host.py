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

from hardpan.builder.artifacts import BootedGuest
from hardpan.core.process import CompletedProcess, run, spawn
from hardpan.ssh.target import Target, parse_target

USER = "steward"
_MEDIA_MOUNT_POINT = "/run/install/repo"
_WAIT_S = 90
# An own network for each host, in the range that is set apart for tests between hosts.
_RANGE = ipaddress.ip_network("198.18.0.0/15")


@dataclass(frozen=True)
class LabKernel:
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
    def kernel(self) -> LabKernel:
        """The one kernel of the media."""
        rpms = [rpm.name for rpm in self.media.glob("*/Packages/k/kernel-core-*.x86_64.rpm")]
        releases = [folder.name for folder in (self.root / "usr/lib/modules").iterdir()]
        assert (len(rpms), len(releases)) == (1, 1), (
            f"{self.media}: expected one kernel, got {rpms} and modules of {releases}"
        )
        package = rpms[0].removeprefix("kernel-core-").removesuffix(".x86_64.rpm")
        return LabKernel(package=package, release=releases[0])


@dataclass(frozen=True)
class LabHost:
    """A running lab host."""

    guest: BootedGuest
    root: Path
    """Its file system, seen from outside."""

    pid: int
    """Its first process, seen from outside."""

    @property
    def target(self) -> Target:
        """The host as a scanner addresses it."""
        return parse_target(
            f"{USER}@{self.guest.address}:{self.guest.port}",
            identity=self.guest.private_key,
            host_keys=list(self.guest.host_keys),
        )

    def run(
        self, script: str, *, ok: Sequence[int] = (0,), timeout_s: float = 120
    ) -> CompletedProcess:
        """Run a shell script inside, as root, without SSH."""
        inside = ["nsenter", "-t", str(self.pid), "-a", "--", "/bin/sh", "-c", script]
        return run(inside, timeout_s=timeout_s, ok=ok, env={"HOME": "/root", "PATH": _PATH})


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def unpack_payload(iso: Path, folder: Path) -> None:
    """Unpack the lab media's repositories and payload into ``folder``."""
    payload = Payload.unpacked_in(folder)
    run(["xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", payload.media], timeout_s=300)
    images = payload.media / "images"
    run(
        ["unsquashfs", "-q", "-n", "-no-wildcards", "-exclude-file", images / "installer-only.txt",
         "-d", payload.root, images / "install.img"],
        timeout_s=300,
    )  # fmt: skip


@contextlib.contextmanager
def lab_host(payload: Payload, folder: Path, *, install: Sequence[str] = ()) -> Iterator[LabHost]:
    """Boot a fresh lab host, with more packages from the lab's repositories.

    Its first user is the one that the lab's profile builds as, with sudo without password.
    """
    name = f"hp{secrets.token_hex(3)}"
    host_address, guest_address = _pick_addresses()
    upper_dir, work, root = folder / "top", folder / "work", folder / "host"
    for part in (upper_dir, work, root):
        part.mkdir(parents=True)
    layers = f"lowerdir={payload.root},upperdir={upper_dir},workdir={work}"
    with _mount(["-t", "overlay", "overlay", "-o", layers], root):
        _prepare(root, folder, guest_address)
        argv: list[str | Path] = ["systemd-nspawn", "-q", "--boot", "--register=no", "--keep-unit"]
        argv += [f"--machine={name}", f"--directory={root}", "--console=pipe", "--network-veth"]
        argv += [
            f"--bind-ro={payload.media}:{_MEDIA_MOUNT_POINT}",
            "--capability=CAP_NET_ADMIN,CAP_BPF",
        ]
        # bpf: without it systemd ignores IPAddressDeny= of the units.
        argv += ["--system-call-filter=@keyring bpf"]
        # What systemd reads as the kernel's command line: this machine's audit is not the host's.
        argv += ["audit=0"]
        log = folder / "console.log"
        with spawn(argv, log=log, env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}):
            veth = f"ve-{name}"
            run(
                ["ip", "address", "add", f"{host_address}/30", "dev", veth],
                timeout_s=_wait_for_interface(veth, log),
            )
            run(["ip", "link", "set", veth, "up"], timeout_s=10)
            first_pid = _find_first_process(name, log)
            try:
                yield _wait_until_ready(first_pid, guest_address, root, folder, install)
            finally:
                # An orderly end takes longer than 'spawn' waits, and would outlive systemd-nspawn.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first_pid, signal.SIGKILL)


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
    connection = root / "etc/NetworkManager/system-connections/host0.nmconnection"
    connection.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection.write_text(
        "[connection]\nid=host0\ntype=ethernet\ninterface-name=host0\n"
        f"[ipv4]\nmethod=manual\naddress1={address}/30\n[ipv6]\nmethod=disabled\n"
    )
    connection.chmod(0o600)
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    (root / "etc/hostname").write_text("lab-host\n")


def _wait_until_ready(
    first_pid: int, address: ipaddress.IPv4Address, root: Path, folder: Path, install: Sequence[str]
) -> LabHost:
    host = LabHost(guest=_make_guest(address, folder, ()), root=root, pid=first_pid)
    wait_command = f"timeout {_WAIT_S} systemctl is-system-running --wait"
    host.run(
        f"until test -S /run/dbus/system_bus_socket; do sleep .1; done; {wait_command}", ok=(0, 1)
    )
    if install:
        host.run(f"dnf -q -y install {' '.join(install)}", timeout_s=600)
    keys = host.run("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    host_keys = tuple(" ".join(line.split()[:2]) for line in keys)
    return LabHost(guest=_make_guest(address, folder, host_keys), root=root, pid=first_pid)


def _make_guest(address: ipaddress.IPv4Address, folder: Path, keys: tuple[str, ...]) -> BootedGuest:
    return BootedGuest(
        address=str(address),
        port=22,
        user=USER,
        private_key=folder / "key",
        host_keys=keys,
        accelerator="none",
        boot_s=0.0,
    )


def _pick_addresses() -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """Both ends of a network of two that no other interface of this machine has."""
    addresses_in_use = run(["ip", "-4", "-o", "address"], timeout_s=10).stdout
    while True:
        base = _RANGE.network_address + 4 * secrets.randbelow(_RANGE.num_addresses // 4)
        if f" {base + 1}/" not in addresses_in_use:
            return base + 1, base + 2


def _wait_for_interface(veth: str, log: Path) -> float:
    """Wait for the interface; the seconds that the next command may take."""
    for _ in range(_WAIT_S * 10):
        if Path(f"/sys/class/net/{veth}").exists():
            return 10
        time.sleep(0.1)
    raise AssertionError(f"the lab host did not start: {_log_tail(log)}")


def _find_first_process(name: str, log: Path) -> int:
    """The host's own PID 1: the child of systemd-nspawn that leads its namespaces."""
    for _ in range(_WAIT_S * 10):
        parents = run(["pgrep", "-f", f"machine={name} "], timeout_s=5, ok=(0, 1)).stdout.split()
        for parent in parents:
            children = run(["pgrep", "-P", parent], timeout_s=5, ok=(0, 1)).stdout.split()
            for child in children:
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return int(child)
        time.sleep(0.1)
    raise AssertionError(f"the lab host did not start: {_log_tail(log)}")


def _log_tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def _mount(arguments: Sequence[str], mount_point: Path) -> Iterator[None]:
    run(["mount", *arguments, mount_point], timeout_s=30)
    try:
        yield
    finally:
        run(["umount", "--recursive", "--lazy", mount_point], timeout_s=60)
