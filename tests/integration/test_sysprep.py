"""Sysprep of a booted lab host removes all that the installer and a first start leave, or fails.

The host's file system is this machine's, so its free blocks are not discarded here: that is
tried on the demo's image (``test_prove.py``) and on qcow2 files (``test_disk_copy.py``).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.builder import first_boot, sysprep
from hardpan.core.errors import ToolError
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from tests.integration.lab_host import LabHost, Payload, lab_host

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
    "/etc/lvm/devices/system.devices": "IDTYPE=sys_serial IDNAME=x DEVNAME=/dev/vda3 PVID=x",
    "/etc/udev/rules.d/70-persistent-net.rules": "x",
    "/var/lib/NetworkManager/secret_key": "key",
    "/var/lib/NetworkManager/internal-1-enp1s0.lease": "ADDRESS=192.0.2.1",
    "/var/lib/NetworkManager/timestamps": "[timestamps]",
    "/var/lib/NetworkManager/seen-bssids": "[seen-bssids]",
}
KEYFILE = "etc/NetworkManager/system-connections/enp1s0.nmconnection"
IFCFG = "etc/sysconfig/network-scripts/ifcfg-enp1s0"
CONNECTIONS = {
    KEYFILE: (
        "[connection]\nid=enp1s0\nuuid=6a5c2f6e-0000-4000-8000-000000000001\ntype=ethernet\n"
        "interface-name=enp1s0\n[ethernet]\nmac-address=52:54:00:12:34:56\n[ipv4]\nmethod=auto\n"
    ),
    IFCFG: "TYPE=Ethernet\nDEVICE=enp1s0\nHWADDR=52:54:00:12:34:56\nUUID=6a5c\nONBOOT=yes\n",
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
        for name, content in CONNECTIONS.items():
            path = host.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o600)
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
    assert (host.root / KEYFILE).read_text() == (
        "[connection]\nid=enp1s0\ntype=ethernet\n[ethernet]\n[ipv4]\nmethod=auto\n"
    )
    assert (host.root / IFCFG).read_text() == "TYPE=Ethernet\nONBOOT=yes\n"
    assert {(host.root / name).stat().st_mode & 0o777 for name in CONNECTIONS} == {0o600}


def test_build_key_is_removed_and_other_keys_stay(host: LabHost) -> None:
    authorized_keys = host.root / "home/steward/.ssh/authorized_keys"
    operator = authorized_keys.read_text()
    other = "ecdsa-sha2-nistp256 AAAAother ada@example\n"
    authorized_keys.write_text(f"{other}{operator}")
    key = sysprep.BuildKey(user="steward", public_key=operator)

    with open_shell(host) as root:
        sysprep.generalize(root, key)
        assert authorized_keys.read_text() == other
        sysprep.generalize(root, sysprep.BuildKey(user="steward", public_key=other))
        assert not authorized_keys.exists()


@pytest.fixture
def usb_host(lab_payload: Payload, tmp_path: Path) -> Iterator[LabHost]:
    """A lab host with usbguard."""
    with lab_host(lab_payload, tmp_path, install=["usbguard"]) as running:
        yield running


def test_usb_policy_is_generated_by_the_first_start(usb_host: LabHost) -> None:
    """Not the policy that the STIG's fix generated on the build machine."""
    host = usb_host
    rules = host.root / first_boot.USB_RULES.lstrip("/")
    host.run(f"echo 'allow id 046d:c31c' > {first_boot.USB_RULES}")
    with open_shell(host) as root:
        sysprep.generalize(root)
    assert not rules.exists()

    host.run(f"systemctl start {first_boot.USB_UNIT}")

    assert rules.stat().st_mode & 0o777 == 0o600
    has_bus = Path("/sys/bus/usb/devices").is_dir()
    expected = r"(allow id .*\n)+|# No device .*\n" if has_bus else r"# No USB bus .*\n"
    assert re.fullmatch(expected, rules.read_text())
    assert host.run(f"systemctl is-enabled {first_boot.USB_UNIT}").stdout == "enabled\n"

    rules.write_text("block\n")
    host.run(f"systemctl start {first_boot.USB_UNIT}")
    assert rules.read_text() == "block\n"


def test_usb_policy_that_cannot_be_generated_is_requested_again(usb_host: LabHost) -> None:
    host = usb_host
    with open_shell(host) as root:
        sysprep.generalize(root)
    host.run(f"mkdir {first_boot.USB_RULES}.new")

    host.run(f"systemctl start {first_boot.USB_UNIT}", ok=(1,))
    assert not (host.root / first_boot.USB_RULES.lstrip("/")).exists()
    host.run(f"rmdir {first_boot.USB_RULES}.new && systemctl start {first_boot.USB_UNIT}")

    assert (host.root / first_boot.USB_RULES.lstrip("/")).exists()


FIRST_BOOT = """
systemd-machine-id-setup && mkdir -p /var/log/journal/$(cat /etc/machine-id)
ssh-keygen -q -A && echo one > /boot/grub2/grubenv && echo started >> /var/log/messages
systemctl start hardpan-usb-policy.service
mkdir -p /etc/lvm/devices && echo x > /etc/lvm/devices/system.devices
"""


def test_aide_database_is_of_the_delivered_files(lab_payload: Payload, tmp_path: Path) -> None:
    with lab_host(lab_payload, tmp_path, install=["aide", "usbguard"]) as host:
        host.run("mkdir -p /boot/grub2 && echo zero > /boot/grub2/grubenv; touch /var/log/messages")
        with open_shell(host) as root:
            sysprep.generalize(root)
            sysprep.generalize(root)

        host.run(FIRST_BOOT)
        host.run("aide --config=/etc/aide.conf --check")
        assert (host.root / "etc/aide.conf").read_text().count("# Files that every machine") == 1
        host.run("chmod u+s /usr/bin/cat && touch /etc/ssh/sshd_config.d/90-new.conf")
        report = host.run("aide --config=/etc/aide.conf --check", ok=(5,)).stdout

    assert "/usr/bin/cat" in report
    assert "/etc/ssh/sshd_config.d/90-new.conf" in report
    assert "ssh_host_" not in report


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
