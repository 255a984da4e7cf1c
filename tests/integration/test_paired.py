"""The paired checks on a booted lab host: both halves held, each broken on purpose, one missing.

The kernel is this machine's, so conflicts about FIPS mode, audit and kernel settings are
not tried here but on the emulated image.
"""

import ipaddress
from collections.abc import Iterator

import pytest

from hardpan.scanners.collect.paired import paired
from hardpan.scanners.transport import connect
from hardpan.scanners.trials import Held, Pair, PairVerdict
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

_READY = """set -eu
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
# As the layer sovereign_stack has it.
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
def ready(lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A host hardened as far as these tests go, with an AI user and PyTorch."""
    folder = tmp_path_factory.mktemp("paired")
    with lab_host(lab_payload, folder, install=("python3-torch", "nftables")) as running:
        running.run(_READY)
        yield running


def checked(host: LabHost) -> tuple[str, dict[str, Pair]]:
    """How the actions were confined, and the pairs by their conflict."""
    with connect(host.target, timeout_s=60) as via:
        made = paired(via, timeout_s=300)
    return made.confinement, {p.conflict: p for p in made.pairs}


def test_both_halves_are_seen_to_hold_and_nothing_stays_behind(ready: LabHost) -> None:
    listing = "find /var/lib/ai /tmp /var/tmp /dev/shm /etc/systemd /run/systemd/system | sort"
    before = ready.run(listing).stdout

    confinement, pairs = checked(ready)

    assert "hardpan's default, no AI unit is there; user ai" in confinement
    for conflict in (
        "tmp-noexec",
        "home-noexec",
        "shm-noexec",
        "no-compiler",
        "code-folders",
        "egress",
    ):
        assert pairs[conflict].verdict is PairVerdict.PASS, pairs[conflict]
    assert "operation not permitted" in pairs["tmp-noexec"].control.found.lower() or (
        "failed to map segment" in pairs["tmp-noexec"].control.found
    )
    assert pairs["ptrace-scope"].action.outcome is Held.HOLDS, pairs["ptrace-scope"]
    # The host has no default route: a neighbour is tried.
    neighbour = ipaddress.ip_address(ready.guest.address) - 1
    assert f"to reach {neighbour} port 443" in pairs["egress"].control.found
    assert pairs["egress"].control.found.endswith("counter 'denied' 0 -> 1 packets")
    assert pairs["code-folders"].action.found == "serving: 1 of 1 packages load"
    assert "/opt/ai/stacks/serving/bin/python" in pairs["fapolicyd-default-deny"].action.found
    assert ready.run(listing).stdout == before


def test_our_own_attempt_to_leave_is_not_held_against_the_services(ready: LabHost) -> None:
    _, again = checked(ready)

    assert again["egress"].verdict is PairVerdict.PASS, again["egress"]

    neighbour = ipaddress.ip_address(ready.guest.address) - 1
    attempt = f"import socket; socket.create_connection(('{neighbour}', 443), 2)"
    ready.run(f'runuser -u ai -- python3 -c "{attempt}"', ok=(1,))
    _, after = checked(ready)

    assert after["egress"].verdict is PairVerdict.FAIL
    assert after["egress"].action.found.startswith("1 packets of the services denied")
    assert after["egress"].control.outcome is Held.HOLDS


def test_a_control_that_is_broken_on_purpose_fails(ready: LabHost) -> None:
    loose = "/opt/ai/stacks/serving/pyvenv.cfg"
    ready.run(f"mount -o remount,exec /tmp; chmod o+w {loose}")
    try:
        _, pairs = checked(ready)
    finally:
        ready.run(f"mount -o remount,noexec /tmp; chmod o-w {loose}")

    assert pairs["tmp-noexec"].verdict is PairVerdict.FAIL
    assert pairs["tmp-noexec"].control.outcome is Held.BROKEN
    assert "/tmp: it loads and answers 42" in pairs["tmp-noexec"].control.found
    assert pairs["tmp-noexec"].action.outcome is Held.HOLDS
    assert pairs["code-folders"].verdict is PairVerdict.FAIL
    assert pairs["code-folders"].reason == f"control: not root's alone: {loose}"


def test_an_action_that_is_broken_on_purpose_fails_and_a_missing_half_is_no_pass(
    ready: LabHost,
) -> None:
    ready.run(
        "mount -t tmpfs -o noexec,mode=0777 tmpfs /var/lib/ai/jit && mkdir /var/lib/ai/no && "
        "echo 'raise ImportError(\"broken on purpose\")' > /var/lib/ai/no/torch.py && "
        "echo PYTHONPATH=/var/lib/ai/no >> /etc/hardpan/ai.env"  # 'good' imports torch, too
    )
    try:
        _, pairs = checked(ready)
    finally:
        ready.run(
            "umount /var/lib/ai/jit; rm -r /var/lib/ai/no; sed -i /PYTHONPATH/d /etc/hardpan/ai.env"
        )

    assert pairs["tmp-noexec"].verdict is PairVerdict.FAIL
    assert pairs["tmp-noexec"].control.outcome is Held.HOLDS
    assert pairs["tmp-noexec"].action.outcome is Held.BROKEN
    assert pairs["fapolicyd-default-deny"].action.found == "import torch: broken on purpose"
    assert "good: ImportError broken on purpose" in pairs["code-folders"].action.found
    assert pairs["shm-noexec"].control.outcome is Held.HOLDS
    assert pairs["shm-noexec"].verdict is PairVerdict.NOT_CHECKED
    assert "torch was not imported" in pairs["shm-noexec"].reason


def test_the_actions_run_in_the_confinement_of_the_service_itself(ready: LabHost) -> None:
    (ready.root / "etc/systemd/system/hardpan-llm.service").write_text(_UNIT)
    ready.run("mkdir -p /var/empty; systemctl daemon-reload; systemctl start hardpan-llm; sleep 1")
    try:
        confinement, pairs = checked(ready)
        state = ready.run("systemctl is-active hardpan-llm").stdout
        shut = _UNIT + "InaccessiblePaths=-/usr/lib/python3/dist-packages/torch\n"
        (ready.root / "etc/systemd/system/hardpan-llm.service").write_text(shut)
        ready.run("systemctl daemon-reload")
        _, worse = checked(ready)
    finally:
        ready.run(
            "systemctl stop hardpan-llm; rm /etc/systemd/system/hardpan-llm.service; "
            "systemctl daemon-reload"
        )

    assert confinement.startswith("of hardpan-llm.service; AF_NETLINK added")
    assert "user ai-llm;" in confinement
    assert "MemoryDenyWriteExecute" in confinement
    assert "SystemCallFilter" in confinement
    assert state == "active\n"
    # Neither the JIT folder nor another's state may be written to: its own state is.
    assert pairs["tmp-noexec"].action.found == "/var/lib/ai/llm: it loads and answers 42"
    for conflict in ("tmp-noexec", "home-noexec", "shm-noexec", "no-compiler", "code-folders"):
        assert pairs[conflict].verdict is PairVerdict.PASS, pairs[conflict]
    assert pairs["ptrace-scope"].action.outcome is Held.HOLDS, pairs["ptrace-scope"]
    assert pairs["egress"].control.outcome is Held.HOLDS, pairs["egress"]
    assert pairs["sandbox"].verdict is PairVerdict.PASS, pairs["sandbox"]
    assert "port 8081: HTTP/1.0" in pairs["sandbox"].action.found
    assert "import torch" in worse["fapolicyd-default-deny"].action.found
