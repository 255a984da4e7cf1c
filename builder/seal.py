"""What an image sheds before it is handed over: identity, logs, leftovers of the build."""

from typing import Protocol

from hardpan.errors import ToolError

_TIMEOUT_S = 240.0


class Said(Protocol):
    """What a command on the guest said."""

    @property
    def stdout(self) -> str:
        """Its output."""


class Shell(Protocol):
    """Runs a script on a guest as root."""

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> Said:
        """Run a shell script; raise ``ToolError`` when it fails."""


# The operator's key stays: it is in the profile's own right, the kickstart put it
# there. Host keys and machine id come anew at the next start, so that no two
# machines made from the image share them.
SCRIPT = """set -eu
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
# What the sovereign stack makes at a machine's own first start.
rm -rf /root/hardpan-access /etc/hardpan/sovereign/machine.json /etc/pki/hardpan/tls.*
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
rm -rf /root/.ansible /home/*/.ansible /tmp/* /var/tmp/* /root/.cache
rm -f /root/.bash_history /home/*/.bash_history
rm -rf /var/cache/dnf/* /var/log/journal/*
find /var/log -type f ! -path '/var/log/anaconda/*' -exec truncate -s 0 {} +
sync
"""


def seal(shell: Shell) -> tuple[str, ...]:
    """The image's packages (sorted NEVRAs), after everything of this one machine is gone.

    Raises:
        ToolError: a step failed, or something that must go is still there.
    """
    asked = shell.run("rpm -qa --qf '%{NEVRA}\\n'", timeout_s=_TIMEOUT_S, sudo=True)
    packages = tuple(sorted(line for line in asked.stdout.splitlines() if line.strip()))
    if not packages:
        raise ToolError(["rpm"], "lists no package in the image")
    shell.run(SCRIPT, timeout_s=_TIMEOUT_S, sudo=True)
    left = shell.run(
        "ls -d /etc/ssh/ssh_host_* /root/hardpan-access /etc/hardpan/sovereign/machine.json"
        " /etc/pki/hardpan/tls.* 2>/dev/null; cat /etc/machine-id; true",
        timeout_s=60,
        sudo=True,
    )
    if left.stdout.strip():
        raise ToolError(["seal"], f"left something behind: {left.stdout.strip()[:200]}")
    return packages
