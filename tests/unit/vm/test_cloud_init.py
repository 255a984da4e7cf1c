"""The user data of a scan of a cloud image."""

import shlex
from pathlib import Path

import yaml

from hardpan.builder.artifacts import SshAccess
from hardpan.builder.vm.cloud_init import build_user_data
from hardpan.builder.vm.console import GuestConsole

ACCESS = SshAccess(user="auditor", private_key=Path("/k"), public_key="ssh-ed25519 AAAA x")


def test_user_data_creates_the_login() -> None:
    text = build_user_data(ACCESS)
    data = yaml.safe_load(text)

    assert text.splitlines()[0] == "#cloud-config"
    assert data["users"] == [
        {
            "name": "auditor",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/sh",
            "ssh_authorized_keys": ["ssh-ed25519 AAAA x"],
        }
    ]


def test_console_reads_the_printed_host_key() -> None:
    (script,) = yaml.safe_load(build_user_data(ACCESS))["runcmd"]
    arguments = shlex.split(script)
    line = arguments[arguments.index("echo") + 1]
    key = "ssh-ed25519 " + "A" * 68
    kind, text = key.split()
    console = GuestConsole()

    console.feed(line.replace("$kind", kind).replace("$key", text).encode() + b"\n")
    assert console.host_keys == ()
    console.feed(line.replace("$kind", kind).replace("$key", text).encode() + b"\n")
    assert console.host_keys == (key,)
