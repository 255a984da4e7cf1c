"""Facts of the host, read once for all conflicts."""

import functools
import os
import re
import socket
import ssl
from typing import Dict, List, Optional, Tuple

from .tools import (
    ProbeResult,
    not_tested,
    read,
    read_int,
    run,
    satisfied,
    satisfied_if,
    value_after,
    violated,
)

_INSPECTED_UNITS = ("fapolicyd.service", "firewalld.service", "kdump.service", "usbguard.service")
_GPU_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD"}
_GPU_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")
_TABLE = "hardpan_ai"
_COUNTER = re.compile(r"counter denied \{\s*(?:comment \"[^\"]*\"\s*)?packets (\d+)")


def read_units(names: Tuple[str, ...]) -> Dict[str, Dict[str, List[str]]]:
    """Return unit -> setting -> values, in one call; empty if systemd does not answer."""
    unit_names = [*names, *_INSPECTED_UNITS]
    code, out = run(["systemctl", "show", "--no-pager", *unit_names], 60)
    units_by_name: Dict[str, Dict[str, List[str]]] = {}
    if code:
        return units_by_name
    for block in out.split("\n\n"):
        settings: Dict[str, List[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
        if settings.get("Id"):
            units_by_name[settings["Id"][0]] = settings
    return units_by_name


def find_mount(path: str) -> Tuple[str, List[str]]:
    """Return the mount point of ``path``, and its options; later mounts hide earlier ones."""
    best: Tuple[str, List[str]] = ("", [])
    for line in (read("/proc/mounts") or "").splitlines():
        parts = line.split()
        if len(parts) < 4:
            continue
        mount_point = parts[1].encode().decode("unicode_escape")
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best[0]):
            best = (mount_point, parts[3].split(","))
    return best


def check_noexec(path: str) -> ProbeResult:
    """Whether the file system of ``path`` is noexec."""
    mount_point, options = find_mount(path)
    if not mount_point:
        return not_tested(f"{path}: no mount found")
    return satisfied_if(
        "noexec" in options, f"{path} is on {mount_point} ({','.join(options[:8])})"
    )


def check_sysctl(name: str, condition: str) -> ProbeResult:
    """A kernel setting: ``good`` is ``=1`` or ``>=2``."""
    value = read_int("/proc/sys/" + name.replace(".", "/"))
    if value is None:
        return not_tested(f"{name} does not exist")
    expected = int(condition.lstrip(">="))
    return satisfied_if(
        value >= expected if condition[0] == ">" else value == expected, f"{name} = {value}"
    )


def read_kernel_arguments() -> List[str]:
    """The kernel's command line."""
    return (read("/proc/cmdline") or "").split()


def find_unit_state(units_by_name: Dict[str, Dict[str, List[str]]], unit: str) -> str:
    """The state of a unit: ``active``, ``inactive``, ``not-found`` or ``unknown``."""
    settings = units_by_name.get(unit, {})
    if settings.get("LoadState") == ["not-found"]:
        return "not-found"
    return (settings.get("ActiveState") or ["unknown"])[0]


def list_gpu_vendors() -> List[str]:
    """The vendors of the GPUs on the PCI bus."""
    root = "/sys/bus/pci/devices"
    vendors = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        vendor = (read(f"{root}/{name}/vendor") or "").strip()
        kind = (read(f"{root}/{name}/class") or "").strip()
        if vendor in _GPU_VENDORS and kind.startswith(_GPU_CLASSES):
            vendors.append(_GPU_VENDORS[vendor])
    return vendors


def list_modules() -> List[str]:
    """The loaded kernel modules."""
    return [line.split()[0] for line in (read("/proc/modules") or "").splitlines() if line]


def count_denied_packets() -> Tuple[Optional[int], str]:
    """Return packets that the egress table counted as denied; None and the reason without one."""
    code, out = run(["nft", "list", "table", "inet", _TABLE], 30)
    if code == 127:
        return None, "nft is not installed"
    if code:
        return None, f"no nftables table inet {_TABLE}"
    match = _COUNTER.search(out)
    return (int(match[1]), "") if match else (None, f"table inet {_TABLE} has no counter 'denied'")


def read_audit_status() -> Tuple[Optional[Dict[str, str]], str]:
    """Return the status of the kernel's audit; None and the reason if auditctl fails."""
    code, out = run(["auditctl", "-s"], 30)
    status = dict(line.split(None, 1) for line in out.splitlines() if len(line.split()) == 2)
    if code or "enabled" not in status or "lost" not in status:
        return None, "auditctl: " + (out.strip().splitlines() or ["no answer"])[-1]
    return status, ""


@functools.lru_cache(maxsize=1)
def check_proxy() -> ProbeResult:
    """One HTTPS request to port 443 on the loopback. The certificate is not verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        plain = socket.create_connection(("127.0.0.1", 443), timeout=10)
        with plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = tls.recv(64).decode("latin-1").split("\r\n")[0]
            tls_version = f"{tls.version()} {(tls.cipher() or ('?',))[0]}"
    except ConnectionRefusedError:
        return not_tested("nothing listens on port 443")
    except (OSError, ssl.SSLError) as e:
        return violated(f"port 443: {e}")
    return satisfied_if(answer.startswith("HTTP/1."), f"{tls_version}, {answer[:40]}")


def check_health(port: int) -> ProbeResult:
    """Whether an AI service answers HTTP on its loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = s.recv(64).decode("latin-1").split("\r\n")[0]
    except OSError as e:
        return violated(f"port {port}: {e.strerror or e}")
    status = answer.split()[1] if answer.startswith("HTTP/1.") else ""
    return satisfied_if(status.isdigit() and int(status) < 500, f"port {port}: {answer[:40]}")


def list_listeners(uids: List[int]) -> List[str]:
    """``local`` or ``open`` and the port, for each TCP port that one of these users listens on."""
    listeners = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read(path) or "").splitlines()[1:]:
            parts = line.split()
            if len(parts) < 8 or parts[3] != "0A" or int(parts[7]) not in uids:
                continue
            address, _, port = parts[1].partition(":")
            local = address.endswith("7F") if len(address) == 8 else _is_loopback_ipv6(address)
            listeners.add(f"{'local' if local else 'open'} {int(port, 16)}")
    return sorted(listeners)


def _is_loopback_ipv6(address: str) -> bool:
    mapped = address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F")
    return mapped or address == "0" * 24 + "01000000"


def check_firewall() -> ProbeResult:
    """Whether the default zone of firewalld denies, and what it opens."""
    code, out = run(["firewall-cmd", "--list-all"], 60)
    if code:
        return violated("firewall-cmd: " + (out.strip().splitlines() or ["no answer"])[-1])
    lines = [line.strip() for line in out.splitlines()]
    target = value_after(lines, "target:")
    services, ports = value_after(lines, "services:").split(), value_after(lines, "ports:").split()
    # dhcpv6-client lets in the answers to the host's own questions for an address.
    extra = set(services) - {"ssh", "https", "dhcpv6-client"} | set(ports) - {"22/tcp", "443/tcp"}
    summary = f"target {target}, services {' '.join(services)}, ports {' '.join(ports) or 'none'}"
    return satisfied_if(
        target.upper() in ("DROP", "%%REJECT%%", "REJECT", "DEFAULT") and not extra, summary
    )


def check_kernel_log() -> ProbeResult:
    """The kernel's messages in the journal, as root."""
    code, out = run(["journalctl", "-k", "-n", "1", "-q", "--no-pager", "-o", "cat"], 30)
    if code == 127:
        return not_tested(out)
    return (
        satisfied("there are some") if out.strip() and not code else violated("none in the journal")
    )
