"""A NoCloud seed: an ISO from which cloud-init creates a user in a cloud image at first boot.

Source: cloud-init, reference of the NoCloud data source and of the modules users and runcmd.
"""

import json
from pathlib import Path

from hardpan.builder.artifacts import SshAccess
from hardpan.core.process import run

_VOLUME_ID = "cidata"
_PRINT_HOST_KEYS = (
    "for n in 1 2; do for f in /etc/ssh/ssh_host_*_key.pub; do read -r kind key comment < $f; "
    'echo "HARDPAN-HOSTKEY: $kind $key" > /dev/ttyS0; done; done'
)
"""Twice, because a kernel message can corrupt a line of the console."""


def write_seed(path: Path, access: SshAccess) -> None:
    """Write the seed: ``access.user`` with its key and sudo, and host keys on the console.

    Raises:
        ToolError: xorriso is missing or fails.
    """
    folder = path.with_suffix(".d")
    folder.mkdir()
    (folder / "meta-data").write_text('{"instance-id": "hardpan-scan"}\n', "utf-8")
    (folder / "user-data").write_text(build_user_data(access), "utf-8")
    argv: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-V", _VOLUME_ID]
    run([*argv, "-J", "-R", "-o", path, folder], timeout_s=60)


def build_user_data(access: SshAccess) -> str:
    """Return the user data; JSON is YAML."""
    user = {
        "name": access.user,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/sh",
        "ssh_authorized_keys": [access.public_key],
    }
    return "#cloud-config\n" + json.dumps({"users": [user], "runcmd": [_PRINT_HOST_KEYS]}) + "\n"
