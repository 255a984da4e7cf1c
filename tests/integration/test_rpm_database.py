"""The compatibility checks that query rpm, on this machine: Debian's rpm has no database."""

from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.scanners.collect.workload.compatibility import rpm_packages, tools

pytestmark = pytest.mark.integration

_DNF = '#!/bin/sh\nrpm -qa >/dev/null\necho "bash.x86_64 5.1 @System"\n'
"""Opens the database of rpm, as dnf does."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder in which rpm's database would be, and a dnf on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dnf").write_text(_DNF)
    (programs / "dnf").chmod(0o755)
    folder = tmp_path / "home"
    folder.mkdir()
    path = f"{programs}:{tools._ENV['PATH']}"
    monkeypatch.setattr(tools, "_ENV", {**tools._ENV, "HOME": str(folder), "PATH": path})
    monkeypatch.setenv("PATH", path)
    rpm_packages.check_dnf.cache_clear()
    return folder


@pytest.mark.parametrize(
    "check",
    [
        rpm_packages.check_package_signatures,
        rpm_packages.check_subscription_manager,
        rpm_packages.check_dnf,
    ],
)
def test_no_database_is_created(check: object, home: Path) -> None:
    assert callable(check)

    assert check() == ("not_tested", "rpm is not installed, or has no database")
    assert list(home.iterdir()) == []


def test_existing_database_is_queried(home: Path) -> None:
    run(["rpm", "--initdb"], timeout_s=60, env={"HOME": str(home)})
    assert (home / ".rpmdb").is_dir()

    assert rpm_packages.check_package_signatures() == (
        "satisfied",
        "0 hardpan packages, unsigned: none",
    )
    assert rpm_packages.check_subscription_manager() == (
        "satisfied",
        "package subscription-manager is not installed",
    )
    assert rpm_packages.check_dnf() == ("satisfied", "dnf: bash.x86_64 5.1 @System")
