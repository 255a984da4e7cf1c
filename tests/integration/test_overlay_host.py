"""The overlay host itself: what it changes is nowhere else, and ends with it."""

from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.ssh.client import connect
from tests.integration.el_host import PACKAGES, el_host_spec
from tests.integration.overlay_host import HostSpec, HostUser, overlay_host

pytestmark = pytest.mark.integration


def test_changes_stay_in_the_overlay(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    spec = HostSpec(removed=("tar",), users=(HostUser(name="carol", login_shell="/bin/sh"),))

    with overlay_host(tmp_path / "host", spec) as host:
        with connect(host.target("carol"), timeout_s=20) as connection:
            assert connection.run("id -un; command -v tar || echo no tar", timeout_s=20).stdout == (
                "carol\nno tar\n"
            )
        host.run("rm -rf /etc/passwd /usr/bin/oscap /tmp/*; touch /etc/overlay-host-test")
        assert host.run("ls /tmp; df -P / | tail -n 1 | cut -d' ' -f1").stdout == "overlay\n"
        pid = host.pid

    assert not Path(f"/proc/{pid}").exists()
    assert Path("/proc/self/mounts").read_text() == mounts
    assert "carol" not in Path("/etc/passwd").read_text()
    assert not Path("/etc/overlay-host-test").exists()
    assert run(["tar", "--version"], timeout_s=20).returncode == 0


def test_el_shaped_host_has_an_rpm_database_and_no_tar(tmp_path: Path) -> None:
    with overlay_host(tmp_path / "host", el_host_spec()) as host:
        packages = host.run("rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'").stdout.splitlines()
        missing = host.run("for p in tar python3 sudo dpkg; do command -v $p; done; true").stdout

        assert dict(x.split() for x in packages) == dict(PACKAGES)
        assert missing == ""
        assert host.run("cat /etc/rocky-release").stdout.startswith("Rocky Linux release 9")
