"""The layers of an ISO, applied on a booted lab host by their own service, without a network.

Everything is real but the reboot at the end: systemd, Ansible, OpenSCAP, the content and its fixes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.artifacts import Assessment, OfflineContent
from hardpan.builder.offline.packages import list_packages
from hardpan.builder.offline.payload import PayloadRequest, write_payload
from hardpan.core.events import discard
from hardpan.core.process import run
from hardpan.kickstart.offline import LAYERS_FOLDER
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.audit import Audit
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.content import datastream
from hardpan.scanners.content.self_assessment import prepare_self_assessment
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

PACKAGES = ("audit", "audispd-plugins", "rsyslog", "rsyslog-gnutls", "libpwquality", "aide")
UNIT = "hardpan-layers.service"
_BIN = "/opt/test/bin"
_LIMIT_S = 900
SYSTEMCTL = """#!/bin/sh
case "$*" in *reboot*) echo "$*" > /root/rebooted; exit ;; esac
exec /usr/bin/systemctl "$@"
"""


def copy_layers(host: LabHost, folder: Path) -> None:
    """Do what the install does with the folder of the ISO."""
    profile = load_profile("lab-stig")
    profile = profile.model_copy(update={"layers": ("audit", "stig"), "audit": Audit()})
    source = datastream.find(profile.stig.content)
    prepared = prepare_self_assessment(source, profile.stig.profile_id)
    content = OfflineContent(
        data_stream=prepared.data_stream,
        profile_id=prepared.profile_id,
        assessment=Assessment(content_sha256=source.sha256, counts={}, fixes=prepared.fixes),
    )
    request = PayloadRequest(profile=profile, content=content, cache=folder, emit=discard)
    (folder / "payload").mkdir()
    payload = write_payload(request, folder / "payload")
    copy = host.root / LAYERS_FOLDER[1:]
    run(["cp", "-R", payload.folder, copy], timeout_s=60)
    copy.chmod(0o700)
    unit = host.root / "etc/systemd/system" / UNIT
    unit.write_bytes((payload.folder / UNIT).read_bytes())
    drop_in = unit.with_name(f"{UNIT}.d")
    drop_in.mkdir()
    path = f"{_BIN}:/usr/sbin:/usr/bin:/sbin:/bin"
    (drop_in / "test.conf").write_text(f"[Service]\nEnvironment=PATH={path}\n")
    program = host.root / _BIN[1:] / "systemctl"
    program.parent.mkdir(parents=True)
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)


@dataclass(frozen=True)
class AppliedLayers:
    """The host after its first boot, as far as the service goes."""

    host: LabHost
    failing: tuple[str, ...]
    """Rules that failed in the host's own evaluation."""

    outcomes: dict[str, dict[str, Any]]
    """Rule -> what its fix did."""


@pytest.fixture(scope="module")
def applied(
    lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppliedLayers]:
    folder = tmp_path_factory.mktemp("offline-layers")
    install = (*PACKAGES, *list_packages(load_profile("lab-stig")))
    with lab_host(lab_payload, folder, install=install) as host:
        copy_layers(host, folder)
        host.run("ip link set host0 down")
        host.run(f"systemctl daemon-reload; systemctl -q enable {UNIT}")
        result = host.run(f"systemctl start {UNIT}", ok=(0, 1), timeout_s=_LIMIT_S)
        journal = host.run(f"journalctl --no-pager -o cat -u {UNIT}").stdout
        assert result.returncode == 0, journal[-4000:]
        (record,) = (host.root / "var/log/hardpan-layers").glob("*-stig.json")
        outcomes = {x["rule"]: x for x in json.loads(record.read_text("utf-8"))["rules"]}
        yield AppliedLayers(
            host=host,
            failing=tuple(r for r, x in outcomes.items() if "did not fail" not in x["output"]),
            outcomes=outcomes,
        )


def test_machine_had_no_network(applied: AppliedLayers) -> None:
    assert "inet " not in applied.host.run("ip -4 address show up scope global").stdout


def test_only_failing_rules_are_remediated(applied: AppliedLayers) -> None:
    count = len(applied.failing)

    assert 50 < count < len(applied.outcomes)
    failed = [r for r in applied.failing if applied.outcomes[r]["exit_status"]]
    # A lab host has no boot loader.
    assert [r for r in failed if not r.startswith(f"{RULE_PREFIX}grub2_")] == []


def test_remediation_has_its_effect(applied: AppliedLayers) -> None:
    rule = f"{RULE_PREFIX}accounts_password_pam_minlen"

    assert rule in applied.failing
    script = "grep -rhE '^ *minlen *= *15' /etc/security/pwquality.conf*"
    assert "15" in applied.host.run(script).stdout


def test_layer_before_it_was_applied(applied: AppliedLayers) -> None:
    script = "systemctl is-enabled hardpan-models-check.timer"

    assert applied.host.run(script).stdout.strip() == "enabled"


def test_service_removes_itself_and_reboots(applied: AppliedLayers) -> None:
    host = applied.host

    assert not (host.root / LAYERS_FOLDER[1:]).exists()
    assert not (host.root / "etc/systemd/system" / UNIT).exists()
    assert not (host.root / f"etc/systemd/system/multi-user.target.wants/{UNIT}").is_symlink()
    assert (host.root / "root/rebooted").read_text() == "--no-block reboot\n"


def test_aide_has_a_database_of_the_machine(applied: AppliedLayers) -> None:
    assert (applied.host.root / "var/lib/aide/aide.db.gz").stat().st_size > 1000
