"""What the host says of itself, read once for all conflicts."""

import functools
import os
import re
import socket
import ssl
from typing import Dict, List, Optional, Tuple

from .tools import Half, broken, first, holds, judged, number, read, run, unasked

_ASKED_UNITS = ("fapolicyd.service", "firewalld.service", "kdump.service", "usbguard.service")
_GPU_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD"}
_GPU_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")
_TABLE = "hardpan_ai"
_COUNTER = re.compile(r"counter denied \{\s*(?:comment \"[^\"]*\"\s*)?packets (\d+)")


def units(names: Tuple[str, ...]) -> Dict[str, Dict[str, List[str]]]:
    """Unit -> setting -> values, in one call; empty where systemd does not answer."""
    wanted = [*names, *_ASKED_UNITS]
    code, out = run(["systemctl", "show", "--no-pager", *wanted], 60)
    found: Dict[str, Dict[str, List[str]]] = {}
    if code:
        return found
    for block in out.split("\n\n"):
        settings: Dict[str, List[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
        if settings.get("Id"):
            found[settings["Id"][0]] = settings
    return found


def mount_of(path: str) -> Tuple[str, List[str]]:
    """The mount point that ``path`` lies on, and its options; later mounts hide earlier ones."""
    best: Tuple[str, List[str]] = ("", [])
    for line in (read("/proc/mounts") or "").splitlines():
        parts = line.split()
        if len(parts) < 4:
            continue
        at = parts[1].encode().decode("unicode_escape")
        inside = path == at or path.startswith(at.rstrip("/") + "/")
        if inside and len(at) >= len(best[0]):
            best = (at, parts[3].split(","))
    return best


def noexec(path: str) -> Half:
    """Whether the file system that ``path`` lies on is noexec."""
    at, options = mount_of(path)
    if not at:
        return unasked(f"{path}: no mount found")
    return judged("noexec" in options, f"{path} lies on {at} ({','.join(options[:8])})")


def sysctl(name: str, good: str) -> Half:
    """A kernel setting: ``good`` is ``=1`` or ``>=2``."""
    value = number("/proc/sys/" + name.replace(".", "/"))
    if value is None:
        return unasked(f"{name} is not there")
    wanted = int(good.lstrip(">="))
    return judged(value >= wanted if good[0] == ">" else value == wanted, f"{name} = {value}")


def arguments() -> List[str]:
    """The kernel's command line."""
    return (read("/proc/cmdline") or "").split()


def active(known: Dict[str, Dict[str, List[str]]], unit: str) -> str:
    """The state of a unit: ``active``, ``inactive``, ``not-found`` or ``unknown``."""
    shown = known.get(unit, {})
    if shown.get("LoadState") == ["not-found"]:
        return "not-found"
    return (shown.get("ActiveState") or ["unknown"])[0]


def gpus() -> List[str]:
    """The vendors of the GPUs on the PCI bus."""
    root = "/sys/bus/pci/devices"
    found = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        vendor = (read(f"{root}/{name}/vendor") or "").strip()
        kind = (read(f"{root}/{name}/class") or "").strip()
        if vendor in _GPU_VENDORS and kind.startswith(_GPU_CLASSES):
            found.append(_GPU_VENDORS[vendor])
    return found


def modules() -> List[str]:
    """The loaded kernel modules."""
    return [line.split()[0] for line in (read("/proc/modules") or "").splitlines() if line]


def denied() -> Tuple[Optional[int], str]:
    """Packets that the egress table counted as denied; None and why where there is no such."""
    code, out = run(["nft", "list", "table", "inet", _TABLE], 30)
    if code == 127:
        return None, "nft is not installed"
    if code:
        return None, f"no nftables table inet {_TABLE}"
    found = _COUNTER.search(out)
    return (int(found[1]), "") if found else (None, f"table inet {_TABLE} has no counter 'denied'")


def audit() -> Tuple[Optional[Dict[str, str]], str]:
    """What auditctl says of the kernel's audit; None and why where it says nothing."""
    code, out = run(["auditctl", "-s"], 30)
    told = dict(line.split(None, 1) for line in out.splitlines() if len(line.split()) == 2)
    if code or "enabled" not in told or "lost" not in told:
        return None, "auditctl: " + (out.strip().splitlines() or ["no answer"])[-1]
    return told, ""


@functools.lru_cache(maxsize=1)
def proxy() -> Half:
    """One HTTPS request to port 443 on the loopback. Whose certificate it is does not matter."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        plain = socket.create_connection(("127.0.0.1", 443), timeout=10)
        with plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = tls.recv(64).decode("latin-1").split("\r\n")[0]
            how = f"{tls.version()} {(tls.cipher() or ('?',))[0]}"
    except ConnectionRefusedError:
        return unasked("nothing listens on port 443")
    except (OSError, ssl.SSLError) as e:
        return broken(f"port 443: {e}")
    return judged(answer.startswith("HTTP/1."), f"{how}, {answer[:40]}")


def answers(port: int) -> Half:
    """Whether an AI service answers HTTP on its loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = s.recv(64).decode("latin-1").split("\r\n")[0]
    except OSError as e:
        return broken(f"port {port}: {e.strerror or e}")
    status = answer.split()[1] if answer.startswith("HTTP/1.") else ""
    return judged(status.isdigit() and int(status) < 500, f"port {port}: {answer[:40]}")


def listening(uids: List[int]) -> List[str]:
    """``local`` or ``open`` and the port, for each TCP port that one of these users listens on."""
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read(path) or "").splitlines()[1:]:
            parts = line.split()
            if len(parts) < 8 or parts[3] != "0A" or int(parts[7]) not in uids:
                continue
            address, _, port = parts[1].partition(":")
            local = address.endswith("7F") if len(address) == 8 else _local6(address)
            found.add(f"{'local' if local else 'open'} {int(port, 16)}")
    return sorted(found)


def _local6(address: str) -> bool:
    mapped = address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F")
    return mapped or address == "0" * 24 + "01000000"


def firewall() -> Half:
    """The default zone of firewalld: does it deny, and what is open."""
    code, out = run(["firewall-cmd", "--list-all"], 60)
    if code:
        return broken("firewall-cmd: " + (out.strip().splitlines() or ["no answer"])[-1])
    lines = [line.strip() for line in out.splitlines()]
    target = first(lines, "target:")
    services, ports = first(lines, "services:").split(), first(lines, "ports:").split()
    # dhcpv6-client lets in the answers to the host's own questions for an address.
    extra = set(services) - {"ssh", "https", "dhcpv6-client"} | set(ports) - {"22/tcp", "443/tcp"}
    told = f"target {target}, services {' '.join(services)}, ports {' '.join(ports) or 'none'}"
    return judged(target.upper() in ("DROP", "%%REJECT%%", "REJECT", "DEFAULT") and not extra, told)


def logged() -> Half:
    """The kernel's messages in the journal, as root."""
    code, out = run(["journalctl", "-k", "-n", "1", "-q", "--no-pager", "-o", "cat"], 30)
    if code == 127:
        return unasked(out)
    return holds("there are some") if out.strip() and not code else broken("none in the journal")
