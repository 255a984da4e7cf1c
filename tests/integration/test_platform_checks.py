"""hardpan's own checks on a real host, as root and without root rights."""

from pathlib import Path

import pytest

from hardpan.core.events import discard
from hardpan.scanners.collect.base import CollectTask, ExpectedState, create_collector
from hardpan.scanners.collect.checks.queries import BUILD_RECORD
from hardpan.scanners.model.results import HostCheck
from hardpan.ssh.client import connect
from hardpan.ssh.target import Target
from tests.integration.overlay_host import HostSpec, HostUser, overlay_host

pytestmark = pytest.mark.integration

SSHD_CONFIG = "/etc/ssh/sshd_config"
CLASSICAL = "HostKey /etc/ssh/overlay_host_key\nKexAlgorithms curve25519-sha256\n"
HYBRID = "HostKey /etc/ssh/overlay_host_key\nKexAlgorithms sntrup761x25519-sha512@openssh.com\n"
PQ = "pq-key-exchange"


def run_checks(target: Target, collector: str, task: CollectTask) -> dict[str, HostCheck]:
    """Return id without prefix -> check."""
    with connect(target, timeout_s=20) as connection:
        evidence = create_collector(collector).collect(
            connection, task, timeout_s=120, emit=discard
        )
    return {c.name.removeprefix("hardpan-check-"): c for c in evidence.checks}


def test_checks_follow_host_and_profile(tmp_path: Path) -> None:
    spec = HostSpec(
        users=(HostUser(name="carol"),),
        files={SSHD_CONFIG: CLASSICAL},
        os_release='ID=debian\nVERSION_ID="11"\n',
    )
    required = CollectTask(required_checks=frozenset({f"hardpan-check-{PQ}"}))
    user_task = CollectTask(expected=ExpectedState(build_user="root"))

    with overlay_host(tmp_path / "host", spec) as host:
        optional = run_checks(host.target(), "platform", CollectTask())
        demanded = run_checks(host.target(), "platform", required)
        unprivileged = run_checks(host.target("carol"), "platform", required)
        foreign_image = run_checks(host.target(), "hostfacts", user_task)
        host.run(f"printf %b {HYBRID!r} > {SSHD_CONFIG}; mkdir -p $(dirname {BUILD_RECORD})")
        host.run(f"echo '{{}}' > {BUILD_RECORD}")
        hybrid = run_checks(host.target(), "platform", required)
        hardpan_image = run_checks(host.target(), "hostfacts", user_task)

    assert len(optional) == 8
    assert {c.outcome for c in optional.values()} <= {"passed", "failed", "skipped"}
    assert {name for name, c in optional.items() if c.outcome == "failed"} == {"release-supported"}
    assert "debian 11: support ended on 2026-08-31" in optional["release-supported"].observed
    assert (optional[PQ].outcome, demanded[PQ].outcome) == ("skipped", "failed")
    assert demanded[PQ].message.startswith("post-quantum key exchange: sshd offers none; the SSH")
    assert unprivileged[PQ].outcome == "not_checked"
    assert "log in as root" in unprivileged[PQ].message
    assert hybrid[PQ].outcome == "passed"
    assert hybrid[PQ].observed.startswith("sshd offers sntrup761x25519-sha512@openssh.com")
    assert hybrid[PQ].definition is not None
    login = "build-user-login"
    assert foreign_image[login].outcome == "skipped"
    assert foreign_image[login].message.startswith("hardpan did not build this system: there is")
    assert hardpan_image[login].outcome == "failed"  # root has no authorized key in its home
