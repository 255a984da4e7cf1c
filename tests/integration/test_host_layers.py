"""The layers kernel_hardening, tuning and audit on a booted lab host, one behind the other.

The host's kernel is this machine's: what the kernel itself does with a setting, a module
or an audit rule is for emulated guests.
"""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hardpan.builder.artifacts import Assessment, LayerResult
from hardpan.builder.layers import registry as layers
from hardpan.core.events import Event, StageMessage, discard
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.audit import Audit, LogHost
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.tuning import Tuning
from hardpan.scanners.collect.base import CollectTask
from hardpan.scanners.collect.checks.queries import BUILD_RECORD
from hardpan.scanners.collect.hostfacts import HostFacts
from hardpan.scanners.collect.task import build_expected_state
from hardpan.ssh.client import connect
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

NAMES = ("kernel_hardening", "tuning", "audit")
PACKAGES = ("tuned", "audit", "audispd-plugins", "rsyslog", "rsyslog-gnutls", "firewalld", "make")
UNIT = (
    "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
)


def make_ca_certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "log authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def host_profile(pem: str) -> Profile:
    return load_profile("lab-stig").model_copy(
        update={
            "layers": NAMES,
            "kernel_hardening": KernelHardening(ports=(22, 443)),
            "tuning": Tuning(hugepages_2m=8),
            "audit": Audit(log_host=LogHost(host="logs.example", ca_certificate=pem)),
        }
    )


class AppliedLayers:
    """A host with all three layers on it, put there twice."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.events: list[Event] = []
        self.profile = host_profile(make_ca_certificate())
        self._folder = folder
        self.first = self.apply()
        self.second = self.apply()

    def apply(self) -> tuple[LayerResult, ...]:
        return layers.apply_layers(
            self.profile,
            self.host.guest,
            Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=()),
            cache=self._folder,
            emit=self.events.append,
        )

    def run(self, script: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.host.run(script, ok=ok).stdout


@pytest.fixture(scope="module")
def applied(
    lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppliedLayers]:
    folder = tmp_path_factory.mktemp("host-layers")
    with lab_host(lab_payload, folder, install=PACKAGES) as host:
        units = host.root / "usr/lib/systemd/system"
        (units / "backdoor.service").write_text(UNIT)
        host.run("systemctl daemon-reload; systemctl -q enable backdoor.service")
        host.run("install -m 4755 /usr/bin/id /usr/bin/rootid")
        yield AppliedLayers(host, folder)


def test_layers_are_idempotent(applied: AppliedLayers) -> None:
    assert [(r.layer, r.changed_tasks) for r in applied.first] == [(n, 1) for n in NAMES]
    assert [(r.layer, r.changed_tasks) for r in applied.second] == [(n, 0) for n in NAMES]


def test_removals_are_reported_and_recorded(applied: AppliedLayers) -> None:
    notes = " ".join(e.text for e in applied.events if isinstance(e, StageMessage))
    record = json.loads(applied.run("cat /etc/hardpan/surface.json"))

    assert "masked: backdoor.service" in notes
    assert record["masked"] == ["backdoor.service"]
    assert record["suid"]["/usr/bin/rootid"] == "4755"
    assert "/usr/bin/chfn" in record["suid"]
    assert record["removed"] == ["make"]


def test_unlisted_service_is_masked_and_sshd_is_not(applied: AppliedLayers) -> None:
    assert applied.run("systemctl is-enabled backdoor.service", ok=(1,)) == "masked\n"
    states = applied.run(
        "systemctl is-enabled sshd crond rsyslog auditd firewalld tuned", ok=(0, 1)
    )
    assert states.split() == ["enabled"] * 6


def test_only_listed_programs_keep_suid(applied: AppliedLayers) -> None:
    suid_files = set(applied.run("find / -xdev -type f -perm /6000").split())

    assert {"/usr/bin/sudo", "/usr/bin/su", "/usr/bin/passwd", "/usr/bin/chage"} <= suid_files
    assert not {"/usr/bin/rootid", "/usr/bin/chfn", "/usr/bin/chsh", "/usr/bin/expiry"} & suid_files
    assert applied.run("stat -c %a /usr/bin/rootid") == "755\n"


def test_compilers_are_removed(applied: AppliedLayers) -> None:
    assert applied.run("rpm -q make", ok=(1,)) == "package make is not installed\n"


def test_sysctl_and_modprobe_accept_settings(applied: AppliedLayers) -> None:
    net = applied.run(
        "sysctl --load=/etc/sysctl.d/95-hardpan-hardening.conf 2>/dev/null", (0, 1, 255)
    )
    assert "net.ipv4.tcp_rfc1337 = 1" in net
    assert applied.run("sysctl -n net.ipv4.conf.all.secure_redirects") == "0\n"
    assert "install dccp /bin/false" in applied.run("modprobe --showconfig | grep dccp")


def test_firewall_opens_listed_ports(applied: AppliedLayers) -> None:
    listing = applied.run("firewall-offline-cmd --list-all")

    assert " ports: 443/tcp\n" in listing
    assert " services: dhcpv6-client ssh\n" in listing
    applied.run("firewall-offline-cmd --check-config")


def test_tuned_uses_profile_and_keeps_stig_sysctls(applied: AppliedLayers) -> None:
    applied.run("systemctl restart tuned.service")

    assert "hardpan-inference" in applied.run("tuned-adm active")
    assert "transparent_hugepages=madvise" in applied.run("cat /etc/tuned/profiles/*/tuned.conf")
    assert "reapply_sysctl = 1" in applied.run("cat /etc/tuned/tuned-main.conf").splitlines()


def test_only_model_server_has_unlimited_memlock(applied: AppliedLayers) -> None:
    (applied.host.root / "etc/systemd/system/hardpan-llm.service").write_text(UNIT)
    applied.run("systemctl daemon-reload")

    assert applied.run("systemctl show -P LimitMEMLOCK hardpan-llm.service") == "infinity\n"
    assert applied.run("systemctl show -P LimitMEMLOCK crond.service") != "infinity\n"


def test_audit_rules_merge_with_stig_rules(
    applied: AppliedLayers,
) -> None:
    rules = applied.host.root / "etc/audit/rules.d"
    (rules / "50-hardpan-stig.rules").write_text("-a always,exit -F path=/etc/group -F perm=wa\n")
    (rules / "immutable.rules").write_text("-e 2\n")
    applied.run("augenrules", ok=(0, 1))
    lines = applied.run("cat /etc/audit/audit.rules").splitlines()

    assert lines[1:4] == ["-D", "-b 16384", "-f 1"]
    assert lines[-1] == "-e 2"
    assert [x for x in lines if "key=ai_models" in x] == [
        f"-a always,exit -F arch={arch} -F dir=/opt/ai/models -F perm=wa -F key=ai_models"
        for arch in ("b64", "b32")
    ]
    assert not [x for x in lines if "ai_gpu" in x]


def test_rsyslog_accepts_forwarding_configuration(applied: AppliedLayers) -> None:
    stderr = applied.host.run("rsyslogd -N1").stderr

    assert "error" not in stderr.lower()
    assert "active = yes" in applied.run("cat /etc/audit/plugins.d/syslog.conf").splitlines()


def test_changed_model_file_is_logged_as_critical(applied: AppliedLayers) -> None:
    model = applied.host.root / "opt/ai/models/tiny"
    model.mkdir()
    (model / "m.safetensors").write_bytes(weights())
    lock = {"files": {"m.safetensors": sha256_bytes(weights())}}
    (model / "models.lock").write_text(json.dumps(lock))
    applied.run("systemctl start hardpan-models-check.service")
    (model / "m.safetensors").write_bytes(weights()[:-1] + b"\1")

    applied.run("systemctl start hardpan-models-check.service", ok=(1,))

    log = applied.run("journalctl -q -p crit -u hardpan-models-check.service -o cat")
    assert log == (
        "hardpan models-check: tiny: m.safetensors: is not the file that models.lock names\n"
    )
    timer = "systemctl is-enabled hardpan-models-check.timer"
    assert applied.run(timer) == "enabled\n"


def test_scan_checks_of_layers_pass(applied: AppliedLayers) -> None:
    # As the next start would.
    applied.run("systemctl restart tuned.service; systemctl start hardpan-models-check.timer")
    applied.run(f"mkdir -p /usr/lib/hardpan; echo {{}} > {BUILD_RECORD}")  # as the kickstart does
    with connect(applied.host.target, timeout_s=30) as connection:
        task = CollectTask(expected=build_expected_state(applied.profile))
        checks = HostFacts().collect(connection, task, timeout_s=120, emit=discard).checks

    outcome = {c.name.removeprefix("hardpan-check-"): c.outcome for c in checks}
    assert outcome["suid-programs"] == "passed"
    assert outcome["tuned-profile"] == "passed"
    assert outcome["service-enabled.hardpan-models-check.timer"] == "passed"
    assert outcome["layer-sysctl.net.ipv4.conf.all.secure_redirects"] == "passed"
    assert "layer-sysctl.kernel.io_uring_disabled" in outcome


def weights() -> bytes:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + bytes(4)
