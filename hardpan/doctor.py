"""``hardpan doctor``: what this machine can and cannot do, and how to mend it."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from hardpan.builder.machine import firmware
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.tools import TOOLS, Tool, path_of
from hardpan.errors import Exit, HardpanError, ToolError
from hardpan.folders import cache_home
from hardpan.process import run
from hardpan.scanners.content import datastream
from hardpan.scanners.content.store import PRODUCTS
from hardpan.terminal import print_json, print_line

_NEED_GIB = 25
_NEED_MIB = 4096
_MARKS = {True: "ok", False: "MISSING", None: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """None: absent, and nothing needs it."""

    found: str
    mend: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def doctor(as_json: bool) -> int:
    """Tell what this machine can do, and how to mend what is missing.

    Exits with 0 when all that is needed is there, with 4 when something is missing.
    """
    rows = examined()
    if as_json:
        told = [{"name": r.name, "ok": r.ok, "found": r.found, "mend": r.mend} for r in rows]
        print_json({"rows": told})
    else:
        width = max(len(r.name) for r in rows)
        for r in rows:
            print_line(f"{_MARKS[r.ok]:<8} {r.name:<{width}}  {r.found}")
            if r.mend:
                print_line(f"{'':<8} {'':<{width}}  -> {r.mend}")
    return int(Exit.TOOL if any(r.ok is False for r in rows) else Exit.DONE)


def examined() -> tuple[Row, ...]:
    """Everything that was looked at, each really tried."""
    looks: tuple[Callable[[], Row], ...] = (_python, _cores, _memory, _disk, _kvm, _ovmf, _content)
    return (*(look() for look in looks), *map(_tool, TOOLS))


def _python() -> Row:
    found = ".".join(map(str, sys.version_info[:3]))
    return Row(name="Python", ok=sys.version_info >= (3, 11), found=found)


def _cores() -> Row:
    n = len(os.sched_getaffinity(0))
    return Row(name="processors", ok=True, found=f"{n}; guests use 2")


def _memory() -> Row:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    ok = total >= _NEED_MIB
    mend = "" if ok else f"a guest needs 3 GiB; have at least {_NEED_MIB} MiB"
    return Row(name="memory", ok=ok, found=f"{total} MiB", mend=mend)


def _disk() -> Row:
    here = cache_home()
    existing = next(p for p in (here, *here.parents) if p.is_dir())
    free = shutil.disk_usage(existing).free >> 30
    ok = free >= _NEED_GIB
    mend = "" if ok else f"free {_NEED_GIB - free} GiB, or give other folders with -o and --cache"
    return Row(name="free disk", ok=ok, found=f"{free} GiB in {here}", mend=mend)


def _kvm() -> Row:
    try:
        power = acceleration()
    except ToolError as e:
        return Row(name="KVM", ok=None, found=f"not tried: {e}")
    if power.kind == "kvm":
        return Row(name="KVM", ok=True, found=power.reason)
    mend = "everything works without it, some ten times slower"
    return Row(name="KVM", ok=None, found=power.reason, mend=mend)


def _ovmf() -> Row:
    found = firmware.find()
    if found is not None:
        how = " (Secure Boot build, run with SMM)" if found.needs_smm else ""
        return Row(name="OVMF", ok=True, found=f"{found.code}{how}")
    mend = "apt install ovmf | dnf install edk2-ovmf"
    return Row(name="OVMF", ok=False, found="not found: no UEFI guests", mend=mend)


def _content() -> Row:
    try:
        taken = [datastream.find(product) for product in PRODUCTS]
    except HardpanError as e:
        return Row(name="SCAP content", ok=False, found=str(e), mend=e.hint)
    found = ", ".join(f"{s.name} {s.version} ({s.origin_kind})" for s in taken)
    return Row(name="SCAP content", ok=True, found=found)


def _tool(tool: Tool) -> Row:
    path = path_of(tool.program)
    name = f"{tool.program} ({tool.why})" if tool.why else tool.program
    if path is None:
        ok = None if tool.optional else False
        return Row(name=name, ok=ok, found="not found", mend=tool.mend)
    if not tool.version:
        return Row(name=name, ok=True, found=str(path))
    try:
        done = run([path, *tool.version], timeout_s=60, ok=tuple(range(256)))
    except ToolError as e:
        return Row(name=name, ok=False, found=f"{path} does not run: {e}")
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    version = next((x.strip() for x in said if any(c.isdigit() for c in x)), str(path))
    return Row(name=name, ok=True, found=version[:80])
