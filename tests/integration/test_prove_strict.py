"""The AI service and a scan under SELinux, fapolicyd and OpenSSL's FIPS provider, all enforcing."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.core.events import discard
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.target import from_guest
from hardpan.workflow.keyring import ensure_operator_key
from tests.integration.conftest import DATA, ProveRun, run_prove

pytestmark = [pytest.mark.integration, pytest.mark.system]

ENFORCED_RULES = (
    *("selinux_state", "selinux_policytype", "account_password_selinux_faillock_dir"),
    *("service_fapolicyd_enabled", "fapolicy_default_deny", "package_fapolicyd_installed"),
)
SERVICES = ("hardpan-llm", "hardpan-kb", "hardpan-login")


@pytest.fixture(scope="module")
def proved_strict(tmp_path_factory: pytest.TempPathFactory) -> ProveRun:
    return run_prove(tmp_path_factory.mktemp("proved-strict") / "out", "lab-strict")


@pytest.fixture(scope="module")
def findings(proved_strict: ProveRun) -> Any:
    with zipfile.ZipFile(proved_strict.evidence) as archive:
        return json.loads(archive.read("findings.json"))


@pytest.fixture(scope="module")
def guest(
    proved_strict: ProveRun, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """The built image, booted once more, with root rights by sudo."""
    profile = load_profile("lab-strict")
    machine = profile.machine
    spec = VmSpec(
        disk=proved_strict.output_folder / "lab-strict.qcow2",
        vcpus=machine.vcpus,
        memory_mib=machine.memory_mib,
        firmware=machine.firmware,
    )
    access = ensure_operator_key(profile.build_user, None, DATA / "hardpan")
    folder: Path = tmp_path_factory.mktemp("strict-boot")
    with (
        boot(
            spec,
            access,
            detect_acceleration(),
            log=folder / "console.log",
            emit=discard,
            overlay=True,
            overlay_folder=folder,
        ) as booted,
        connect(from_guest(booted), timeout_s=300) as connection,
    ):
        yield connection


def ask(guest: Connection, script: str) -> str:
    """Return what a script prints that runs as root."""
    return str(guest.run(["sh", "-c", script], sudo=True, timeout_s=600, ok=None).stdout).strip()


def test_strict_run_is_verified(proved_strict: ProveRun) -> None:
    assert proved_strict.returncode == 0
    assert "verdict     verified" in proved_strict.stdout


def test_enforced_rules_pass(findings: Any) -> None:
    verdicts = {r["ruleId"].rpartition("_rule_")[2]: r["verdict"] for r in findings["rules"]}

    assert {name: verdicts[name] for name in ENFORCED_RULES} == dict.fromkeys(
        ENFORCED_RULES, "pass"
    )


def test_fips_check_passes_without_waiver(findings: Any) -> None:
    (check,) = [c for c in findings["checks"] if c["name"] == "hardpan-check-fips-state"]

    assert (check["outcome"], check["waiver"]) == ("passed", None)
    assert findings["fips"]["providerActive"] == "yes"


def test_scan_sees_selinux_and_fapolicyd_enforcing(findings: Any) -> None:
    results = findings["compatibility"]["results"]
    controls = {r["conflict"]: r["control"]["outcome"] for r in results}

    assert (controls["selinux"], controls["fapolicyd"]) == ("satisfied", "satisfied")


def test_service_answers_under_enforcement(proved_strict: ProveRun) -> None:
    with zipfile.ZipFile(proved_strict.evidence) as archive:
        smoke = json.loads(archive.read("smoke.json"))

    assert smoke["verdict"] == "pass"
    assert "chat, time to first token" in [m["name"] for m in smoke["measures"]]


def test_selinux_enforces_and_services_are_confined(guest: Connection) -> None:
    assert ask(guest, "getenforce") == "Enforcing"
    for name in SERVICES:
        pid = ask(guest, f"systemctl show -P MainPID {name}.service")
        label = ask(guest, f"cat /proc/{pid}/attr/current").strip("\0")
        assert label == "system_u:system_r:hardpan_ai_t:s0", name


def test_service_has_no_denial_and_forbidden_read_is_denied(guest: Connection) -> None:
    denials = "ausearch --input-logs -m avc --raw 2>/dev/null | grep hardpan_ai_t | grep -c denied"
    assert ask(guest, denials) == "0"

    ask(
        guest,
        "systemd-run --wait -q -p SELinuxContext=system_u:system_r:hardpan_ai_t:s0"
        " /usr/bin/python3 -c 'open(\"/etc/shadow\")'",
    )

    assert int(ask(guest, denials)) >= 1


def test_fapolicyd_refuses_untrusted_program(guest: Connection) -> None:
    """Not as root: EL's rules trust root's own programs with everything."""
    planted = ask(guest, "systemctl is-active fapolicyd; cp -v /bin/true /opt/planted >&2; umask")
    output = guest.run("/opt/planted; echo $?", timeout_s=300, ok=None).stdout

    assert planted.splitlines()[0] == "active"
    assert str(output).strip() == "126"


def test_md5_is_refused_to_root_and_to_the_service_user(guest: Connection) -> None:
    script = "openssl md5 /etc/hostname >/dev/null 2>&1; echo $?"

    assert ask(guest, script) == "1"
    assert ask(guest, f"setpriv --reuid ai-auth --clear-groups sh -c '{script}'") == "1"
