"""Looks at the host's kernel, its firmware and its GPU's driver. Each gives one half."""

import datetime
import glob
import os
import re
from typing import Dict, List

from . import facts
from .tools import Half, absent, both, judged, read, run, unasked

_OFF = re.compile(r"mitigations=off|nopti|pti=off|nospectre_v[12]|spectre_v2=off|mds=off|l1tf=off")


def installed_in_fips_mode() -> Half:
    """Whether the installer's own logs, or what hardpan kept of them, show fips=1."""
    logs = sorted(glob.glob("/var/log/anaconda/*"))[:40]
    logs += glob.glob("/usr/lib/hardpan/installer-command-line")
    if not logs:
        return unasked("no logs in /var/log/anaconda")
    found = [
        p for p in logs if re.search(r"(?:^|[\s\"'])fips=1(?:$|[\s\"'])", read(p, 8 << 20) or "")
    ]
    told = (
        f"fips=1 in {os.path.basename(found[0])}" if found else "no fips=1 in the installer's logs"
    )
    return judged(found, told)


def fips() -> Half:
    """Whether the kernel is in FIPS mode."""
    return facts.sysctl("crypto.fips_enabled", "=1")


def selinux() -> Half:
    """Whether SELinux enforces."""
    value = read("/sys/fs/selinux/enforce", 8)
    if value is None:
        return absent("the kernel has no SELinux switched on")
    return judged(value.strip() == "1", f"enforce = {value.strip()}")


def denials(since: datetime.datetime) -> Half:
    """SELinux denials since a moment."""
    if selinux()[0] == "not_applicable":
        return selinux()
    at = since.strftime("%x %X").split()
    code, out = run(["ausearch", "-m", "avc", "-ts", *at, "--raw"], 60)
    if code == 127:
        return unasked("ausearch is not installed")
    lines = [x for x in out.splitlines() if "denied" in x]
    return judged(not lines, f"{len(lines)} denials{': ' + lines[0] if lines else ''}")


def secure_boot() -> Half:
    """Whether the firmware booted with Secure Boot."""
    found = glob.glob("/sys/firmware/efi/efivars/SecureBoot-*")
    if not found:
        return absent("the firmware tells of no Secure Boot")
    value = (read(found[0], 16) or "\0")[-1]
    return judged(value == "\x01", f"SecureBoot = {ord(value)}")


def signed_driver() -> Half:
    """Whether the GPU's kernel module is loaded and not tainted as unsigned."""
    if not facts.gpus():
        return absent("no GPU on the PCI bus")
    name = next((m for m in ("nvidia", "amdgpu") if os.path.isdir(f"/sys/module/{m}")), "")
    taint = (read(f"/sys/module/{name}/taint") or "").strip()
    return judged(name and "E" not in taint, f"{name or 'no driver'}, taint {taint or 'none'}")


def mitigations() -> Half:
    """That nothing is switched off; what the processor leaves open is told."""
    line = " ".join(facts.arguments())
    root = "/sys/devices/system/cpu/vulnerabilities"
    states = {n: (read(f"{root}/{n}") or "").strip() for n in sorted(os.listdir(root))}
    worse = [n for n, s in states.items() if s.startswith("Vulnerable")]
    melt = states.get("meltdown", "")
    off = _OFF.search(line)
    told = f"pti=on {'is' if 'pti=on' in line.split() else 'is not'} there, meltdown: {melt}"
    told += f", switched off by {off.group()}" if off else ""
    told += f", left open by this processor: {', '.join(worse)}" if worse else ""
    return judged(melt and not off and not melt.startswith("Vulnerable"), told)


def iommu() -> Half:
    """Whether an IOMMU works."""
    if not facts.gpus():
        return absent("no GPU on the PCI bus")
    there = os.listdir("/sys/class/iommu") if os.path.isdir("/sys/class/iommu") else []
    off = {"iommu=off", "intel_iommu=off", "amd_iommu=off"} & set(facts.arguments())
    return judged(there and not off, f"{len(there)} IOMMUs, off: {', '.join(sorted(off)) or 'no'}")


def kexec(units: Dict[str, Dict[str, List[str]]]) -> Half:
    """That kexec is locked and kdump off."""
    state = facts.active(units, "kdump.service")
    return both(
        facts.sysctl("kernel.kexec_load_disabled", "=1"),
        judged(state not in ("active", "activating"), f"kdump is {state}"),
    )


def poisoning() -> Half:
    """The arguments that clear freed memory."""
    line = facts.arguments()
    wanted = ("init_on_free=1", "page_poison=1")
    missing = [a for a in wanted if a not in line]
    return judged(not missing, f"not there: {', '.join(missing)}" if missing else "both are there")


def nouveau() -> Half:
    """That neither free driver took the GPU."""
    if "NVIDIA" not in facts.gpus():
        return absent("no NVIDIA GPU on the PCI bus")
    there = [m for m in ("nouveau", "nova_core") if m in facts.modules()]
    return judged(not there, f"loaded: {', '.join(there) or 'neither'}")


def nvidia() -> Half:
    """That NVIDIA's module is loaded."""
    if "NVIDIA" not in facts.gpus():
        return absent("no NVIDIA GPU on the PCI bus")
    return judged(
        "nvidia" in facts.modules(),
        "nvidia is loaded" if "nvidia" in facts.modules() else "not loaded",
    )
