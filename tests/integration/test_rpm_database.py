"""The compatibility checks that query rpm, on this machine: Debian's rpm has no database."""

from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.scanners.collect.workload.compatibility import rpm_packages, tools

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder in which rpm's database would be."""
    monkeypatch.setattr(tools, "_ENV", {**tools._ENV, "HOME": str(tmp_path)})
    return tmp_path


@pytest.mark.parametrize(
    "check", [rpm_packages.check_package_signatures, rpm_packages.check_subscription_manager]
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
