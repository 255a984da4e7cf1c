"""The digest of the layers: a hardened image is reused exactly while it is the same."""

import shutil
from pathlib import Path

import pytest

from hardpan.builder.layers import registry


@pytest.fixture
def playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the roles that the digest covers."""
    copy = tmp_path / ".ansible" / "ansible"
    shutil.copytree(registry.PLAYBOOKS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(registry, "PLAYBOOKS", copy)
    return copy


def test_digest_ignores_bytecode_and_ansible_cache(playbooks: Path) -> None:
    digest_before = registry.digest_layers()
    for folder, name in (("__pycache__", "remediate.cpython-311.pyc"), (".ansible", "lock")):
        ignored = playbooks / "roles" / "stig" / "files" / folder
        ignored.mkdir()
        (ignored / name).write_bytes(b"by pip, or by ansible-lint")

    assert registry.digest_layers() == digest_before


def test_digest_changes_with_a_role(playbooks: Path) -> None:
    digest_before = registry.digest_layers()
    with (playbooks / "roles" / "stig" / "files" / "remediate.py").open("a") as f:
        f.write("\n")

    assert registry.digest_layers() != digest_before
