"""What the builder tells the roles kernel_hardening, tuning and audit to do."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from hardpan.builder.layers import audit, kernel_hardening, tuning
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema import allowlists
from hardpan.profiles.schema.audit import Audit, LogHost
from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.kernel_hardening import KernelHardening, SysctlException
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.sysctls import SYSCTLS
from hardpan.profiles.schema.tuning import GpuPolicy, Tuning


def lab_profile(**updates: object) -> Profile:
    return load_profile("lab-stig").model_copy(update=updates)


def plan_for(plan: Callable[[Profile], object], **updates: object) -> dict[str, Any]:
    return cast(dict[str, Any], plan(lab_profile(**updates)))


def hardware(vendor: str) -> Hardware:
    return Hardware.model_construct(accelerator=vendor)


def test_sysctls_include_reasons_and_omit_exceptions() -> None:
    exception = SysctlException(name="kernel.sysrq", reason="The site needs it.")
    section = KernelHardening(sysctl_exceptions=(exception,))

    settings = plan_for(kernel_hardening.make_plan, kernel_hardening=section)["sysctls"]

    assert len(settings) == len(SYSCTLS) - 1
    assert ["fs.protected_fifos", "2"] in [row[:2] for row in settings]
    assert "kernel.sysrq" not in [row[0] for row in settings]
    assert all(len(row[2]) > 20 for row in settings)


def test_enabled_services_are_allowlisted() -> None:
    section = KernelHardening(services=("site-agent", "backup.timer"))

    services = plan_for(kernel_hardening.make_plan, kernel_hardening=section)["services"]

    assert {"auditd.service", "site-agent.service", "backup.timer"} <= set(services)


def test_required_compiler_is_not_removed() -> None:
    assert "gcc" in plan_for(kernel_hardening.make_plan)["compilers"]
    section = KernelHardening(compiler="required", compiler_reason="Triton compiles.")
    assert plan_for(kernel_hardening.make_plan, kernel_hardening=section)["compilers"] == []


@pytest.mark.parametrize("name", ["sudo", "su", "passwd", "chage", "crontab"])
def test_allowlist_keeps_privilege_escalation_tools(name: str) -> None:
    assert f"/usr/bin/{name}" in allowlists.ALLOWED_SUID
    assert {"sshd.service", "systemd-*", "NetworkManager.service"} <= set(
        allowlists.ALLOWED_SERVICES
    )


def test_kernel_hardening_does_not_overlap_stig() -> None:
    stig = {"kernel.kptr_restrict", "kernel.yama.ptrace_scope", "net.core.bpf_jit_harden"}
    modules = [m for names in allowlists.FORBIDDEN_MODULES.values() for m in names]

    assert not stig & {s.name for s in SYSCTLS}
    assert len(modules) == len(set(modules))
    assert not {"usb-storage", "sctp", "tipc", "can", "bluetooth"} & set(modules)


def test_tuned_profile_reflects_section() -> None:
    text = tuning.render_tuned_profile(Tuning(purpose="training", hugepages_2m=4))

    assert "include=accelerator-performance\n" in text
    assert "[sysctl]\nkernel.numa_balancing=0\nvm.zone_reclaim_mode=0\nvm.nr_hugepages=4\n" in text
    assert "[vm]\ntransparent_hugepages=always\n" in text
    assert "mitigations" not in text


def test_static_manager_uses_sysctl_and_tmpfiles() -> None:
    plan = plan_for(tuning.make_plan, tuning=Tuning(manager="static"))

    assert plan["sysctl"].startswith("kernel.numa_balancing = 0\nvm.zone_reclaim_mode = 0\n")
    assert "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise\n" in plan["tmpfiles"]
    assert plan["memlock_units"] == ["hardpan-llm.service"]
    assert plan["gpu_unit"] == ""


def test_gpu_unit_uses_vendor_tool() -> None:
    gpu = GpuPolicy(power_limit_w=400, clock_mhz=1500)

    nvidia, amd = (tuning.render_gpu_unit(gpu, v) for v in ("nvidia", "amd"))

    assert "ExecStart=/usr/bin/nvidia-smi --power-limit=400\n" in nvidia
    assert "ExecStart=/usr/bin/nvidia-smi --lock-gpu-clocks=1500,1500\n" in nvidia
    assert "ConditionPathExists=/dev/kfd\n" in amd
    assert "--power-cap 400\n" in amd
    only = tuning.render_gpu_unit(GpuPolicy(power_limit_w=400), "nvidia")
    assert only.count("ExecStart=") == 1


@pytest.mark.parametrize(
    ("accelerator", "devices"),
    [
        ("cpu", []),
        ("nvidia", ["devmajor=195", "path=/dev/nvidia-uvm"]),
        ("amd", ["devmajor=226", "path=/dev/kfd"]),
    ],
)
def test_audit_rules_cover_profile_accelerator_only(accelerator: str, devices: list[str]) -> None:
    lines = [x for x in audit.render_rules(accelerator).splitlines() if "ai_gpu" in x]

    assert [x for x in lines if "arch=b64" in x] == [
        f"-a always,exit -F arch=b64 -S open,openat,openat2 -F {d} -F key=ai_gpu" for d in devices
    ]
    assert len(lines) == 2 * len(devices)


def test_audit_rules_survive_stig_immutable_fix() -> None:
    # It deletes every line with '-e ' in all rules files before it adds its own '-e 2'.
    plan = plan_for(audit.make_plan, hardware=hardware("nvidia"), audit=Audit(backlog=32768))

    assert "-e " not in plan["rules"] + plan["backlog"]
    assert "-b 32768\n" in plan["backlog"]


def test_forwarding_targets_configured_log_host() -> None:
    host = LogHost.model_construct(
        host="logs.example", port=6514, permitted_peer="peer.example", ca_certificate="PEM"
    )

    text = audit.render_forwarding(host, "gtls")

    assert '\n*.*\naction(type="omfwd" target="logs.example" port="6514"' in text
    assert 'StreamDriverPermittedPeers="peer.example"' in text
    assert 'StreamDriverMode="1" StreamDriverAuthMode="x509/name"' in text
    assert (
        audit.render_forwarding(host.model_copy(update={"permitted_peer": None}), "ossl").count(
            "logs.ex"
        )
        == 2
    )


@pytest.mark.parametrize(
    "pattern",
    [
        # The content's own, of rsyslog_remote_loghost and of the three about encryption.
        r"^\s*\*\.\*\s+action\(\s*.*\btype\b=\"omfwd\"\s*.*\btarget\b=\"\S+\"\s*.*\)\s*$",
        r"^\s*action\(.*\btype\b=\"omfwd\".*\bStreamDriverMode\b=\"1\".*\)\s*$",
        r"^\s*action\(.*\btype\b=\"omfwd\".*\bStreamDriverAuthMode\b=\"x509/name\".*\)\s*$",
        r"^\s*global\(.*\bDefaultNetStreamDriver\b=\"gtls\".*\)\s*$",
        r"^\s*action\(type=\"omfwd\"(.+?)\)",
    ],
)
def test_forwarding_block_matches_stig_checks(pattern: str) -> None:
    host = LogHost.model_construct(host="logs.example", port=6514, permitted_peer=None)

    assert re.search(
        pattern, audit.render_forwarding(host, "gtls"), re.MULTILINE | re.DOTALL | re.IGNORECASE
    )


def test_no_forwarding_without_log_host() -> None:
    plan = plan_for(audit.make_plan)

    assert (plan["forward"], plan["authority"]) == ("", "")
    assert "OnCalendar=daily\n" in plan["units"]["hardpan-models-check.timer"]
