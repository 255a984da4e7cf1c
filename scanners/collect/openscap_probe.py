"""The script that asks a target what OpenSCAP needs, and how to install oscap there."""

from dataclasses import dataclass

PROBE_SCRIPT = r"""
for p in oscap gzip; do command -v "$p" >/dev/null 2>&1 && echo "program $p"; done
[ -r /etc/os-release ] && while IFS= read -r line; do
  case $line in ID=*|ID_LIKE=*|VERSION_ID=*) echo "os $line";; esac
done < /etc/os-release
true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What the target has, as ``PROBE_SCRIPT`` reports it; hostile text gives nothing."""

    has_oscap: bool
    has_gzip: bool
    os_ids: tuple[str, ...]
    """``ID`` and the words of ``ID_LIKE`` of os-release."""

    version: str


def parse_probe(text: str) -> TargetFacts:
    """Parse the output of ``PROBE_SCRIPT``."""
    lines = text[: 64 << 10].splitlines()
    values = dict(
        line.removeprefix("os ").split("=", 1)
        for line in lines
        if line.startswith("os ") and "=" in line
    )
    ids = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").replace("'", "")
    return TargetFacts(
        has_oscap="program oscap" in lines,
        has_gzip="program gzip" in lines,
        os_ids=tuple(ids.split()[:10]),
        version=values.get("VERSION_ID", "").strip("\"'"),
    )


def install_hint(facts: TargetFacts) -> str:
    """Return the command that installs oscap on the target's distribution."""
    ids = set(facts.os_ids)
    if ids & {"suse", "opensuse", "sles", "sle"}:
        command = "zypper install openscap-utils"
    elif ids & {"debian", "ubuntu"}:
        # The package was split in Debian 12 and Ubuntu 23.10.
        is_old = facts.version in ("10", "11", "18.04", "20.04", "22.04")
        command = f"apt install {'libopenscap8' if is_old else 'openscap-scanner'}"
    elif ids & {"rhel", "fedora", "centos", "rocky", "almalinux", "ol"}:
        command = "dnf install openscap-scanner"
    else:
        return "install openscap-scanner on the target, or scan an image that has it"
    return f"run on the target: {command}"
