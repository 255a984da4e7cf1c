"""What a command imports: an auditor installs no Ansible, no SSH library, and no QEMU."""

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core.extras import EXTRA_BY_MODULE
from hardpan.core.process import CompletedProcess, run
from tests.integration.conftest import REPO

pytestmark = pytest.mark.integration


DRIVER = Path(__file__).with_name("fault_driver.py")
REQUIRED_EXTRAS = {"scan": "scan", "smoke": "scan", "build": "build", "prove": "build"}
"""Command -> the extra that it cannot do without; every other command can."""


def run_without_extras(*arguments: str | Path) -> CompletedProcess:
    """What a command does where no extra is installed."""
    argv = [sys.executable, DRIVER, "without", ",".join(EXTRA_BY_MODULE), *arguments]
    env = {"PYTHONPATH": str(REPO)}
    return run(argv, timeout_s=60, ok=tuple(range(256)), cwd=REPO, env=env)


@pytest.fixture(scope="module")
def help_results() -> Mapping[str, CompletedProcess]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        ends = pool.map(lambda name: run_without_extras(name, "--help"), cli.COMMANDS)
        return dict(zip(cli.COMMANDS, ends, strict=True))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_works_without_extras_or_names_required_extra(
    help_results: Mapping[str, CompletedProcess], name: str
) -> None:
    result = help_results[name]

    if name not in REQUIRED_EXTRAS:
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith(f"Usage: hardpan {name} ")
        return
    error, hint = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (4, "")
    assert error.startswith(f"error: hardpan {name}: ")
    assert error.endswith(
        f" is not installed: expected the extra '{REQUIRED_EXTRAS[name]}',"
        " got an installation without it"
    )
    assert hint == f"hint: pip install 'hardpan[{REQUIRED_EXTRAS[name]}]'"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["profiles"], 0, "rocky9-stig "),
        (["check", "rocky9-stig"], 0, "ok  rocky9-stig  sha256:"),
        (["verify", "no-such.zip", "--policy", "no-such.yaml"], 3, "no-such"),
        (["wheels", "audit", "no-such"], 3, "no-such"),
    ],
)
def test_command_runs_without_extras(arguments: list[str], code: int, expected: str) -> None:
    result = run_without_extras(*arguments)

    assert result.returncode == code, result.stderr
    assert expected in result.stdout + result.stderr


def test_keys_and_render_work_without_extras(tmp_path: Path) -> None:
    assert run_without_extras("keys", "new", tmp_path / "keys").returncode == 0
    assert run_without_extras("keys", "show", tmp_path / "keys" / "scan.pub").returncode == 0
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "id"], timeout_s=30)
    render = ("render", "rocky9-stig", "--key", tmp_path / "id.pub", "-o", tmp_path / "out")
    assert run_without_extras(*render).returncode == 0
    assert (tmp_path / "out" / "ks.cfg").is_file()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_no_command_modules(option: str) -> None:
    script = (
        "import sys\nfrom hardpan import cli\n"
        f"code = cli.run([{option!r}])\n"
        "print(*(m for m in sys.modules if m.startswith('hardpan.')), sep='\\n', file=sys.stderr)\n"
        "sys.exit(code)"
    )
    result = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)

    imported = {name.split(".")[1] for name in result.stderr.split()}
    assert {"cli", "core"} <= imported
    assert not imported & {"builder", "preflight", "profiles", "scanners", "signing", "workflow"}


def imported_modules(module: str) -> set[str]:
    """The names of all modules that a fresh interpreter has after importing ``module``."""
    script = f"import json, sys, {module}\njson.dump(sorted(sys.modules), sys.stdout)"
    result = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)
    return set(json.loads(result.stdout))


def test_hash_password_imports_no_ansible() -> None:
    names = imported_modules("hardpan.cli.hash_password")

    assert {n for n in names if n.startswith("hardpan.builder")} == {
        "hardpan.builder",
        "hardpan.builder.ai_service",
        "hardpan.builder.ai_service.payload",
        "hardpan.builder.ai_service.payload.accounts",
    }
    assert not names & {"ansible_runner", "paramiko", "lxml"}
