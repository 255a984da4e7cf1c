"""Sysprep of a booted lab host removes all that the installer and a first start leave, or fails.

The host's file system is this machine's, so its free blocks are not discarded here: that is
tried on the demo's image (``test_prove.py``) and on qcow2 files (``test_disk_copy.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from hardpan.builder import sysprep
from hardpan.core.errors import ToolError
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from tests.integration.lab_host import LabHost

pytestmark = pytest.mark.integration

HASH = "grub.pbkdf2.sha512.10000.0123456789ABCDEF.0123456789ABCDEF"
KICKSTART = f"bootloader --timeout=5 --iscrypted --password={HASH}"
COMMAND_LINE = "Command line: BOOT_IMAGE=x inst.ks=hd:LABEL=X:/ks.cfg fips=1"
INSTALL_TRACES = {
    "/root/anaconda-ks.cfg": KICKSTART,
    "/root/original-ks.cfg": KICKSTART,
    "/root/ks-post.log": HASH,
    "/root/install.log.syslog": HASH,
    "/var/log/anaconda/anaconda.log": f"12:00:00,000 INF anaconda:Kernel {COMMAND_LINE}",
    "/var/log/anaconda/program.log": HASH,
    "/var/log/anaconda/ks-script-0.log": HASH,
    "/var/log/anaconda.old.log": HASH,
    "/var/log/messages": HASH,
    "/var/log/journal/0123/system.journal": HASH,
    "/var/lib/cloud/instances/i-1/user-data.txt": HASH,
    "/var/tmp/.hidden": HASH,
    "/tmp/ks-script-x1": HASH,
    "/root/.bash_history": HASH,
    "/home/steward/.python_history": HASH,
    "/home/steward/.ssh/known_hosts": "host ssh-ed25519 AAAA",
    "/etc/shadow-": f"root:{HASH}:::::::",
    "/var/lib/systemd/random-seed": "seed",
}


@dataclass
class SysprepShell:
    """The host's shell, without the discard: it would reach this machine's file systems."""

    connection: Connection

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> sysprep.CommandResult:
        if argv == sysprep.DISCARD_SCRIPT:
            argv = "echo '/: 1 GiB (1 bytes) trimmed'"
        return self.connection.run(argv, timeout_s=timeout_s, sudo=sudo)


@contextmanager
def open_shell(host: LabHost) -> Iterator[SysprepShell]:
    with connect(host.target, timeout_s=60) as connection:
        yield SysprepShell(connection)


def test_install_traces_are_removed_and_overwritten(host: LabHost) -> None:
    with open_shell(host) as root:
        for path, content in INSTALL_TRACES.items():
            host.run(f"mkdir -p {path.rpartition('/')[0]} && echo '{content}' > {path}")
        open_file = (host.root / "root/anaconda-ks.cfg").open("rb")

        packages = sysprep.generalize(root)

    with open_file:
        assert open_file.read().strip(b"\0") == b""
    assert len(packages) > 100
    emptied = {"/var/log/messages"}
    remaining = {p for p in INSTALL_TRACES if (host.root / p.lstrip("/")).exists()}
    assert remaining == emptied
    assert HASH not in (host.root / "var/log/messages").read_text()
    command_line_file = host.root / sysprep.INSTALLER_COMMAND_LINE.lstrip("/")
    assert command_line_file.read_text() == f"{COMMAND_LINE}\n"
    assert command_line_file.stat().st_mode & 0o777 == 0o644
    assert list((host.root / "etc/ssh").glob("ssh_host_*")) == []
    assert (host.root / "etc/machine-id").read_bytes() == b""
    assert (host.root / "home/steward/.ssh/authorized_keys").read_text().strip()


def test_leftover_secret_or_failed_removal_fails_the_build(host: LabHost) -> None:
    with open_shell(host) as root:
        host.run("mkdir -p /root/.ssh && umask 077 && ssh-keygen -q -N '' -f /root/.ssh/id_x")
        with pytest.raises(ToolError, match=r"left files behind: /root/\.ssh/id_x$"):
            sysprep.generalize(root)

        host.run(f"rm /root/.ssh/id_x; echo '{KICKSTART}' > /root/x.bak")
        with pytest.raises(ToolError, match=r"left files behind: /root/x\.bak$"):
            sysprep.generalize(root)

        host.run("rm /root/x.bak; touch /root/mounted /root/original-ks.cfg")
        host.run("mount --bind /root/mounted /root/original-ks.cfg")
        with pytest.raises(ToolError, match="exited with 1"):
            sysprep.generalize(root)
