"""The sections of the layers kernel_hardening, tuning and audit: what they mean and refuse."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.public_keys import validate_certificates
from hardpan.profiles.schema.tuning import Tuning

Write = Callable[[str | bytes], Path]

_DER = b"\x30\x82\x00\xc8" + bytes(200)
PEM = (
    "-----BEGIN CERTIFICATE-----\n"
    + base64.encodebytes(_DER).decode()
    + "-----END CERTIFICATE-----\n"
)
ALL_LAYERS = "layers: [kernel_hardening, tuning, audit, stig]\n"
TUNED_WAIVER = (
    "    - {rule: package_tuned_removed, reason: A test., owner: me, expires: 2027-11-30}\n"
)
NVIDIA = (
    "{accelerator: nvidia, nvidia: {branch: '580', driver: 580.178.04, cuda: '13.3',"
    " module_signing: secure_boot_off, secure_boot_off_reason: A test.}}"
)
AMD = (
    "{accelerator: amd, amd: {rocm: '7.0', driver: 30.10.1, gfx_target: gfx942,"
    " vendor_support: listed}}"
)


@pytest.fixture
def layers_profile(good: str) -> str:
    """A good profile with all three layers and the waiver that tuned needs."""
    return good.replace("layers: [stig]\n", TUNED_WAIVER + ALL_LAYERS)


def with_log_host(pem: str = PEM, extra_lines: str = "") -> str:
    block = "".join(f"      {line}\n" for line in pem.splitlines())
    return (
        f"audit:\n  log_host:\n    host: logs.example\n{extra_lines}    ca_certificate: |\n{block}"
    )


INVALID_SECTIONS = [
    # kernel_hardening.
    ("kernel_hardening: {lockdown: full}", "lockdown: expected none, integrity or confidentiality"),
    ("kernel_hardening: {lockdwon: none}", "kernel_hardening.lockdwon: unknown setting"),
    ("kernel_hardening: {lockdown: none}", "expected weakening_reason with 'lockdown: none'"),
    (
        "kernel_hardening: {module_signatures: not_enforced, weakening_reason: A test.}",
        "module_signatures: expected enforced with 'lockdown: integrity', which loads no unsigned",
    ),
    (
        "kernel_hardening: {compiler: required}",
        "expected compiler_reason with 'compiler: required'",
    ),
    ("kernel_hardening: {ports: [443]}", "kernel_hardening.ports: expected 22 among them"),
    ("kernel_hardening: {ports: [22, 0]}", "kernel_hardening.ports[1]: expected 1 or more"),
    ("kernel_hardening: {ports: [22, 70000]}", "kernel_hardening.ports[1]: expected 65535 or less"),
    ("kernel_hardening: {suid: [/usr/bin/../sh]}", "expected a path below /usr or /opt, got"),
    ("kernel_hardening: {suid: [/home/x/sh]}", "expected a path below /usr or /opt, got"),
    ("kernel_hardening: {services: ['a b']}", "expected a systemd unit name, e.g. auditd, got"),
    (
        "kernel_hardening: {sysctl_exceptions: [{name: kernel.sysrqq, reason: A test.}]}",
        "sysctl_exceptions[0].name: expected a setting listed in docs/host-hardening.md, got",
    ),
    (
        "kernel_hardening: {sysctl_exceptions: [{name: kernel.sysrq}]}",
        "kernel_hardening.sysctl_exceptions[0].reason: is missing",
    ),
    (
        "kernel_hardening: {sysctl_exceptions: [{name: 'kernel.sysrq=1', reason: A test.}]}",
        "expected a kernel setting, e.g. kernel.io_uring_disabled, got 'kernel.sysrq=1'",
    ),
    # tuning.
    ("tuning: {mitigations: off}", "lets one process read another's memory"),
    ("tuning: {mitigations: 'off'}", "tuning.mitigations: expected auto or auto,nosmt: without"),
    ("tuning: {mitigations: none}", "tuning.mitigations: expected auto or auto,nosmt, got"),
    ("tuning: {purpose: gaming}", "tuning.purpose: expected inference or training, got 'gaming'"),
    ("tuning: {hugepages_2m: -1}", "tuning.hugepages_2m: expected 0 or more, got -1"),
    ("tuning: {hugepages_2m: 1025}", "expected at most half of machine.memory (4096 MiB)"),
    ("tuning: {gpu: {power_limit_w: 300}}", "tuning.gpu: expected 'accelerator: nvidia or amd'"),
    ("tuning: {gpu: {power_limit_w: 20}}", "tuning.gpu.power_limit_w: expected 50 or more"),
    ("tuning: {gpu: {}}", "tuning.gpu: expected power_limit_w or clock_mhz, got neither"),
    ("tuning: {memlock_units: ['x;y']}", "expected a systemd unit name, e.g. auditd, got 'x;y'"),
    # audit.
    ("audit: {backlog: 64}", "audit.backlog: expected 8192 or more, got 64"),
    ("audit: {check_models: never}", "audit.check_models: expected hourly, daily or weekly"),
    ("audit: {log_host: {host: logs}}", "audit.log_host.ca_certificate: is missing"),
    (with_log_host().replace("logs.example", "logs example"), "host: expected a host name of"),
    (with_log_host("no certificate"), "expected certificates in PEM, each from BEGIN to END"),
    (
        with_log_host(extra_lines="    driver: ossl\n"),
        "expected gtls: the RHEL 9 STIG accepts no other",
    ),
    (with_log_host(extra_lines="    driver: tls\n"), "driver: expected gtls or ossl, got 'tls'"),
]


@pytest.mark.parametrize(("section", "problem"), INVALID_SECTIONS)
def test_invalid_setting_reports_location(
    profile_file: Write, layers_profile: str, section: str, problem: str
) -> None:
    path = profile_file(layers_profile + section + "\n")

    with pytest.raises(InputError) as caught:
        load_profile(path)

    assert problem in str(caught.value)
    assert all(line.startswith(f"{path}:") for line in str(caught.value).splitlines())


CONFLICTING_CHANGES = [
    (TUNED_WAIVER, "", "expected a waiver for package_tuned_removed with the layer tuning"),
    ("[audit=1", "[lockdown=none", "lockdown= is set by the section kernel_hardening"),
    ("[audit=1", "[iommu=pt", "iommu= is set by the section tuning, got 'iommu=pt' here"),
    ("{accelerator: none}", NVIDIA, "the kernel would refuse modules whose certificate is not"),
    (
        ALL_LAYERS,
        "layers: [stig]\ntuning: {}\n",
        "tuning: expected tuning among layers, without it this",
    ),
    (
        ALL_LAYERS,
        "layers: [stig]\naudit: {}\n",
        "audit: expected audit among layers, without it this",
    ),
    ("tuning, audit", "tuning, ai_service, audit", "kernel_hardening.ports: expected 443"),
    ("remove: [vsftpd]", "remove: [tuned]", "tuned is also installed by tuning"),
]


@pytest.mark.parametrize(("was", "now", "problem"), CONFLICTING_CHANGES)
def test_conflicting_sections_are_rejected(
    profile_file: Write, layers_profile: str, was: str, now: str, problem: str
) -> None:
    assert was in layers_profile

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(layers_profile.replace(was, now)))

    assert problem in str(caught.value)


def test_built_modules_are_signed_and_need_no_compiler(
    profile_file: Write, layers_profile: str
) -> None:
    text = layers_profile.replace("{accelerator: none}", AMD)
    text = text.replace("[kernel_hardening", "[amd_driver, kernel_hardening")

    profile = load_profile(profile_file(text))

    assert "module.sig_enforce=1" in profile.kernel_arguments
    assert (profile.kernel_hardening or KernelHardening()).compiler == "removed"


def test_layer_kernel_arguments_are_added_to_command_line(
    profile_file: Write, layers_profile: str
) -> None:
    section = "tuning: {platform: bare_metal, mitigations: 'auto,nosmt'}\n"

    arguments = load_profile(profile_file(layers_profile + section)).kernel_arguments

    assert arguments[-4:] == (
        "lockdown=integrity",
        "module.sig_enforce=1",
        "iommu=pt",
        "mitigations=auto,nosmt",
    )


def test_missing_layer_adds_no_kernel_arguments(profile_file: Write, good: str) -> None:
    assert load_profile(profile_file(good)).kernel_arguments[-1] == "vsyscall=none"


def test_static_tuning_requires_no_tuned_package_or_waiver(
    profile_file: Write, layers_profile: str
) -> None:
    text = layers_profile.replace(TUNED_WAIVER, "").replace("remove: [vsftpd]", "remove: [tuned]")

    static_profile = load_profile(profile_file(text + "tuning: {manager: static}\n"))

    assert "tuned" in load_profile(profile_file(layers_profile)).install_packages
    assert "tuned" not in static_profile.install_packages


def test_log_host_adds_tls_package_of_release(profile_file: Write, layers_profile: str) -> None:
    profile = load_profile(profile_file(layers_profile + with_log_host()))

    assert profile.audit is not None
    assert profile.install_packages[-1] == "rsyslog-gnutls"
    assert profile.audit.tls_driver("rocky10") == "ossl"


def test_purpose_sets_tuning_defaults() -> None:
    assert (Tuning().name, Tuning().hugepages) == ("hardpan-inference", "madvise")
    training = Tuning(purpose="training")
    assert (training.name, training.hugepages) == ("hardpan-training", "always")
    assert Tuning(purpose="training", transparent_hugepages="madvise").hugepages == "madvise"
    assert KernelHardening(lockdown="none", module_signatures="not_enforced").kernel_arguments == ()


def test_valid_certificates_are_unchanged() -> None:
    assert validate_certificates(PEM * 2) == PEM * 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected certificates in PEM"),
        (PEM.replace("CERTIFICATE", "PRIVATE KEY"), "expected certificates in PEM"),
        ("# ours\n" + PEM, "and nothing else"),
        (PEM + "x", "and nothing else"),
        (PEM.replace("MIIAyA", "MIIAy="), "cut or damaged"),
        (PEM.replace("MIIAyA", "AAAAyA"), "cut or something else"),
        (PEM.replace("AAAAAAAA\n", "AAAA\n", 1), "cut or something else"),
    ],
)
def test_invalid_certificate_is_rejected(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        validate_certificates(text)
