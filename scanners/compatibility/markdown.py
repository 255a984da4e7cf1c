"""The conflicts as a page for people: ``docs/conflicts.md``."""

from collections.abc import Sequence

from hardpan.scanners.compatibility.conflicts import Conflict

_HEAD = """\
# Hardening against AI, conflict by conflict

Hardened hosts and AI stacks collide in known places, and the usual mend is to give up the
hardening. For each conflict hardpan knows a resolution that keeps both, and checks it on the
scanned host as a pair: **the control holds** and **the AI action works**, the action in the AI
service's own confinement.

| verdict | means |
| --- | --- |
| `pass` | both halves were seen to hold |
| `fail` | one half was seen not to hold |
| `not_checked` | a half could not be asked; half a result is no result |
| `not_applicable` | the host has none of what collides, and the reason is told |
| `error` | the answer could not be read |

Where the control's rule has a waiver on record, a fail keeps its verdict and the reason is
told beside it, as with the rules themselves.

They run with `hardpan scan --paired`, and by themselves for profiles with the layers
`ml_frameworks` or `ai_service`. Like the checks of the running system they are evidence, not
rules: `--fail-on` counts rules, and an auditor's policy limits them by `max_paired`, where
waivers count as fails.

The actions run as the user and with the settings of `hardpan-llm.service`, read from systemd;
where that unit is not there, in a default that the evidence names as one. One setting is widened,
and that is told: gloo asks for interfaces by AF_NETLINK. torch is imported once and every action
runs in a process of its own with a deadline. The program comes over SSH and lies nowhere on the
host; it leaves `/run/hardpan-paired.json` behind, where it counts its own attempts to leave the
host, so that the next scan does not hold them against the services.

This page is made from `scanners/compatibility/conflicts.yaml`; edit that file, not this one
(`HARDPAN_UPDATE_GOLDEN=1 make test-unit` writes it).

"""
_PROVEN = {"lab": "lab image", "not_yet": "not yet"}


def render_markdown(conflicts: Sequence[Conflict]) -> str:
    """The page."""
    rows = [
        "| # | conflict | controls | right resolution | source | proven |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows += [_render_row(c) for c in conflicts]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n".join(_render_section(c) for c in conflicts)


def _render_row(c: Conflict) -> str:
    proven = _PROVEN[c.proven] + (f": {c.unproven}" if c.unproven else "")
    cells = (
        c.row,
        f"[{c.title}](#{c.id})",
        ", ".join(c.rules) or "good practice",
        c.resolution,
        f"{c.source} ({c.as_of.isoformat()})",
        proven,
    )
    return "| " + " | ".join(x.replace("|", "\\|") for x in cells) + " |"


def _render_section(c: Conflict) -> str:
    rule_names = ", ".join(f"`{n}`" for n in c.content)
    lines = [
        f"## {c.id}",
        "",
        f"{c.title}." + (f" Rules: {rule_names}." if rule_names else ""),
        "",
        f"- What breaks: {c.breaks}",
        f"- Wrong fix seen in the wild: {c.wrong_fix}",
        f"- Control: {c.control.looks_at}. Expected: {c.control.expects}.",
        f"- AI action: {c.action.looks_at}. Expected: {c.action.expects}.",
    ]
    if c.needs:
        lines.append(f"- Does not apply without: {c.needs}.")
    return "\n".join(lines) + "\n"
