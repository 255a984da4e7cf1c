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
    assert host.run("rpm -q tmux", ok=(1,)).stdout == "package tmux is not installed\n"
    host.run("dnf -q -y install tmux")

    assert "tmux" in host.run("rpm -q tmux").stdout
    assert host.run("rpm -V tmux").stdout == ""
    assert host.run("tmux -V").stdout.startswith("tmux ")


def test_lab_host_has_firewall_and_network_of_el(host: LabHost) -> None:
    assert host.run("firewall-cmd --state").stdout == "running\n"
    assert "ssh" in host.run("firewall-cmd --list-services").stdout.split()
    assert host.run("nft list tables").stdout == "table inet firewalld\n"
    assert host.run("nmcli -g GENERAL.STATE device show host0").stdout == "100 (connected)\n"


def test_lab_hosts_are_isolated_and_leave_nothing(lab_payload: Payload, tmp_path: Path) -> None:
    with lab_host(lab_payload, tmp_path / "one") as first_host:
        first_host.run("echo x > /etc/mine")
        with lab_host(lab_payload, tmp_path / "two") as second_host:
            assert second_host.run("test -e /etc/mine", ok=(0, 1)).returncode == 1
            assert first_host.guest.address != second_host.guest.address
    assert not (lab_payload.root / "etc/mine").exists()
    assert str(tmp_path) not in run(["findmnt", "-rn"], timeout_s=10).stdout
    assert run(["pgrep", "-f", str(tmp_path)], timeout_s=10, ok=(1,)).stdout == ""
