"""The compatibility checks on a booted lab host: satisfied, violated on purpose, not tested.

The kernel is this machine's, so conflicts about FIPS mode, audit and kernel settings are
not tried here but on the emulated image.
"""

import ipaddress
from collections.abc import Iterator

import pytest

from hardpan.scanners.collect.compatibility import run_compatibility_checks
from hardpan.scanners.model.results import (
    CompatibilityOutcome,
    CompatibilityResult,
    CompatibilityVerdict,
)
from hardpan.ssh.client import connect
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

_SETUP_SCRIPT = """set -eu
useradd --system --user-group --home-dir /var/lib/ai --shell /usr/sbin/nologin ai
useradd --system --gid ai --home-dir /var/lib/ai/llm --shell /usr/sbin/nologin ai-llm
mkdir -p /var/lib/ai/jit/llm /var/lib/ai/tmp /etc/hardpan
chown -R ai:ai /var/lib/ai
printf 'TMPDIR=/var/lib/ai/tmp\\nTRITON_CACHE_DIR=/var/lib/ai/jit/llm/triton\\n' \
    > /etc/hardpan/ai.env
mount -o remount,noexec /tmp
mount -o remount,noexec /dev/shm
mount -t tmpfs -o noexec,mode=1777 tmpfs /var/tmp
mount --bind /home /home
mount -o remount,bind,noexec /home
version=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
site=/opt/ai/stacks/serving/lib/$version/site-packages
mkdir -p $site/good-1.dist-info /opt/ai/stacks/serving/bin
printf 'home = /usr/bin\ninclude-system-site-packages = true\n' > /opt/ai/stacks/serving/pyvenv.cfg
ln -s /usr/bin/python3 /opt/ai/stacks/serving/bin/python3
ln -s python3 /opt/ai/stacks/serving/bin/python
echo 'import torch' > $site/good.py
echo 'good.py,,' > $site/good-1.dist-info/RECORD
nft -f - <<'RULES'
table inet hardpan_ai {
  counter denied { comment "attempts to leave"; }
  chain out {
    type filter hook output priority 0;
    meta skgid "ai" oifname != "lo" counter name denied reject
  }
}
RULES
"""
# As the layer ai_service has it.
_UNIT = """[Service]
User=ai-llm
Group=ai
StateDirectory=ai/llm
StateDirectoryMode=0700
ExecStart=/usr/bin/python3 -m http.server 8081 --bind 127.0.0.1 --directory /var/empty
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_UNIX
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
IPAddressDeny=any
IPAddressAllow=localhost
EnvironmentFile=/etc/hardpan/ai.env
Environment=DO_NOT_TRACK=1 "HARDPAN_TRIAL=two words"
UnsetEnvironment=TMPDIR
"""


@pytest.fixture(scope="module")
def compatibility_host(
    lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabHost]:
    """A host hardened as far as these tests go, with an AI user and PyTorch."""
    folder = tmp_path_factory.mktemp("compatibility")
    with lab_host(lab_payload, folder, install=("python3-torch", "nftables")) as booted_host:
        booted_host.run(_SETUP_SCRIPT)
        yield booted_host


def run_checks(host: LabHost) -> tuple[str, dict[str, CompatibilityResult]]:
    """How the actions were confined, and the pairs by their conflict."""
    with connect(host.target, timeout_s=60) as connection:
        report = run_compatibility_checks(connection, timeout_s=300)
    return report.confinement, {p.conflict: p for p in report.results}


def test_satisfied_checks_leave_nothing_on_the_host(compatibility_host: LabHost) -> None:
    listing = "find /var/lib/ai /tmp /var/tmp /dev/shm /etc/systemd /run/systemd/system | sort"
    before = compatibility_host.run(listing).stdout

    confinement, results = run_checks(compatibility_host)

    assert "hardpan's default, no AI unit exists; user ai" in confinement
    for conflict in (
        "tmp-noexec",
        "home-noexec",
        "shm-noexec",
        "no-compiler",
        "code-folders",
        "egress",
    ):
        assert results[conflict].verdict is CompatibilityVerdict.PASS, results[conflict]
    assert "operation not permitted" in results["tmp-noexec"].control.observed.lower() or (
        "failed to map segment" in results["tmp-noexec"].control.observed
    )
    assert results["ptrace-scope"].workload.outcome is CompatibilityOutcome.SATISFIED, results[
        "ptrace-scope"
    ]
    # The host has no default route: a neighbour is tried.
    neighbour = ipaddress.ip_address(compatibility_host.guest.address) - 1
    assert f"to reach {neighbour} port 443" in results["egress"].control.observed
    assert results["egress"].control.observed.endswith("counter 'denied' 0 -> 1 packets")
    assert results["code-folders"].workload.observed == "serving: 1 of 1 packages load"
    assert (
        "/opt/ai/stacks/serving/bin/python" in results["fapolicyd-default-deny"].workload.observed
    )
    assert compatibility_host.run(listing).stdout == before


def test_egress_probe_is_not_counted_as_service_egress(compatibility_host: LabHost) -> None:
    _, again = run_checks(compatibility_host)

    assert again["egress"].verdict is CompatibilityVerdict.PASS, again["egress"]

    neighbour = ipaddress.ip_address(compatibility_host.guest.address) - 1
    attempt = f"import socket; socket.create_connection(('{neighbour}', 443), 2)"
    compatibility_host.run(f'runuser -u ai -- python3 -c "{attempt}"', ok=(1,))
    _, after = run_checks(compatibility_host)

    assert after["egress"].verdict is CompatibilityVerdict.FAIL
    assert after["egress"].workload.observed.startswith("1 packets of the services denied")
    assert after["egress"].control.outcome is CompatibilityOutcome.SATISFIED


def test_violated_control_fails(compatibility_host: LabHost) -> None:
    writable_file = "/opt/ai/stacks/serving/pyvenv.cfg"
    compatibility_host.run(f"mount -o remount,exec /tmp; chmod o+w {writable_file}")
    try:
        _, results = run_checks(compatibility_host)
    finally:
        compatibility_host.run(f"mount -o remount,noexec /tmp; chmod o-w {writable_file}")

    assert results["tmp-noexec"].verdict is CompatibilityVerdict.FAIL
    assert results["tmp-noexec"].control.outcome is CompatibilityOutcome.VIOLATED
    assert "/tmp: it loads and answers 42" in results["tmp-noexec"].control.observed
    assert results["tmp-noexec"].workload.outcome is CompatibilityOutcome.SATISFIED
    assert results["code-folders"].verdict is CompatibilityVerdict.FAIL
    assert (
        results["code-folders"].reason == f"control: writable for others than root: {writable_file}"
    )


def test_violated_workload_fails_and_untested_check_is_no_pass(
    compatibility_host: LabHost,
) -> None:
    compatibility_host.run(
        "mount -t tmpfs -o noexec,mode=0777 tmpfs /var/lib/ai/jit && mkdir /var/lib/ai/no && "
        "echo 'raise ImportError(\"broken on purpose\")' > /var/lib/ai/no/torch.py && "
        "echo PYTHONPATH=/var/lib/ai/no >> /etc/hardpan/ai.env"  # 'good' imports torch, too
    )
    try:
        _, results = run_checks(compatibility_host)
    finally:
        compatibility_host.run(
            "umount /var/lib/ai/jit; rm -r /var/lib/ai/no; sed -i /PYTHONPATH/d /etc/hardpan/ai.env"
        )

    assert results["tmp-noexec"].verdict is CompatibilityVerdict.FAIL
    assert results["tmp-noexec"].control.outcome is CompatibilityOutcome.SATISFIED
    assert results["tmp-noexec"].workload.outcome is CompatibilityOutcome.VIOLATED
    assert results["fapolicyd-default-deny"].workload.observed == "import torch: broken on purpose"
    assert "good: ImportError broken on purpose" in results["code-folders"].workload.observed
    assert results["shm-noexec"].control.outcome is CompatibilityOutcome.SATISFIED
    assert results["shm-noexec"].verdict is CompatibilityVerdict.NOT_CHECKED
    assert "torch was not imported" in results["shm-noexec"].reason


def test_workload_checks_run_in_the_service_confinement(compatibility_host: LabHost) -> None:
    (compatibility_host.root / "etc/systemd/system/hardpan-llm.service").write_text(_UNIT)
    compatibility_host.run(
        "mkdir -p /var/empty; systemctl daemon-reload; systemctl start hardpan-llm; sleep 1"
    )
    try:
        confinement, results = run_checks(compatibility_host)
        state = compatibility_host.run("systemctl is-active hardpan-llm").stdout
        unit_without_torch = _UNIT + "InaccessiblePaths=-/usr/lib/python3/dist-packages/torch\n"
        (compatibility_host.root / "etc/systemd/system/hardpan-llm.service").write_text(
            unit_without_torch
        )
        compatibility_host.run("systemctl daemon-reload")
        _, results_without_torch = run_checks(compatibility_host)
    finally:
        compatibility_host.run(
            "systemctl stop hardpan-llm; rm /etc/systemd/system/hardpan-llm.service; "
            "systemctl daemon-reload"
        )

    assert confinement.startswith("of hardpan-llm.service; AF_NETLINK added")
    assert "user ai-llm;" in confinement
    assert "MemoryDenyWriteExecute" in confinement
    assert "SystemCallFilter" in confinement
    assert state == "active\n"
    # Neither the JIT folder nor another's state may be written to: its own state is.
    assert results["tmp-noexec"].workload.observed == "/var/lib/ai/llm: it loads and answers 42"
    for conflict in ("tmp-noexec", "home-noexec", "shm-noexec", "no-compiler", "code-folders"):
        assert results[conflict].verdict is CompatibilityVerdict.PASS, results[conflict]
    assert results["ptrace-scope"].workload.outcome is CompatibilityOutcome.SATISFIED, results[
        "ptrace-scope"
    ]
    assert results["egress"].control.outcome is CompatibilityOutcome.SATISFIED, results["egress"]
    assert results["sandbox"].verdict is CompatibilityVerdict.PASS, results["sandbox"]
    assert "port 8081: HTTP/1.0" in results["sandbox"].workload.observed
    assert "import torch" in results_without_torch["fapolicyd-default-deny"].workload.observed
