"""Render a bash script: each fix runs in a shell of its own, so that none affects the others."""

from collections.abc import Iterator, Sequence

from hardpan.core.files import sha256_bytes
from hardpan.scanners.remediation.header import (
    RemediationSource,
    clean,
    describe_rule,
    format_header,
)
from hardpan.scanners.remediation.plan import Plan, PlannedFix, describe_effect

_USAGE = (
    "Apply it: bash FILE",
    "There is no check mode; --as ansible has one. A fix that fails does not stop the others.",
)
_START = """\
set -u
if [ "$(id -u)" -ne 0 ]; then
    echo 'error: expected to run as root' >&2
    exit 1
fi
export PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin"
failed=()

# remediate RULE: run the fix on stdin.
remediate() {
    local script
    script=$(mktemp) || exit 1
    cat >"$script"
    printf 'Remediating %s\\n' "$1" >&2
    bash "$script" </dev/null || failed+=("$1")
    rm -f -- "$script"
}
"""
_END = """\
if [ "${#failed[@]}" -ne 0 ]; then
    printf 'The fix failed for: %s\\n' "${failed[*]}" >&2
    exit 1
fi
"""


def render_script(
    source: RemediationSource, plan: Plan, scripts: Sequence[tuple[PlannedFix, str]]
) -> bytes:
    """Return the script; the same evidence and options give the same bytes."""
    lines = ["#!/bin/bash", *format_header(source, plan, usage=_USAGE, collections=())]
    lines += ["", _START, *_render_fixes(scripts)]
    reboots = [planned.name for planned, _ in scripts if planned.needs_reboot]
    if reboots:
        names = ", ".join(reboots)
        lines.append(f"echo 'Reboot the host. These rules take effect after it: {names}' >&2")
    lines.append(_END)
    return "\n".join(lines).encode("utf-8")


def _render_fixes(scripts: Sequence[tuple[PlannedFix, str]]) -> Iterator[str]:
    section = None
    for planned, script in scripts:
        if planned.section != section:
            section = planned.section
            yield f"# ---- {clean(section) or 'Rules without a group'} ----\n"
        yield f"# {describe_rule(planned.rule)}"
        yield f"# {clean(describe_effect(planned))}"
        # Only this line ends the text: it contains the digest of the text.
        delimiter = f"FIX_{sha256_bytes(script.encode())[:32]}"
        yield f"remediate {planned.name} <<'{delimiter}'\n{script}{delimiter}\n"
