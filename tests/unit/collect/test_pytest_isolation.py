"""The checks give the same outcomes whatever configures the pytest of the user's own project."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.core.events import discard
from hardpan.scanners.collect import hostfacts
from hardpan.scanners.collect.base import CollectTask
from hardpan.scanners.model.results import HostCheck
from tests.unit.collect.test_collect import EXPECTED, UniformTarget, as_connection


def run_checks() -> list[HostCheck]:
    evidence = hostfacts.HostFacts().collect(
        as_connection(UniformTarget("x\n")),
        CollectTask(expected=EXPECTED),
        timeout_s=60,
        emit=discard,
    )
    return [replace(check, duration_s=0) for check in evidence.checks]


@pytest.fixture(scope="module")
def expected_checks() -> list[HostCheck]:
    checks = run_checks()
    assert len(checks) >= 25
    assert len({check.outcome for check in checks}) >= 3
    return checks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTEST_ADDOPTS", "-v"),
        ("PYTEST_ADDOPTS", "-n 4 --cov --no-such-option"),
        ("PYTEST_ADDOPTS", "-k nothing"),
        ("PYTEST_ADDOPTS", "--maxfail=1"),
        ("PYTEST_PLUGINS", "no_such_plugin"),
        ("PYTEST_DEBUG", "1"),
        ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
        ("PY_COLORS", "1"),
    ],
)
def test_users_pytest_variables_do_not_reach_the_checks(
    name: str,
    value: str,
    expected_checks: list[HostCheck],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    variables = dict(os.environ)

    checks = run_checks()

    assert checks == expected_checks
    assert dict(os.environ) == variables
    assert capfd.readouterr() == ("", "")


def test_configuration_in_the_working_folder_does_not_reach_the_checks(
    expected_checks: list[HostCheck], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -v --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit('the conftest.py of the user')\n")
    monkeypatch.chdir(tmp_path)

    assert run_checks() == expected_checks


def test_conftest_above_the_checks_is_not_loaded(
    expected_checks: list[HostCheck], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout or a virtual environment is often inside the folder of another project."""
    folder = tmp_path / "project/lib/checks"
    shutil.copytree(hostfacts.CHECKS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "project/conftest.py").write_text("raise SystemExit('a conftest.py')\n")
    monkeypatch.setattr(hostfacts, "CHECKS", folder)

    assert run_checks() == expected_checks
