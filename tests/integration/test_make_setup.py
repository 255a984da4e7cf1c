"""``make setup`` on a machine with dnf, which is not available here: stand-ins record the calls."""

import shutil
from pathlib import Path

import pytest

from hardpan.core.process import run
from tests.integration.conftest import REPO

pytestmark = pytest.mark.integration

_DNF = """\
#!/bin/sh
echo "dnf $*" >> {log}
case "$*" in *repolist*) echo "baseos  on"; echo "crb  off" ;; esac
"""
_RPM = """\
#!/bin/sh
echo "rpm $*" >> {log}
exit 1
"""


@pytest.fixture
def dnf_path(tmp_path: Path) -> Path:
    """A folder to use as PATH: no apt-get, stand-ins for dnf and rpm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("make", "id", "awk", "bash", "sh"):
        real = shutil.which(program)
        assert real is not None, program
        (folder / program).symlink_to(real)
    for program, text in (("dnf", _DNF), ("rpm", _RPM)):
        (folder / program).write_text(text.format(log=tmp_path / "calls"))
        (folder / program).chmod(0o755)
    return folder


def test_setup_system_installs_the_dnf_packages_with_crb(dnf_path: Path) -> None:
    run(["make", "setup-system", "SUDO="], timeout_s=60, cwd=REPO, env={"PATH": str(dnf_path)})
    calls = (dnf_path.parent / "calls").read_text().splitlines()

    (install,) = [call for call in calls if call.startswith("dnf install")]
    assert install.startswith("dnf install -y --enablerepo=crb qemu-kvm qemu-img ")
    packages = set(install.split()[4:])
    assert {"openscap-scanner", "openssl", "jq", "unzip", "xorriso", "python3.12"} <= packages
    assert not packages & {"chromium", "ShellCheck", "mmdebstrap"}
