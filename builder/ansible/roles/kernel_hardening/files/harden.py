#!/usr/bin/python3 -I
"""Holds a machine to the kernel settings and lists of a plan; the plan is the one argument.

Only files are changed: the machine is started anew before it is used. What was taken
away is kept in /etc/hardpan/surface.json, with the modes that files had.
"""

import fnmatch
import json
import stat
import sys
import xml.etree.ElementTree as ET

from host import Host

RECORD = "/etc/hardpan/surface.json"
SYSCTL_FILE = "/etc/sysctl.d/95-hardpan-hardening.conf"
MODULES_FILE = "/etc/modprobe.d/hardpan-hardening.conf"
FIREWALL = "/etc/firewalld/firewalld.conf"
UNIT_KINDS = "--type=service,socket,timer,path"
DISKS = ("btrfs", "ext2", "ext3", "ext4", "overlay", "xfs")
QUIET_SERVICES = ("ssh", "dhcpv6-client")
"""Services that a zone of the firewall keeps: the way in, and answers to our own requests."""


def main():
    """Do all of the plan."""
    plan, host = json.loads(sys.argv[1]), Host()
    record = json.loads(host.text(RECORD) or "{}")
    record["sysctls_lacking"] = sysctls(host, plan["sysctls"])
    modules(host, plan["modules"])
    open_ports(host, plan["ports"])
    record["masked"] = sorted({*record.get("masked", ()), *mask(host, plan["services"])})
    record["suid"] = {**record.get("suid", {}), **take_suid(host, plan["suid"])}
    if plan["compilers"]:
        lists = plan["compilers"], plan["build_tools"], plan["not_compilers"]
        gone = remove_packages(host, *lists)
        record["removed"] = sorted({*record.get("removed", ()), *gone})
    host.put(RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    host.tell()


def sysctls(host, settings):
    """Write the kernel settings; the names of those that this kernel does not have."""
    lacking = []
    lines = []
    for name, value, reason in settings:
        if host.has("/proc/sys/" + name.replace(".", "/")):
            lines += [f"# {reason}", f"{name} = {value}"]
        else:
            lacking.append(name)
            host.note(f"the kernel has no {name}, left out")
    host.put(SYSCTL_FILE, "\n".join(lines) + "\n")
    return lacking


def modules(host, groups):
    """Keep kernel modules from being loaded, by name or by what asks for them."""
    lines = []
    for reason, names in groups:
        lines.append(f"# {reason}")
        for name in names:
            lines += [f"install {name} /bin/false", f"blacklist {name}"]
    host.put(MODULES_FILE, "\n".join(lines) + "\n")


def open_ports(host, ports):
    """Let the firewall's default zone open these TCP ports and no others."""
    said = [
        x.partition("=")[2].strip()
        for x in host.text(FIREWALL).splitlines()
        if x[:12] == "DefaultZone="
    ]
    if not said:
        host.note("firewalld is not installed: no port is closed by this layer")
        return
    own = f"/etc/firewalld/zones/{said[0]}.xml"
    text = host.text(own) or host.text(f"/usr/lib/firewalld/zones/{said[0]}.xml")
    # firewalld's own file, which only root writes.
    zone = ET.fromstring(text or "<zone></zone>")  # noqa: S314
    wanted = {str(p) for p in ports if p != 22}
    there = set()
    for child in list(zone):
        if child.tag == "service" and child.get("name") not in QUIET_SERVICES:
            opens = service_ports(host, child.get("name"))
            if opens and opens <= {("tcp", p) for p in wanted}:
                there |= {port for _, port in opens}
            else:
                zone.remove(child)
        elif child.tag == "port":
            if child.get("protocol") == "tcp" and child.get("port") in wanted:
                there.add(child.get("port"))
            else:
                zone.remove(child)
    if not any(c.tag == "service" and c.get("name") == "ssh" for c in zone):
        ET.SubElement(zone, "service", name="ssh")
    for port in sorted(wanted - there, key=int):
        ET.SubElement(zone, "port", protocol="tcp", port=port)
    made = '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(zone, "unicode") + "\n"
    # As equal as they mean: firewalld writes blanks of its own.
    if not text or ET.canonicalize(text, strip_text=True) != ET.canonicalize(made, strip_text=True):
        host.put(own, made)


def service_ports(host, name):
    """What a service of firewalld's opens, as pairs of protocol and port."""
    places = (f"/etc/firewalld/services/{name}.xml", f"/usr/lib/firewalld/services/{name}.xml")
    text = next((host.text(p) for p in places if host.has(p)), "<service/>")
    ports = ET.fromstring(text).iter("port")  # noqa: S314 - as above
    return {(p.get("protocol"), p.get("port")) for p in ports}


def listed(name, patterns):
    """True when one of the shell patterns is for this name."""
    return any(fnmatch.fnmatchcase(name, p) for p in patterns)


def mask(host, allowed):
    """Mask what is enabled and not on the list; the names."""
    said = host.run(
        "systemctl", "list-unit-files", "--no-legend", "--plain", "--state=enabled", UNIT_KINDS
    )
    enabled = [line.split()[0] for line in said.splitlines() if line.strip()]
    extra = [n for n in enabled if not listed(n, allowed)]
    for name in list(extra):
        path = host.at(f"/etc/systemd/system/{name}")
        if path.is_file() and not path.is_symlink():
            # A unit file of the site's own: masking cannot stand in its place.
            host.run("systemctl", "disable", "-q", name)
            host.note(f"{name} is not on the list and was disabled")
            host.changed.append(name)
            extra.remove(name)
    if extra:
        host.run("systemctl", "mask", "-q", *extra)
        host.changed += extra
        host.note(f"masked: {', '.join(extra)}")
    return extra


def file_systems(host):
    """Mount points of disks on which a SUID bit would count."""
    for line in host.text("/proc/self/mounts").splitlines():
        _, place, kind, options = line.split()[:4]
        if kind in DISKS and not {"nosuid", "ro"} & set(options.split(",")):
            yield place.replace("\\040", " ")


def take_suid(host, allowed):
    """Take SUID and SGID bits off what is not on the list; path -> the mode it had."""
    taken = {}
    for place in file_systems(host):
        said = host.run(
            *("find", place, "-xdev", "-type", "f", "-perm", "/6000", "-printf", "%p\\0"), ok=(0, 1)
        )
        for name in sorted(filter(None, said.split("\0"))):
            if listed(name, allowed) or not host.has(name):
                continue
            path = host.at(name)
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode & ~(stat.S_ISUID | stat.S_ISGID))
            taken[name] = f"{mode:04o}"
    if taken:
        host.changed += taken
        host.note(f"SUID or SGID taken off: {', '.join(taken)}")
    return taken


def remove_packages(host, compilers, tools, kept):
    """Remove compilers, and their tools where nothing needs those, in one go; the names."""
    installed = sorted(set(host.run("rpm", "-qa", "--qf", "%{NAME}\\n").split()))
    there = [n for n in installed if not listed(n, kept)]
    gone = [n for n in there if listed(n, compilers)]
    needing = in_the_way(host, gone)
    if needing:
        sys.exit(
            f"compilers cannot be removed, installed packages need them: {needing}"
            "\nremove those too, or say 'compiler: needed' in kernel_hardening with the reason"
        )
    left = [n for n in there if listed(n, tools)]
    if not in_the_way(host, gone + left):
        gone, left = gone + left, []
    for name in list(left):
        if not in_the_way(host, [*gone, name]):
            gone.append(name)
            left.remove(name)
    if left:
        host.note(f"kept, as other packages need it: {', '.join(left)}")
    if gone:
        host.run("rpm", "-e", *gone)
        host.changed += gone
        host.note(f"removed: {', '.join(gone)}")
    return gone


def in_the_way(host, names):
    """What rpm says that speaks against removing these packages."""
    said = host.run("rpm", "-e", "--test", *names, ok=(0, 1)) if names else ""
    return said.strip()[-1500:]


if __name__ == "__main__":
    main()
