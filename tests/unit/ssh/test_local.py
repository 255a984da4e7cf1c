"""This machine as a target: its host key."""

from pathlib import Path

import pytest

from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.local import read_local_host_key
from hardpan.ssh.local_target import LocalTarget

ED25519 = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o root@h\n"
)
FINGERPRINT = "SHA256:ONyVTtM9vWZ0yNI5KBqhRtNbiBBNx1vxWGKS8oJkOj0"


def _read(folder: Path) -> tuple[str, str]:
    key = read_local_host_key(LocalTarget(user="root", home=Path("/"), host_key_folder=folder))
    assert key.trust is HostKeyTrust.LOCAL
    return key.kind, key.fingerprint


def test_preferred_host_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "ssh_host_rsa_key.pub").write_text("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB root@h\n")
    (tmp_path / "ssh_host_ed25519_key.pub").write_text(ED25519)

    kind, fingerprint = _read(tmp_path)
    assert kind == "ssh-ed25519"
    assert fingerprint == FINGERPRINT


@pytest.mark.parametrize("content", ["", "x", "ssh-ed25519 !!!", "ssh-ed25519 \udcff", "x" * 20000])
def test_machine_without_usable_key_has_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ssh_host_ed25519_key.pub"
    path.write_text(content, errors="surrogateescape")

    assert _read(tmp_path) == ("", "")
    path.unlink()
    assert _read(tmp_path) == ("", "")
