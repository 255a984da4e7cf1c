"""Requirements of builds and scans on this machine, for ``hardpan doctor``."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hardpan.builder.host_tools import TOOLS, HostTool, find_program
from hardpan.builder.vm import firmware
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.core import clock
from hardpan.core.errors import HardpanError, ToolError
from hardpan.core.process import run
from hardpan.core.xdg import cache_home
from hardpan.scanners.collect.lifecycle import load_lifecycle_table
from hardpan.scanners.content import datastream
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.stig.manual_stig import STALE_AFTER, list_stigs

_MIN_FREE_DISK_GIB = 25
_MIN_MEMORY_MIB = 4096
_BUILD_PRODUCTS = ("rhel9", "rhel10")
"""Products of the SCAP content for images that hardpan builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorCheck:
    """A requirement of this machine, and whether it is met."""

    name: str
    ok: bool | None
    """None: missing, but optional."""

    detail: str
    fix: str = ""
    """How to meet the requirement; empty if it is met."""


def run_checks() -> tuple[DoctorCheck, ...]:
    """Check every requirement by using it: programs are started, KVM runs a guest."""
    checks: tuple[Callable[[], DoctorCheck], ...] = (
        _check_python,
        _check_processors,
        _check_memory,
        _check_disk,
        _check_kvm,
        _check_ovmf,
        _check_content,
        _check_certificates,
        _check_lifecycle,
        _check_stigs,
    )
    return (*(check() for check in checks), *map(_check_tool, TOOLS))


def _check_python() -> DoctorCheck:
    version = ".".join(map(str, sys.version_info[:3]))
    return DoctorCheck(name="Python", ok=sys.version_info >= (3, 11), detail=version)


def _check_certificates() -> DoctorCheck:
    table = load_table()
    warning = table.describe_age(clock.now().date())
    return DoctorCheck(
        name="CMVP certificates",
        ok=None if warning else True,
        detail=warning or f"list of {table.as_of}",
        fix="update hardpan, or the list as docs/fips.md describes" if warning else "",
    )


def _check_lifecycle() -> DoctorCheck:
    table = load_lifecycle_table()
    warning = table.describe_age(clock.now().date())
    return DoctorCheck(
        name="end of support",
        ok=None if warning else True,
        detail=f"the table {warning}" if warning else f"table of {table.as_of}",
        fix="update hardpan, and check the clock of this machine" if warning else "",
    )


def _check_stigs() -> DoctorCheck:
    """Show the releases of DISA's STIGs whose requirements checklists have, and their age."""
    today = clock.now().date()
    stigs = list_stigs()
    is_stale = any(stig.is_stale(today) for stig in stigs)
    return DoctorCheck(
        name="STIG releases",
        ok=None if is_stale else True,
        detail=f"{', '.join(s.describe() for s in stigs)}; data of {min(s.as_of for s in stigs)}",
        fix=f"expected data of the last {STALE_AFTER.days} days: update hardpan"
        if is_stale
        else "",
    )


def _check_processors() -> DoctorCheck:
    processor_count = len(os.sched_getaffinity(0))
    return DoctorCheck(name="processors", ok=True, detail=f"{processor_count}; guests use 2")


def _check_memory() -> DoctorCheck:
    total_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    ok = total_mib >= _MIN_MEMORY_MIB
    fix = "" if ok else f"a guest needs 3 GiB; have at least {_MIN_MEMORY_MIB} MiB"
    return DoctorCheck(name="memory", ok=ok, detail=f"{total_mib} MiB", fix=fix)


def _check_disk() -> DoctorCheck:
    cache_folder = cache_home()
    existing = next(p for p in (cache_folder, *cache_folder.parents) if p.is_dir())
    free_gib = shutil.disk_usage(existing).free >> 30
    ok = free_gib >= _MIN_FREE_DISK_GIB
    missing_gib = _MIN_FREE_DISK_GIB - free_gib
    fix = "" if ok else f"free {missing_gib} GiB, or choose other folders with -o and --cache"
    return DoctorCheck(name="free disk", ok=ok, detail=f"{free_gib} GiB in {cache_folder}", fix=fix)


def _check_kvm() -> DoctorCheck:
    try:
        accelerator = detect_acceleration()
    except ToolError as e:
        return DoctorCheck(name="KVM", ok=None, detail=f"not checked: {e}")
    if accelerator.kind == "kvm":
        return DoctorCheck(name="KVM", ok=True, detail=accelerator.reason)
    fix = "builds work without it, about ten times slower"
    return DoctorCheck(name="KVM", ok=None, detail=accelerator.reason, fix=fix)


def _check_ovmf() -> DoctorCheck:
    ovmf = firmware.find_firmware()
    if ovmf is not None:
        build_note = " (Secure Boot build, run with SMM)" if ovmf.requires_smm else ""
        return DoctorCheck(name="OVMF", ok=True, detail=f"{ovmf.code}{build_note}")
    fix = "apt install ovmf | dnf install edk2-ovmf"
    return DoctorCheck(name="OVMF", ok=False, detail="not found: no UEFI guests", fix=fix)


def _check_content() -> DoctorCheck:
    try:
        data_streams = [datastream.find(product) for product in _BUILD_PRODUCTS]
    except HardpanError as e:
        return DoctorCheck(name="SCAP content", ok=False, detail=str(e), fix=e.hint)
    description = ", ".join(f"{s.name} {s.version} ({s.origin_kind})" for s in data_streams)
    return DoctorCheck(name="SCAP content", ok=True, detail=description)


def _check_tool(tool: HostTool) -> DoctorCheck:
    path = find_program(tool.program)
    name = f"{tool.program} ({tool.purpose})" if tool.purpose else tool.program
    if path is None:
        ok = None if tool.is_optional else False
        return DoctorCheck(name=name, ok=ok, detail="not found", fix=tool.install_hint)
    if not tool.version_arguments:
        return DoctorCheck(name=name, ok=True, detail=str(path))
    try:
        process = run([path, *tool.version_arguments], timeout_s=60, ok=tuple(range(256)))
    except ToolError as e:
        return DoctorCheck(name=name, ok=False, detail=f"{path} does not run: {e}")
    output_lines = (process.stdout.strip() or process.stderr.strip()).splitlines()
    version = next((x.strip() for x in output_lines if any(c.isdigit() for c in x)), str(path))
    return DoctorCheck(name=name, ok=True, detail=version[:80])
