"""What is removed from an image, over a guest that is a list of answers."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pytest

from hardpan.builder.seal import CHECK, DISCARD, REMOVAL, REMOVED, seal
from hardpan.errors import ToolError


@dataclass
class Said:
    stdout: str


@dataclass
class Guest:
    packages: str = "zlib-0:1.3-1.x86_64\n\nbash-0:5.2-1.x86_64\n"
    left: str = ""
    trimmed: str = "/boot: 1 GiB (1 bytes) trimmed\n/: 9.1 GiB (9 bytes) trimmed\n"
    ran: list[str] = field(default_factory=list)

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> Said:
        assert sudo
        assert timeout_s > 0
        self.ran.append(argv)
        if argv.startswith("rpm"):
            return Said(self.packages)
        return Said({CHECK: self.left, DISCARD: self.trimmed}.get(argv, ""))


def test_the_packages_come_back_sorted_and_the_identity_goes() -> None:
    guest = Guest()

    assert seal(guest) == ("bash-0:5.2-1.x86_64", "zlib-0:1.3-1.x86_64")
    assert guest.ran[1:] == [REMOVAL, CHECK, DISCARD]


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
        "/var/lib/NetworkManager/secret_key",
        *("/etc/pki/consumer/key.pem", "/etc/pki/entitlement/1-key.pem"),
        *("/var/lib/systemd/coredump/core.x", "/var/crash/x", "/var/spool/abrt/x"),
        *("/root/.bash_history", "/home/ada/.bash_history", "/home/ada/.python_history"),
        *("/root/.ssh/known_hosts", "/home/ada/.ansible", "/root/.cache"),
        *("/root/hardpan-access", "/etc/hardpan/sovereign/machine.json"),
        "/etc/pki/hardpan/tls.key",
    ],
)
def test_what_belongs_to_one_machine_or_its_install_goes_and_is_looked_for(path: str) -> None:
    matching = [glob for glob in REMOVED if fnmatchcase(path, glob)]

    assert matching
    assert all(f" {glob}" in REMOVAL and f" {glob}" in CHECK for glob in matching)


@pytest.mark.parametrize(
    "gone",
    ["/etc/machine-id", "/tmp/*", "/var/tmp/*", "/var/log/journal/*", "NetworkManager/*.lease"],
)
def test_what_services_make_again_goes_too(gone: str) -> None:
    assert gone in REMOVAL


@pytest.mark.parametrize(
    "path",
    ["/home/ada/.ssh/authorized_keys", "/root/.bashrc", "/etc/shadow", "/boot/grub2/user.cfg"],
)
def test_the_operators_key_and_the_accounts_stay(path: str) -> None:
    assert [glob for glob in REMOVED if fnmatchcase(path, glob)] == []
    assert f" {path}\n" not in REMOVAL


def test_an_image_without_packages_is_an_error() -> None:
    with pytest.raises(ToolError, match="lists no package"):
        seal(Guest(packages="\n"))


@pytest.mark.parametrize("left", ["/etc/ssh/ssh_host_rsa_key", "/root/anaconda-ks.cfg"])
def test_what_is_still_there_afterwards_is_an_error(left: str) -> None:
    guest = Guest(left=f"{left}\n")

    with pytest.raises(ToolError, match=f"left something behind: {left}"):
        seal(guest)
    assert DISCARD not in guest.ran


@pytest.mark.parametrize("trimmed", ["", "/boot: 1 GiB (1 bytes) trimmed\n", "/: nothing\n"])
def test_a_root_file_system_that_discards_nothing_is_an_error(trimmed: str) -> None:
    with pytest.raises(ToolError, match="discarded no free blocks of /: removed files could be"):
        seal(Guest(trimmed=trimmed))
