"""A site's own TLS key on the machine: the service starts only if root alone can read it."""

import os
from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.core.resources import resource_path

pytestmark = pytest.mark.integration

SCRIPT = resource_path("hardpan.builder.ai_service", "system", "certificate.sh")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert os.geteuid() == 0, "the key belongs to root"
    (tmp_path / "ai.pem").write_text("certificate")
    path = tmp_path / "ai.key"
    path.write_text("key")
    path.chmod(0o600)
    return path


def run_script(key: Path) -> tuple[int, str]:
    argv = ["sh", SCRIPT, key.with_name("ai.pem"), key, "site"]
    result = run(argv, timeout_s=20, ok=(0, 1))
    return result.returncode, result.stderr


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_key_readable_by_root_only_is_accepted(key: Path, mode: int) -> None:
    key.chmod(mode)

    assert run_script(key) == (0, "")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_key_accessible_to_others_is_rejected(key: Path, mode: int) -> None:
    key.chmod(mode)

    expected = f"expected owner root and mode 0600, got root and {mode:04o}\n"
    assert run_script(key) == (1, f"{key}: others than root have access: {expected}")


def test_link_to_key_readable_by_others_is_rejected(key: Path) -> None:
    key.rename(key.with_name("real"))
    key.with_name("real").chmod(0o644)
    key.symlink_to("real")

    status, stderr = run_script(key)
    assert (status, "got root and 0644" in stderr) == (1, True)


def test_key_owned_by_other_user_is_rejected(key: Path) -> None:
    os.chown(key, 12345, -1)

    status, stderr = run_script(key)
    assert (status, "expected owner root and mode 0600" in stderr) == (1, True)
