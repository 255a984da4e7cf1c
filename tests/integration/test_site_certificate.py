"""A site's own TLS key on the machine: the service starts only if root alone can read it."""

import os
from pathlib import Path

import pytest

from hardpan.process import run
from hardpan.resources import resource_path

pytestmark = pytest.mark.integration

SCRIPT = resource_path("hardpan.builder.layers.sovereign", "system", "certificate.sh")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert os.geteuid() == 0, "the key belongs to root"
    (tmp_path / "ai.pem").write_text("certificate")
    path = tmp_path / "ai.key"
    path.write_text("key")
    path.chmod(0o600)
    return path


def start(key: Path) -> tuple[int, str]:
    argv = ["sh", SCRIPT, key.with_name("ai.pem"), key, "site"]
    done = run(argv, timeout_s=20, ok=(0, 1))
    return done.returncode, done.stderr


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_key_that_root_alone_can_read_is_accepted(key: Path, mode: int) -> None:
    key.chmod(mode)

    assert start(key) == (0, "")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_key_that_others_have_access_to_is_refused(key: Path, mode: int) -> None:
    key.chmod(mode)

    expected = f"expected owner root and mode 0600, got root and {mode:04o}\n"
    assert start(key) == (1, f"{key}: others than root have access: {expected}")


def test_link_to_a_key_that_others_can_read_is_refused(key: Path) -> None:
    key.rename(key.with_name("real"))
    key.with_name("real").chmod(0o644)
    key.symlink_to("real")

    status, said = start(key)
    assert (status, "got root and 0644" in said) == (1, True)


def test_key_of_another_user_is_refused(key: Path) -> None:
    os.chown(key, 12345, -1)

    status, said = start(key)
    assert (status, "expected owner root and mode 0600" in said) == (1, True)
