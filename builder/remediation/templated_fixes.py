"""Parse fixes generated from one template, so that they become two files instead of scripts.

The content remediates about 70 audit rules with 300 lines of bash each and 30 kernel settings
with 60: minutes on a machine without KVM, seconds as two files. The files contain what the
content's scripts would write; a script that does not match the template is run unchanged.
"""

import re
from collections.abc import Iterable

_ASSIGNMENT = re.compile(
    r"^\s*(?P<name>ACTION_ARCH_FILTERS|OTHER_FILTERS|AUID_FILTERS|SYSCALL|KEY)=\"(?P<value>[^\"]*)\""
    r"|^\s*(?P<use>unset syscall_a)\s*$",
    re.MULTILINE,
)
_ECHO_LINE = re.compile(
    r"^\s*echo \"(-a always,exit [^\"$`\\]+)\" >> \"\$audit_rules_file\"", re.MULTILINE
)
_AUDIT_RULE = re.compile(r"-a always,exit( -[FSC] [A-Za-z0-9_.,/!<>=-]+)+")
_SYSCALL = re.compile(r" -S ([a-z0-9_,]+)")
_ARCHITECTURES = ("b32", "b64")
_SYSCTL_WRITE = re.compile(
    r"^\s*/sbin/sysctl -q -n -w ([a-z0-9_.]+)=\"([^\"`\\\n]+)\"\s*$", re.MULTILINE
)
_SYSCTL_VALUE = re.compile(r"^(sysctl_[a-z0-9_]+)='([^'$`\\\n]+)'\s*$", re.MULTILINE)
_SYSCTL_FILE_LINE = re.compile(r"^SYSCONFIG_FILE='/etc/sysctl\.d/[a-z0-9_]+\.conf'$", re.MULTILINE)


def parse_audit_rules(script: str) -> tuple[str, ...]:
    """Return the audit rules that a fix would write; empty if it does not match the template."""
    if "full_rule=" in script:
        rules = tuple(_rules_from_assignments(script))
    else:
        rules = tuple(_ECHO_LINE.findall(script))
    unique = tuple(dict.fromkeys(rules))
    return unique if all(_AUDIT_RULE.fullmatch(line) for line in unique) else ()


def render_audit_file(lines: Iterable[str]) -> str:
    """Render one rules file; system calls with the same filters share a rule.

    The kernel evaluates every rule at each system call, so fewer rules are faster.
    """
    merged: dict[str, list[str]] = {}
    for line in dict.fromkeys(lines):
        calls = _SYSCALL.findall(line)
        merged.setdefault(_SYSCALL.sub("", line), []).extend(calls)
    return "".join(_merge_syscalls(line, calls) + "\n" for line, calls in merged.items())


def parse_sysctl(script: str) -> tuple[str, str] | None:
    """Return the kernel setting and value that a fix would write; None for any other fix."""
    settings = _SYSCTL_WRITE.findall(script)
    if len(settings) != 1 or not _SYSCTL_FILE_LINE.search(script):
        return None
    name, value = settings[0]
    if value.startswith("$"):
        value = dict(_SYSCTL_VALUE.findall(script)).get(value[1:], "")
    return (name, value) if value and "$" not in value else None


def _rules_from_assignments(script: str) -> Iterable[str]:
    assignments = dict.fromkeys(
        ("ACTION_ARCH_FILTERS", "OTHER_FILTERS", "AUID_FILTERS", "SYSCALL"), ""
    )
    for match in _ASSIGNMENT.finditer(script):
        if match["use"] is None:
            assignments[match["name"]] = match["value"]
            continue
        calls = "".join(f" -S {call}" for call in assignments["SYSCALL"].split())
        filters = "".join(
            f" {assignments[name]}"
            for name in ("OTHER_FILTERS", "AUID_FILTERS")
            if assignments[name]
        )
        action, key = assignments["ACTION_ARCH_FILTERS"], assignments.get("KEY", "")
        line = f"{action}{calls}{filters} -F key={key}"
        for arch in _ARCHITECTURES if "$ARCH" in line else ("",):
            yield line.replace("$ARCH", arch)


def _merge_syscalls(line: str, calls: list[str]) -> str:
    if not calls:
        return line
    # System calls follow the architecture, which determines their numbers.
    action, arch, after_arch = line.partition(" -F arch=")
    arch_name, blank, tail = after_arch.partition(" ")
    options = "".join(f" -S {call}" for call in dict.fromkeys(calls))
    return f"{action}{arch}{arch_name}{options}{blank}{tail}"
