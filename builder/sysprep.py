"""What is removed from an image before it is handed over: identity, secrets, logs.

Removed means that it cannot be read back: the files of ``REMOVED`` are overwritten, and
the file systems discard their free blocks, which the copy that becomes the image leaves out.
"""

import re
from typing import Protocol

from hardpan.core.errors import ToolError

_TIMEOUT_S = 240.0


class CommandResult(Protocol):
    """What a command on the guest said."""

    @property
    def stdout(self) -> str:
        """Its output."""


class RootShell(Protocol):
    """Runs a script on a guest as root."""

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> CommandResult:
        """Run a shell script; raise ``ToolError`` when it fails."""


INSTALLER_COMMAND_LINE = "/usr/lib/hardpan/installer-command-line"
"""The one fact of the installer's logs that a scan needs (``scanners/collect/fips.py``)."""

REMOVED_PATHS = (
    # One machine's identity: made again at the next start, so that no two machines share it.
    "/etc/ssh/ssh_host_*",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/NetworkManager/secret_key",
    "/etc/pki/consumer/*",
    "/etc/pki/entitlement/*",
    # What the sovereign stack makes at a machine's own first start.
    "/root/hardpan-access",
    "/etc/hardpan/sovereign/machine.json",
    "/etc/pki/hardpan/tls.*",
    # What the installer leaves: kickstarts with password hashes, logs of its programs and scripts.
    "/root/*ks.cfg",
    "/root/ks-*",
    "/root/anaconda*",
    "/root/install.log*",
    "/root/upgrade.log*",
    "/root/openscap_data",
    "/var/log/anaconda*",
    # The hashes that accounts had before.
    "/etc/shadow-",
    "/etc/gshadow-",
    # cloud-init's copy of what it was given, passwords and keys among it.
    "/var/lib/cloud/*",
    # Memory of programs that crashed.
    "/var/lib/systemd/coredump/*",
    "/var/crash/*",
    "/var/spool/abrt/*",
    # What people and Ansible did.
    *(
        f"{home}/{name}"
        for home in ("/root", "/home/*")
        for name in (
            ".*_history",
            ".lesshst",
            ".viminfo",
            ".wget-hsts",
            ".cache",
            ".ansible",
            ".ssh/known_hosts*",
        )
    ),
)
"""Globs of a shell. The build fails where one of them still matches afterwards.

The operator's public key stays: it is in the profile's own right, the kickstart put it there.
"""

# systemd-random-seed writes a new seed when it stops, journald writes on into files that are
# removed: both end with that before anything is removed.
REMOVAL_SCRIPT = f"""set -eu
systemctl stop systemd-random-seed.service 2>/dev/null || true
journalctl --relinquish-var 2>/dev/null || true
mkdir -p {INSTALLER_COMMAND_LINE.rpartition("/")[0]}
grep -hoE '[Cc]ommand line: .*' /var/log/anaconda/syslog /var/log/anaconda/journal.log \
/var/log/anaconda/anaconda.log 2>/dev/null | head -n 4 > {INSTALLER_COMMAND_LINE}.new || true
if [ -s {INSTALLER_COMMAND_LINE}.new ]; then
    chmod 0644 {INSTALLER_COMMAND_LINE}.new
    mv {INSTALLER_COMMAND_LINE}.new {INSTALLER_COMMAND_LINE}
fi
rm -f {INSTALLER_COMMAND_LINE}.new
for path in {" ".join(REMOVED_PATHS)}; do
    if [ -e "$path" ] || [ -L "$path" ]; then
        find "$path" -xdev -type f -links 1 -size -16M -exec shred --iterations=0 --zero {{}} +
        rm -rf -- "$path"
    fi
done
: > /etc/machine-id
rm -rf /tmp/* /tmp/.[!.]* /var/tmp/* /var/tmp/.[!.]* /var/cache/dnf/* /var/log/journal/*
rm -rf /var/lib/NetworkManager/*.lease /var/lib/dhclient/* /var/lib/dhcp/* /var/lib/dhcpcd/*
for folder in /var/log/ /var/spool/mail/; do
    [ ! -d "$folder" ] || find "$folder" -type f -exec truncate -s 0 {{}} +
done
sync
"""

CHECK_SCRIPT = f"""ls -1d {" ".join(REMOVED_PATHS)} 2>/dev/null
cat /etc/machine-id
grep -rlIE -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' -e '^(rootpw|bootloader|user) .*--iscrypted' \
    /root /home /etc/ssh /tmp /var/tmp 2>/dev/null
true
"""

# XFS and ext4 discard a freed block only once their journal has it on the disk; and XFS frees
# the blocks of a removed file in the background. Bind mounts of one device are trimmed once.
DISCARD_SCRIPT = """set -eu
export LC_ALL=C
sync
sleep 1
sync
findmnt --noheadings --raw --types ext2,ext3,ext4,xfs --output MAJ:MIN,TARGET | sort -u -k 1,1 |
    while read -r _ target; do
        fstrim --verbose "$target" || {
            echo "with LUKS, /etc/crypttab needs the option discard, as Anaconda writes it" >&2
            exit 1
        }
    done
"""

_DISCARDED = re.compile(r"^/: .* trimmed", re.MULTILINE)


def generalize(shell: RootShell) -> tuple[str, ...]:
    """The image's packages (sorted NEVRAs), after everything of this one machine is gone.

    Raises:
        ToolError: a step failed, something that must go is still there, or the root file
            system cannot discard free blocks.
    """
    package_list = shell.run("rpm -qa --qf '%{NEVRA}\\n'", timeout_s=_TIMEOUT_S, sudo=True)
    packages = tuple(sorted(line for line in package_list.stdout.splitlines() if line.strip()))
    if not packages:
        raise ToolError(["rpm"], "lists no package in the image")
    shell.run(REMOVAL_SCRIPT, timeout_s=_TIMEOUT_S, sudo=True)
    leftovers = shell.run(CHECK_SCRIPT, timeout_s=_TIMEOUT_S, sudo=True).stdout.strip()
    if leftovers:
        raise ToolError(["seal"], f"left something behind: {leftovers[:200]}")
    discard_output = shell.run(DISCARD_SCRIPT, timeout_s=_TIMEOUT_S, sudo=True).stdout
    if not _DISCARDED.search(discard_output):
        raise ToolError(
            ["fstrim"],
            "discarded no free blocks of /: removed files could be read back from the image",
            output_tail=discard_output,
        )
    return packages
