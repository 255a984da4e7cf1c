"""What a command imports: an auditor installs no Ansible, no SSH library, and no QEMU."""

import json
import sys

import pytest

from hardpan.process import run
from tests.integration.conftest import REPO

pytestmark = pytest.mark.integration


def imported_by(module: str) -> set[str]:
    """The names of all modules that a fresh interpreter has after importing ``module``."""
    script = f"import json, sys, {module}\njson.dump(sorted(sys.modules), sys.stdout)"
    done = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)
    return set(json.loads(done.stdout))


def test_password_imports_one_module_of_the_layers_and_no_ansible() -> None:
    names = imported_by("hardpan.builder.commands.password")

    assert {n for n in names if n.startswith("hardpan.builder.layers")} == {
        "hardpan.builder.layers",
        "hardpan.builder.layers.sovereign",
        "hardpan.builder.layers.sovereign.accounts",
    }
    assert not names & {"ansible_runner", "paramiko", "lxml"}
