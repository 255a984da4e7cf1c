"""Fixes that are one template many times over, read as data and done in one go.

The content mends some 70 audit rules with 300 lines of bash each, and 30 kernel
settings with 60: minutes on a machine without KVM, seconds as two files. What is
written is what the content's own script would write; a script that does not have
the template's form is run as it is.
"""

import re
from collections.abc import Iterable

_ASSIGNED = re.compile(
    r"^\s*(?P<name>ACTION_ARCH_FILTERS|OTHER_FILTERS|AUID_FILTERS|SYSCALL|KEY)=\"(?P<value>[^\"]*)\""
    r"|^\s*(?P<use>unset syscall_a)\s*$",
    re.MULTILINE,
)
_ECHOED = re.compile(
    r"^\s*echo \"(-a always,exit [^\"$`\\]+)\" >> \"\$audit_rules_file\"", re.MULTILINE
)
_RULE = re.compile(r"-a always,exit( -[FSC] [A-Za-z0-9_.,/!<>=-]+)+")
_SYSCALL = re.compile(r" -S ([a-z0-9_,]+)")
_ARCHES = ("b32", "b64")
_SET = re.compile(r"^\s*/sbin/sysctl -q -n -w ([a-z0-9_.]+)=\"([^\"`\\\n]+)\"\s*$", re.MULTILINE)
_VALUE = re.compile(r"^(sysctl_[a-z0-9_]+)='([^'$`\\\n]+)'\s*$", re.MULTILINE)
_KEPT = re.compile(r"^SYSCONFIG_FILE='/etc/sysctl\.d/[a-z0-9_]+\.conf'$", re.MULTILINE)


def audit_lines(script: str) -> tuple[str, ...]:
    """The audit rules that a fix would write; empty when it is not of the known form."""
    if "full_rule=" in script:
        found = tuple(_assigned_lines(script))
    else:
        found = tuple(_ECHOED.findall(script))
    unique = tuple(dict.fromkeys(found))
    return unique if all(_RULE.fullmatch(line) for line in unique) else ()


def audit_file(lines: Iterable[str]) -> str:
    """One rules file: system calls that are watched in the same way share a line.

    Each rule is gone through at every system call of the machine, so fewer is faster.
    """
    merged: dict[str, list[str]] = {}
    for line in dict.fromkeys(lines):
        calls = _SYSCALL.findall(line)
        merged.setdefault(_SYSCALL.sub("", line), []).extend(calls)
    return "".join(_whole(line, calls) + "\n" for line, calls in merged.items())


def sysctl_setting(script: str) -> tuple[str, str] | None:
    """The kernel setting and its value that a fix would write; None when it is another fix."""
    found = _SET.findall(script)
    if len(found) != 1 or not _KEPT.search(script):
        return None
    name, value = found[0]
    if value.startswith("$"):
        value = dict(_VALUE.findall(script)).get(value[1:], "")
    return (name, value) if value and "$" not in value else None


def _assigned_lines(script: str) -> Iterable[str]:
    now = dict.fromkeys(("ACTION_ARCH_FILTERS", "OTHER_FILTERS", "AUID_FILTERS", "SYSCALL"), "")
    for match in _ASSIGNED.finditer(script):
        if match["use"] is None:
            now[match["name"]] = match["value"]
            continue
        calls = "".join(f" -S {call}" for call in now["SYSCALL"].split())
        rest = "".join(f" {now[name]}" for name in ("OTHER_FILTERS", "AUID_FILTERS") if now[name])
        line = f"{now['ACTION_ARCH_FILTERS']}{calls}{rest} -F key={now.get('KEY', '')}"
        for arch in _ARCHES if "$ARCH" in line else ("",):
            yield line.replace("$ARCH", arch)


def _whole(line: str, calls: list[str]) -> str:
    if not calls:
        return line
    # System calls come after the architecture, which says what their names mean.
    head, arch, rest = line.partition(" -F arch=")
    arch_name, blank, tail = rest.partition(" ")
    said = "".join(f" -S {call}" for call in dict.fromkeys(calls))
    return f"{head}{arch}{arch_name}{said}{blank}{tail}"
