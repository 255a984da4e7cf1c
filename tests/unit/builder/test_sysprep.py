"""What is removed from an image, over a guest that is a list of answers."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pytest

from hardpan.builder.aide_database import AIDE_SCRIPT
from hardpan.builder.first_boot import INSTALL_SCRIPT
from hardpan.builder.sysprep import (
    CHECK_SCRIPT,
    DISCARD_SCRIPT,
    NETWORK_SCRIPT,
    REMOVAL_SCRIPT,
    REMOVED_PATHS,
    BuildKey,
    generalize,
    key_removal_script,
    power_off,
)
from hardpan.core.errors import ToolError, UnreachableError


@dataclass
class FakeResult:
    stdout: str


@dataclass
class FakeShell:
    packages: str = "zlib-0:1.3-1.x86_64\n\nbash-0:5.2-1.x86_64\n"
    leftovers: str = ""
    discard_output: str = "/boot: 1 GiB (1 bytes) trimmed\n/: 9.1 GiB (9 bytes) trimmed\n"
    scripts: list[str] = field(default_factory=list)

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> FakeResult:
        assert sudo
        assert timeout_s > 0
        self.scripts.append(argv)
        if argv.startswith("rpm"):
            return FakeResult(self.packages)
        return FakeResult(
            {CHECK_SCRIPT: self.leftovers, DISCARD_SCRIPT: self.discard_output}.get(argv, "")
        )


def test_packages_are_sorted_and_identity_is_removed() -> None:
    guest = FakeShell()

    assert generalize(guest) == ("bash-0:5.2-1.x86_64", "zlib-0:1.3-1.x86_64")
    assert guest.scripts[1:] == [
        *(REMOVAL_SCRIPT, NETWORK_SCRIPT, INSTALL_SCRIPT),
        *(AIDE_SCRIPT, CHECK_SCRIPT, DISCARD_SCRIPT),
    ]


def test_build_key_is_removed_before_aide_reads_the_files() -> None:
    guest = FakeShell()
    key = BuildKey(user="steward", public_key="ssh-rsa AAAAB3Nz+/= ada@example")

    generalize(guest, key)

    assert guest.scripts[4:6] == [key_removal_script(key), AIDE_SCRIPT]
    assert "grep -vF AAAAB3Nz+/= " in guest.scripts[4]


def test_only_files_that_machines_generate_are_excluded_from_aide() -> None:
    assert " '/etc/ssh/ssh_host_.*_key' " in AIDE_SCRIPT
    assert "'/boot/grub2/grubenv$'" in AIDE_SCRIPT
    assert "/usr" not in AIDE_SCRIPT.replace("/usr/sbin/aide", "")


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key.pub"),
        *("/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/initial-setup-ks.cfg"),
        *(
            "/root/install.log",
            "/root/install.log.syslog",
            "/root/upgrade.log",
            "/root/ks-post.log",
        ),
        *("/var/log/anaconda", "/var/log/anaconda.log", "/root/openscap_data"),
        *("/etc/shadow-", "/etc/gshadow-"),
        *("/var/lib/cloud/instances", "/var/lib/cloud/seed"),
        *("/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret"),
        *("/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/internal-1-eth0.lease"),
        *("/var/lib/NetworkManager/timestamps", "/var/lib/NetworkManager/seen-bssids"),
        *("/etc/usbguard/rules.conf", "/etc/nvme/hostnqn", "/etc/iscsi/initiatorname.iscsi"),
        *("/etc/lvm/devices/system.devices", "/etc/lvm/devices/backup"),
        *("/etc/multipath/wwids", "/etc/udev/rules.d/70-persistent-net.rules"),
        "/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection",
        *("/etc/pki/consumer/key.pem", "/etc/pki/entitlement/1-key.pem"),
        *("/var/lib/systemd/coredump/core.x", "/var/crash/x", "/var/spool/abrt/x"),
        *("/root/.bash_history", "/home/ada/.bash_history", "/home/ada/.python_history"),
        *("/root/.ssh/known_hosts", "/home/ada/.ansible", "/root/.cache"),
        *("/root/hardpan-access", "/etc/hardpan/ai_service/machine.json"),
        "/etc/pki/hardpan/tls.key",
    ],
)
def test_machine_specific_path_is_removed_and_checked(path: str) -> None:
    matching = [glob for glob in REMOVED_PATHS if fnmatchcase(path, glob)]

    assert matching
    assert all(f" {glob}" in REMOVAL_SCRIPT and f" {glob}" in CHECK_SCRIPT for glob in matching)


@pytest.mark.parametrize(
    "pattern",
    ["/etc/machine-id", "/tmp/*", "/var/tmp/*", "/var/log/journal/*", "/var/lib/dhclient/*"],
)
def test_regenerated_files_are_removed(pattern: str) -> None:
    assert pattern in REMOVAL_SCRIPT


@pytest.mark.parametrize(
    "path",
    ["/home/ada/.ssh/authorized_keys", "/root/.bashrc", "/etc/shadow", "/boot/grub2/user.cfg"],
)
def test_operator_key_and_accounts_are_not_removed(path: str) -> None:
    assert [glob for glob in REMOVED_PATHS if fnmatchcase(path, glob)] == []
    assert f" {path}\n" not in REMOVAL_SCRIPT


def test_an_image_without_packages_is_an_error() -> None:
    with pytest.raises(ToolError, match="lists no packages"):
        generalize(FakeShell(packages="\n"))


@pytest.mark.parametrize("left", ["/etc/ssh/ssh_host_rsa_key", "/root/anaconda-ks.cfg"])
def test_leftover_file_is_an_error(left: str) -> None:
    guest = FakeShell(leftovers=f"{left}\n")

    with pytest.raises(ToolError, match=f"left files behind: {left}"):
        generalize(guest)
    assert DISCARD_SCRIPT not in guest.scripts


@pytest.mark.parametrize("trimmed", ["", "/boot: 1 GiB (1 bytes) trimmed\n", "/: nothing\n"])
def test_root_without_discard_is_an_error(trimmed: str) -> None:
    with pytest.raises(ToolError, match="discarded no free blocks of /: removed files could be"):
        generalize(FakeShell(discard_output=trimmed))


@pytest.mark.parametrize("error", [UnreachableError("the connection broke"), ToolError(["x"], "-")])
def test_power_off_needs_no_answer(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    guest = FakeShell()

    def break_connection(script: str, *, timeout_s: float, sudo: bool) -> FakeResult:
        guest.scripts.append(script)
        raise error

    monkeypatch.setattr(guest, "run", break_connection)

    power_off(guest)

    assert guest.scripts == ["systemctl poweroff --force"]
