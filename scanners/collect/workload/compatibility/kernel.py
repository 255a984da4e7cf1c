"""Inspects the host's kernel, its firmware and its GPU's driver. Each function runs one check."""

import datetime
import glob
import os
import re
from typing import Dict, List

from . import facts
from .tools import ProbeResult, combine, not_applicable, not_tested, read, run, satisfied_if

_DISABLING_ARGUMENT = re.compile(
    r"mitigations=off|nopti|pti=off|nospectre_v[12]|spectre_v2=off|mds=off|l1tf=off"
)


def check_installer_fips_mode() -> ProbeResult:
    """Whether the installer's logs, or hardpan's copy of its command line, contain fips=1."""
    logs = sorted(glob.glob("/var/log/anaconda/*"))[:40]
    logs += glob.glob("/usr/lib/hardpan/installer-command-line")
    if not logs:
        return not_tested("no logs in /var/log/anaconda")
    matching_logs = [
        p for p in logs if re.search(r"(?:^|[\s\"'])fips=1(?:$|[\s\"'])", read(p, 8 << 20) or "")
    ]
    summary = (
        f"fips=1 in {os.path.basename(matching_logs[0])}"
        if matching_logs
        else "no fips=1 in the installer's logs"
    )
    return satisfied_if(matching_logs, summary)


def check_fips_mode() -> ProbeResult:
    """Whether the kernel is in FIPS mode."""
    return facts.check_sysctl("crypto.fips_enabled", "=1")


def check_selinux() -> ProbeResult:
    """Whether SELinux enforces."""
    value = read("/sys/fs/selinux/enforce", 8)
    if value is None:
        return not_applicable("the kernel has no SELinux switched on")
    return satisfied_if(value.strip() == "1", f"enforce = {value.strip()}")


def check_selinux_denials(since: datetime.datetime) -> ProbeResult:
    """SELinux denials since a time."""
    if check_selinux()[0] == "not_applicable":
        return check_selinux()
    start_time = since.strftime("%x %X").split()
    # Without --input-logs it reads its standard input wherever that is a pipe, and finds nothing.
    argv = ["ausearch", "--input-logs", "-m", "avc", "-ts", *start_time, "--raw"]
    code, out = run(argv, 60)
    if code == 127:
        return not_tested("ausearch is not installed")
    lines = [x for x in out.splitlines() if "denied" in x]
    return satisfied_if(not lines, f"{len(lines)} denials{': ' + lines[0] if lines else ''}")


def check_secure_boot() -> ProbeResult:
    """Whether the firmware booted with Secure Boot."""
    variables = glob.glob("/sys/firmware/efi/efivars/SecureBoot-*")
    if not variables:
        return not_applicable("the firmware does not support Secure Boot")
    value = (read(variables[0], 16) or "\0")[-1]
    return satisfied_if(value == "\x01", f"SecureBoot = {ord(value)}")


def check_driver_signature() -> ProbeResult:
    """Whether the GPU's kernel module is loaded and not tainted as unsigned."""
    if not facts.list_gpu_vendors():
        return not_applicable("no GPU on the PCI bus")
    name = next((m for m in ("nvidia", "amdgpu") if os.path.isdir(f"/sys/module/{m}")), "")
    taint = (read(f"/sys/module/{name}/taint") or "").strip()
    return satisfied_if(
        name and "E" not in taint, f"{name or 'no driver'}, taint {taint or 'none'}"
    )


def check_mitigations() -> ProbeResult:
    """No mitigation is switched off; what the processor leaves open is reported."""
    line = " ".join(facts.read_kernel_arguments())
    root = "/sys/devices/system/cpu/vulnerabilities"
    states = {n: (read(f"{root}/{n}") or "").strip() for n in sorted(os.listdir(root))}
    vulnerable = [n for n, s in states.items() if s.startswith("Vulnerable")]
    meltdown = states.get("meltdown", "")
    disabling_match = _DISABLING_ARGUMENT.search(line)
    summary = f"pti=on {'is' if 'pti=on' in line.split() else 'is not'} set, meltdown: {meltdown}"
    summary += f", switched off by {disabling_match.group()}" if disabling_match else ""
    summary += f", left open by this processor: {', '.join(vulnerable)}" if vulnerable else ""
    return satisfied_if(
        meltdown and not disabling_match and not meltdown.startswith("Vulnerable"), summary
    )


def check_iommu() -> ProbeResult:
    """Whether an IOMMU is active."""
    if not facts.list_gpu_vendors():
        return not_applicable("no GPU on the PCI bus")
    iommus = os.listdir("/sys/class/iommu") if os.path.isdir("/sys/class/iommu") else []
    disabling_arguments = {"iommu=off", "intel_iommu=off", "amd_iommu=off"} & set(
        facts.read_kernel_arguments()
    )
    return satisfied_if(
        iommus and not disabling_arguments,
        f"{len(iommus)} IOMMUs, off: {', '.join(sorted(disabling_arguments)) or 'no'}",
    )


def check_kexec(units: Dict[str, Dict[str, List[str]]]) -> ProbeResult:
    """Whether kexec is locked and kdump is off."""
    state = facts.find_unit_state(units, "kdump.service")
    return combine(
        facts.check_sysctl("kernel.kexec_load_disabled", "=1"),
        satisfied_if(state not in ("active", "activating"), f"kdump is {state}"),
    )


def check_memory_poisoning() -> ProbeResult:
    """The arguments that clear freed memory."""
    line = facts.read_kernel_arguments()
    required = ("init_on_free=1", "page_poison=1")
    missing = [a for a in required if a not in line]
    return satisfied_if(
        not missing, f"missing: {', '.join(missing)}" if missing else "both are set"
    )


def check_nouveau_absent() -> ProbeResult:
    """Neither free driver uses the GPU."""
    if "NVIDIA" not in facts.list_gpu_vendors():
        return not_applicable("no NVIDIA GPU on the PCI bus")
    loaded = [m for m in ("nouveau", "nova_core") if m in facts.list_modules()]
    return satisfied_if(not loaded, f"loaded: {', '.join(loaded) or 'neither'}")


def check_nvidia_loaded() -> ProbeResult:
    """NVIDIA's module is loaded."""
    if "NVIDIA" not in facts.list_gpu_vendors():
        return not_applicable("no NVIDIA GPU on the PCI bus")
    return satisfied_if(
        "nvidia" in facts.list_modules(),
        "nvidia is loaded" if "nvidia" in facts.list_modules() else "not loaded",
    )
