#!/usr/bin/python3 -I
"""Apply the kernel settings and allowlists of a plan; the plan is the only argument.

Only files are changed: the host is rebooted before use. What was removed is recorded in
/etc/hardpan/surface.json, with the former file modes.
"""

import fnmatch
import json
import stat
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from host import Host

RECORD = "/etc/hardpan/surface.json"
SYSCTL_FILE = "/etc/sysctl.d/95-hardpan-hardening.conf"
MODULES_FILE = "/etc/modprobe.d/hardpan-hardening.conf"
FIREWALL = "/etc/firewalld/firewalld.conf"
UNIT_KINDS = "--type=service,socket,timer,path"
DISK_FILE_SYSTEMS = ("btrfs", "ext2", "ext3", "ext4", "overlay", "xfs")
ALWAYS_OPEN_SERVICES = ("ssh", "dhcpv6-client")
"""Services that stay open in the firewall's zone: SSH, and replies to DHCPv6 requests."""


def main() -> None:
    """Apply the plan."""
    plan, host = json.loads(sys.argv[1]), Host()
    record = json.loads(host.read(RECORD) or "{}")
    record["sysctls_lacking"] = sysctls(host, plan["sysctls"])
    modules(host, plan["modules"])
    open_ports(host, plan["ports"])
    record["masked"] = sorted({*record.get("masked", ()), *mask_units(host, plan["services"])})
    record["suid"] = {**record.get("suid", {}), **remove_suid(host, plan["suid"])}
    if plan["compilers"]:
        name_lists = plan["compilers"], plan["build_tools"], plan["kept_packages"]
        removed = remove_packages(host, *name_lists)
        record["removed"] = sorted({*record.get("removed", ()), *removed})
    host.write(RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    host.report()


def sysctls(host: Host, settings: Iterable[tuple[str, str, str]]) -> list[str]:
    """Write the kernel settings; return the names that this kernel does not have."""
    missing = []
    lines: list[str] = []
    for name, value, reason in settings:
        if host.exists("/proc/sys/" + name.replace(".", "/")):
            lines += [f"# {reason}", f"{name} = {value}"]
        else:
            missing.append(name)
            host.add_note(f"the kernel has no {name}, left out")
    host.write(SYSCTL_FILE, "\n".join(lines) + "\n")
    return missing


def modules(host: Host, groups: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Prevent kernel modules from being loaded, by name or on demand."""
    lines = []
    for reason, names in groups:
        lines.append(f"# {reason}")
        for name in names:
            lines += [f"install {name} /bin/false", f"blacklist {name}"]
    host.write(MODULES_FILE, "\n".join(lines) + "\n")


def open_ports(host: Host, ports: Iterable[int]) -> None:
    """Open exactly these TCP ports in the firewall's default zone."""
    default_zones = [
        x.partition("=")[2].strip()
        for x in host.read(FIREWALL).splitlines()
        if x[:12] == "DefaultZone="
    ]
    if not default_zones:
        host.add_note("firewalld is not installed: no port is closed by this layer")
        return
    zone_file = f"/etc/firewalld/zones/{default_zones[0]}.xml"
    text = host.read(zone_file) or host.read(f"/usr/lib/firewalld/zones/{default_zones[0]}.xml")
    # firewalld's own file; only root can write it.
    zone = ET.fromstring(text or "<zone></zone>")  # noqa: S314
    requested = {str(p) for p in ports if p != 22}
    open_tcp_ports: set[Optional[str]] = set()
    for child in list(zone):
        if child.tag == "service" and child.get("name") not in ALWAYS_OPEN_SERVICES:
            opened = service_ports(host, child.get("name"))
            if opened and opened <= {("tcp", p) for p in requested}:
                open_tcp_ports |= {port for _, port in opened}
            else:
                zone.remove(child)
        elif child.tag == "port":
            if child.get("protocol") == "tcp" and child.get("port") in requested:
                open_tcp_ports.add(child.get("port"))
            else:
                zone.remove(child)
    if not any(c.tag == "service" and c.get("name") == "ssh" for c in zone):
        ET.SubElement(zone, "service", name="ssh")
    for port in sorted(requested - open_tcp_ports, key=int):
        ET.SubElement(zone, "port", protocol="tcp", port=port)
    document = '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(zone, "unicode") + "\n"
    # Compared by meaning: firewalld writes different whitespace.
    if not text or ET.canonicalize(text, strip_text=True) != ET.canonicalize(
        document, strip_text=True
    ):
        host.write(zone_file, document)


def service_ports(host: Host, name: Optional[str]) -> set[tuple[Optional[str], Optional[str]]]:
    """Return the (protocol, port) pairs that a firewalld service opens."""
    paths = (f"/etc/firewalld/services/{name}.xml", f"/usr/lib/firewalld/services/{name}.xml")
    text = next((host.read(p) for p in paths if host.exists(p)), "<service/>")
    ports = ET.fromstring(text).iter("port")  # noqa: S314 - as above
    return {(p.get("protocol"), p.get("port")) for p in ports}


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the shell patterns matches the name."""
    return any(fnmatch.fnmatchcase(name, p) for p in patterns)


def mask_units(host: Host, allowed: Sequence[str]) -> list[str]:
    """Mask enabled units that are not on the allowlist; return their names."""
    listing = host.run(
        "systemctl", "list-unit-files", "--no-legend", "--plain", "--state=enabled", UNIT_KINDS
    )
    enabled = [line.split()[0] for line in listing.splitlines() if line.strip()]
    unlisted = [n for n in enabled if not matches_any(n, allowed)]
    for name in list(unlisted):
        path = host.path(f"/etc/systemd/system/{name}")
        if path.is_file() and not path.is_symlink():
            # The site's unit file is at this path, so it cannot be masked.
            host.run("systemctl", "disable", "-q", name)
            host.add_note(f"{name} is not on the list and was disabled")
            host.changed.append(name)
            unlisted.remove(name)
    if unlisted:
        host.run("systemctl", "mask", "-q", *unlisted)
        host.changed += unlisted
        host.add_note(f"masked: {', '.join(unlisted)}")
    return unlisted


def file_systems(host: Host) -> Iterator[str]:
    """Return mount points of disks on which SUID bits are effective."""
    for line in host.read("/proc/self/mounts").splitlines():
        _, mount_point, fs_type, options = line.split()[:4]
        if fs_type in DISK_FILE_SYSTEMS and not {"nosuid", "ro"} & set(options.split(",")):
            yield mount_point.replace("\\040", " ")


def remove_suid(host: Host, allowed: Sequence[str]) -> dict[str, str]:
    """Remove SUID and SGID bits of files outside the allowlist; return path -> former mode."""
    modes = {}
    for mount_point in file_systems(host):
        output = host.run(
            *("find", mount_point, "-xdev", "-type", "f", "-perm", "/6000", "-printf", "%p\\0"),
            ok=(0, 1),
        )
        for name in sorted(filter(None, output.split("\0"))):
            if matches_any(name, allowed) or not host.exists(name):
                continue
            path = host.path(name)
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode & ~(stat.S_ISUID | stat.S_ISGID))
            modes[name] = f"{mode:04o}"
    if modes:
        host.changed += modes
        host.add_note(f"SUID or SGID taken off: {', '.join(modes)}")
    return modes


def remove_packages(
    host: Host, compilers: Sequence[str], tools: Sequence[str], exceptions: Sequence[str]
) -> list[str]:
    """Remove compilers, and build tools that nothing requires, in one transaction; return names."""
    installed = sorted(set(host.run("rpm", "-qa", "--qf", "%{NAME}\\n").split()))
    candidates = [n for n in installed if not matches_any(n, exceptions)]
    removed = [n for n in candidates if matches_any(n, compilers)]
    dependents = removal_blockers(host, removed)
    if dependents:
        sys.exit(
            f"compilers cannot be removed, installed packages need them: {dependents}"
            "\nremove those too, or say 'compiler: required' in kernel_hardening with the reason"
        )
    remaining = [n for n in candidates if matches_any(n, tools)]
    if not removal_blockers(host, removed + remaining):
        removed, remaining = removed + remaining, []
    for name in list(remaining):
        if not removal_blockers(host, [*removed, name]):
            removed.append(name)
            remaining.remove(name)
    if remaining:
        host.add_note(f"not removed, other packages need it: {', '.join(remaining)}")
    if removed:
        host.run("rpm", "-e", *removed)
        host.changed += removed
        host.add_note(f"removed: {', '.join(removed)}")
    return removed


def removal_blockers(host: Host, names: Sequence[str]) -> str:
    """Return rpm's objections to removing these packages."""
    output = host.run("rpm", "-e", "--test", *names, ok=(0, 1)) if names else ""
    return output.strip()[-1500:]


if __name__ == "__main__":
    main()
