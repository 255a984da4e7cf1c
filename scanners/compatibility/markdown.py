"""Render the list of conflicts as ``docs/conflicts.md``."""

from collections.abc import Sequence

from hardpan.scanners.compatibility.conflicts import Conflict

_HEAD = """\
# Conflicts between hardening and AI workloads

Some hardening controls conflict with AI workloads, and the usual workaround is to disable the
hardening. For each known conflict hardpan has a resolution that keeps both, and tests it on the
scanned host with two checks: the **control check** (the control is in force) and the **workload
check** (the AI workload runs in the sandbox of the AI service).

| verdict | meaning |
| --- | --- |
| `pass` | both checks are satisfied |
| `fail` | at least one check is violated |
| `not_checked` | at least one check could not be tested |
| `not_applicable` | the conflict cannot exist on this host; the reason is recorded |
| `error` | the answer of the host could not be read |

If a rule of the control has a waiver, the verdict stays `fail` and the waiver is reported with it.

The compatibility checks run with `hardpan scan --compatibility`, and by default for profiles with
the layers `ml_frameworks` or `ai_service`. They are evidence, not rules: `--fail-on` counts rules
only. An auditor's policy limits them with `max_compatibility`, where waived failures count.

Workload checks run as the user and with the sandbox settings of `hardpan-llm.service`, as systemd
reports them. Without that unit a default sandbox is used, and the evidence says so. One setting is
widened, which the evidence records: gloo needs the address family AF_NETLINK. torch is imported
once, and every check runs in a child process with a time limit. The program is sent over SSH and
is never written to the host. It stores `/run/hardpan-compatibility.json`, the count of its own
denied packets, so that the next scan does not attribute them to the services.

This page is generated from `scanners/compatibility/conflicts.yaml`: edit that file and run
`HARDPAN_UPDATE_GOLDEN=1 make test-unit`.

"""
_PROVEN = {"lab": "lab image", "not_yet": "not yet"}


def render_markdown(conflicts: Sequence[Conflict]) -> str:
    """Render the whole page: a table of the conflicts, then a section for each."""
    rows = ["| # | conflict | proven |", "| --- | --- | --- |"]
    rows += [_render_row(c) for c in conflicts]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n".join(_render_section(c) for c in conflicts)


def _render_row(c: Conflict) -> str:
    cells = (c.row, f"[{c.title}](#{c.id})", _PROVEN[c.proven])
    return "| " + " | ".join(x.replace("|", "\\|") for x in cells) + " |"


def _render_section(c: Conflict) -> str:
    rule_names = ", ".join(f"`{n}`" for n in c.content)
    lines = [
        f"## {c.id}",
        "",
        f"{c.title}." + (f" Rules: {rule_names}." if rule_names else ""),
        "",
        f"- Controls: {', '.join(c.rules) or 'good practice'}",
        f"- What breaks: {c.breaks}",
        f"- Wrong fix: {c.wrong_fix}",
        f"- Resolution: {c.resolution}",
        f"- Control check: {c.control.inspects}. Expected: {c.control.expects}.",
        f"- Workload check: {c.workload.inspects}. Expected: {c.workload.expects}.",
        f"- Source: {c.source} ({c.as_of.isoformat()})",
    ]
    if c.needs:
        lines.append(f"- Does not apply without: {c.needs}.")
    if c.unproven:
        lines.append(f"- A proof needs: {c.unproven}")
    return "\n".join(lines) + "\n"
