"""Set-up installs locked versions, whatever has been released since: the Makefile's commands.

When pydantic 2.14.4 came out, pip looked at it on behalf of ``pydantic[email]``, found no digest
for it, and every fresh checkout's 'make test' ended there, though the lock had all that was needed.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from hardpan.builder.wheel_audit.lock import load_lock
from hardpan.core.errors import ToolError
from hardpan.core.process import CompletedProcess, run
from tests.lock_drift.conftest import REPO
from tests.lock_drift.local_index import LocalIndex

pytestmark = pytest.mark.integration

RESOLVING = "PIP_INSTALL=pip install --disable-pip-version-check -q --no-compile"
"""The Makefile's command as it was: without --no-deps."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout without anything that was built or installed."""
    argv = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    for name in run(argv, timeout_s=60, cwd=REPO).stdout.split("\0"):
        source, target = REPO / name, tmp_path / "checkout" / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return tmp_path / "checkout"


def run_make(checkout: Path, index: LocalIndex, *arguments: str) -> CompletedProcess:
    """Run the Makefile with an index that has newer releases; bytecode is not compiled."""
    python = f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"
    environment = {**index.environment, "PIP_NO_COMPILE": "1"}
    return run(["make", "-j2", python, *arguments], timeout_s=600, cwd=checkout, env=environment)


def list_installed(python: Path) -> dict[str, str]:
    """Return name -> version of the packages of an environment, without pip."""
    listed = run([python, "-m", "pip", "list", "--format", "json"], timeout_s=60).stdout
    versions = {canonicalize_name(entry["name"]): entry["version"] for entry in json.loads(listed)}
    return {name: version for name, version in versions.items() if name != "pip"}


def locked_versions(*names: str) -> dict[str, set[str]]:
    """Name -> the versions that these lock files have for any Python."""
    versions_by_name: dict[str, set[str]] = {}
    for name in names:
        for entry in load_lock(REPO / "requirements" / f"{name}.txt").entries:
            versions_by_name.setdefault(entry.name, set()).add(entry.version)
    return versions_by_name


def unconditional_projects(*names: str) -> set[str]:
    """The projects that these lock files have for every Python on every platform."""
    entries = (e for n in names for e in load_lock(REPO / "requirements" / f"{n}.txt").entries)
    return {entry.name for entry in entries if not entry.is_conditional}


def test_setup_installs_locked_versions_despite_newer_releases(
    checkout: Path, index: LocalIndex
) -> None:
    run_make(checkout, index, "setup-venv", ".interop/.done")

    # No newer release was even looked into.
    assert set(index.downloads) <= index.locked
    for environment, names in ((".venv", ("build", "lock")), (".interop", ("interop",))):
        installed_versions = list_installed(checkout / environment / "bin" / "python")
        versions = locked_versions(*names)
        assert installed_versions.pop("hardpan", None) == (
            "0.1.0" if environment == ".venv" else None
        )
        # Debian 12's Python brings a setuptools into every environment.
        if environment == ".interop":
            installed_versions.pop("setuptools", None)
        assert {
            name: v for name, v in installed_versions.items() if v not in versions.get(name, ())
        } == {}
        assert unconditional_projects(*names) <= set(installed_versions)
    assert run([checkout / ".venv/bin/hardpan", "--version"], timeout_s=60).stdout


def test_resolving_installation_fails(checkout: Path, index: LocalIndex) -> None:
    # 'setup-venv' fails the same way, at fonttools[woff]; it takes a minute to get there.
    with pytest.raises(ToolError) as caught:
        run_make(checkout, index, ".interop/.done", RESOLVING)

    assert (
        "In --require-hashes mode, all requirements must have their versions"
        in caught.value.output_tail
    )
    assert "pydantic[email]" in caught.value.output_tail
