"""The lab host that other tests build on: a real system, and nothing of it stays."""

from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.ssh.client import connect
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration


def test_lab_host_runs_systemd_and_sshd(host: LabHost) -> None:
    assert host.run("systemctl is-system-running").stdout == "running\n"
    with connect(host.target, timeout_s=30) as connection:
        output = connection.run("hostname; cat /proc/1/comm; id -u", timeout_s=30, sudo=True).stdout

    assert output.split() == ["lab-host", "systemd", "0"]


def test_dnf_installs_from_lab_repositories(host: LabHost) -> None:
    host.run("dnf -q -y install nftables")

    assert "nftables" in host.run("rpm -q nftables").stdout
    assert host.run("rpm -V nftables").stdout == ""
    assert host.run("nft add table inet trial && nft list tables").stdout == "table inet trial\n"


def test_lab_hosts_are_isolated_and_leave_nothing(lab_payload: Payload, tmp_path: Path) -> None:
    with lab_host(lab_payload, tmp_path / "one") as first_host:
        first_host.run("echo x > /etc/mine")
        with lab_host(lab_payload, tmp_path / "two") as second_host:
            assert second_host.run("test -e /etc/mine", ok=(0, 1)).returncode == 1
            assert first_host.guest.address != second_host.guest.address
    assert not (lab_payload.root / "etc/mine").exists()
    assert str(tmp_path) not in run(["findmnt", "-rn"], timeout_s=10).stdout
    assert run(["pgrep", "-f", str(tmp_path)], timeout_s=10, ok=(1,)).stdout == ""
