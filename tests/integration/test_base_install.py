"""What a command imports: an auditor installs no Ansible, no SSH library, and no QEMU."""

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.extras import EXTRAS
from hardpan.process import Completed, run
from tests.integration.conftest import REPO

pytestmark = pytest.mark.integration


DRIVER = Path(__file__).with_name("bug_driver.py")
NEEDS = {"scan": "scan", "smoke": "scan", "build": "build", "prove": "build"}
"""Command -> the extra that it cannot do without; every other command can."""


def bare(*words: str | Path) -> Completed:
    """What a command does where no extra is installed."""
    argv = [sys.executable, DRIVER, "without", ",".join(EXTRAS), *words]
    env = {"PYTHONPATH": str(REPO)}
    return run(argv, timeout_s=60, ok=tuple(range(256)), cwd=REPO, env=env)


@pytest.fixture(scope="module")
def helps() -> Mapping[str, Completed]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        ends = pool.map(lambda name: bare(name, "--help"), cli.VERBS)
        return dict(zip(cli.VERBS, ends, strict=True))


@pytest.mark.parametrize("name", cli.VERBS)
def test_a_command_works_without_extras_or_names_the_one_it_needs(
    helps: Mapping[str, Completed], name: str
) -> None:
    done = helps[name]

    if name not in NEEDS:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: hardpan {name} ")
        return
    error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (4, "")
    assert error.startswith(f"error: hardpan {name}: ")
    assert error.endswith(
        f" is not installed: expected the extra '{NEEDS[name]}', got an installation without it"
    )
    assert hint == f"hint: pip install 'hardpan[{NEEDS[name]}]'"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["profiles"], 0, "rocky9-stig "),
        (["check", "rocky9-stig"], 0, "ok  rocky9-stig  sha256:"),
        (["verify", "no-such.zip", "--policy", "no-such.yaml"], 3, "no-such"),
        (["wheels", "audit", "no-such"], 3, "no-such"),
    ],
)
def test_a_command_runs_without_extras(words: list[str], code: int, said: str) -> None:
    done = bare(*words)

    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_keys_and_kickstarts_are_made_without_extras(tmp_path: Path) -> None:
    assert bare("keys", "new", tmp_path / "keys").returncode == 0
    assert bare("keys", "show", tmp_path / "keys" / "scan.pub").returncode == 0
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "id"], timeout_s=30)
    render = ("render", "rocky9-stig", "--key", tmp_path / "id.pub", "-o", tmp_path / "out")
    assert bare(*render).returncode == 0
    assert (tmp_path / "out" / "ks.cfg").is_file()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_no_command(option: str) -> None:
    script = (
        "import sys\nfrom hardpan import cli\n"
        f"code = cli.run([{option!r}])\n"
        "print(*(m for m in sys.modules if m.startswith('hardpan.')), sep='\\n', file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)

    imported = {name.split(".")[1] for name in done.stderr.split()}
    assert {"cli", "boundary", "terminal"} <= imported
    assert not imported & {"builder", "scanners", "prove", "doctor", "profiles", "signing"}


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
