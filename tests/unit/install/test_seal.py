"""What an image sheds, over a guest that is a list of answers."""

from dataclasses import dataclass, field

import pytest

from hardpan.builder.seal import SCRIPT, seal
from hardpan.errors import ToolError


@dataclass
class Said:
    stdout: str


@dataclass
class Guest:
    packages: str = "zlib-0:1.3-1.x86_64\n\nbash-0:5.2-1.x86_64\n"
    left: str = ""
    ran: list[str] = field(default_factory=list)

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> Said:
        assert sudo
        assert timeout_s > 0
        self.ran.append(argv)
        if argv.startswith("rpm"):
            return Said(self.packages)
        return Said(self.left if argv.startswith("ls") else "")


def test_the_packages_come_back_sorted_and_the_identity_goes() -> None:
    guest = Guest()

    assert seal(guest) == ("bash-0:5.2-1.x86_64", "zlib-0:1.3-1.x86_64")
    assert guest.ran[1] == SCRIPT


@pytest.mark.parametrize(
    "gone",
    [
        "/etc/ssh/ssh_host_*",
        "/etc/machine-id",
        "random-seed",
        ".bash_history",
        "/var/log",
        "/root/hardpan-access",
        "/etc/hardpan/sovereign/machine.json",
        "/etc/pki/hardpan/tls.*",
    ],
)
def test_what_belongs_to_one_machine_goes(gone: str) -> None:
    assert gone in SCRIPT


def test_the_operators_key_stays() -> None:
    assert "authorized_keys" not in SCRIPT


def test_an_image_without_packages_is_an_error() -> None:
    with pytest.raises(ToolError, match="lists no package"):
        seal(Guest(packages="\n"))


def test_what_is_still_there_afterwards_is_an_error() -> None:
    with pytest.raises(ToolError, match="left something behind: /etc/ssh/ssh_host_rsa_key"):
        seal(Guest(left="/etc/ssh/ssh_host_rsa_key\n"))
