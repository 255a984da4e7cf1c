"""What the builder tells the roles kernel_hardening, tuning and audit to do."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from hardpan.builder.layers import audit, kernel_hardening, tuning
from hardpan.profiles import surface
from hardpan.profiles.audit import Audit, LogHost
from hardpan.profiles.hardware import Hardware
from hardpan.profiles.kernel_hardening import KernelHardening, SysctlLeft
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.sysctls import SYSCTLS
from hardpan.profiles.tuning import GpuPolicy, Tuning


def of(**changed: object) -> Profile:
    return load("lab-stig").model_copy(update=changed)


def planned(plan: Callable[[Profile], object], **changed: object) -> dict[str, Any]:
    return cast(dict[str, Any], plan(of(**changed)))


def hardware(vendor: str) -> Hardware:
    return Hardware.model_construct(accelerator=vendor)


def test_every_setting_goes_over_with_its_reason_but_those_left_out() -> None:
    left = SysctlLeft(name="kernel.sysrq", reason="The site needs it.")
    section = KernelHardening(sysctls_left=(left,))

    made = planned(kernel_hardening.plan, kernel_hardening=section)["sysctls"]

    assert len(made) == len(SYSCTLS) - 1
    assert ["fs.protected_fifos", "2"] in [row[:2] for row in made]
    assert "kernel.sysrq" not in [row[0] for row in made]
    assert all(len(row[2]) > 20 for row in made)


def test_what_the_profile_enables_is_on_the_list_of_services() -> None:
    section = KernelHardening(services=("site-agent", "backup.timer"))

    made = planned(kernel_hardening.plan, kernel_hardening=section)["services"]

    assert {"auditd.service", "site-agent.service", "backup.timer"} <= set(made)


def test_a_needed_compiler_is_left_alone() -> None:
    assert "gcc" in planned(kernel_hardening.plan)["compilers"]
    section = KernelHardening(compiler="needed", compiler_reason="Triton compiles.")
    assert planned(kernel_hardening.plan, kernel_hardening=section)["compilers"] == []


@pytest.mark.parametrize("name", ["sudo", "su", "passwd", "chage", "crontab"])
def test_no_profile_can_take_the_way_to_root_away(name: str) -> None:
    assert f"/usr/bin/{name}" in surface.SUID
    assert {"sshd.service", "systemd-*", "NetworkManager.service"} <= set(surface.SERVICES)


def test_our_settings_and_modules_are_not_those_of_the_stig() -> None:
    stig = {"kernel.kptr_restrict", "kernel.yama.ptrace_scope", "net.core.bpf_jit_harden"}
    modules = [m for names in surface.MODULES.values() for m in names]

    assert not stig & {s.name for s in SYSCTLS}
    assert len(modules) == len(set(modules))
    assert not {"usb-storage", "sctp", "tipc", "can", "bluetooth"} & set(modules)


def test_the_tuned_profile_says_what_the_section_says() -> None:
    text = tuning.tuned_profile(Tuning(purpose="training", hugepages_2m=4))

    assert "include=accelerator-performance\n" in text
    assert "[sysctl]\nkernel.numa_balancing=0\nvm.zone_reclaim_mode=0\nvm.nr_hugepages=4\n" in text
    assert "[vm]\ntransparent_hugepages=always\n" in text
    assert "mitigations" not in text


def test_without_a_daemon_the_same_values_are_set_by_systemd() -> None:
    made = planned(tuning.plan, tuning=Tuning(manager="static"))

    assert made["sysctl"].startswith("kernel.numa_balancing = 0\nvm.zone_reclaim_mode = 0\n")
    assert "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise\n" in made["tmpfiles"]
    assert made["memlock_units"] == ["hardpan-llm.service"]
    assert made["gpu_unit"] == ""


def test_each_vendor_gets_its_own_tool_for_power() -> None:
    gpu = GpuPolicy(power_limit_w=400, clock_mhz=1500)

    nvidia, amd = (tuning.gpu_unit(gpu, v) for v in ("nvidia", "amd"))

    assert "ExecStart=/usr/bin/nvidia-smi --power-limit=400\n" in nvidia
    assert "ExecStart=/usr/bin/nvidia-smi --lock-gpu-clocks=1500,1500\n" in nvidia
    assert "ConditionPathExists=/dev/kfd\n" in amd
    assert "--power-cap 400\n" in amd
    only = tuning.gpu_unit(GpuPolicy(power_limit_w=400), "nvidia")
    assert only.count("ExecStart=") == 1


@pytest.mark.parametrize(
    ("accelerator", "devices"),
    [
        ("cpu", []),
        ("nvidia", ["devmajor=195", "path=/dev/nvidia-uvm"]),
        ("amd", ["devmajor=226", "path=/dev/kfd"]),
    ],
)
def test_only_the_accelerator_that_is_there_is_watched(
    accelerator: str, devices: list[str]
) -> None:
    lines = [x for x in audit.rules(accelerator).splitlines() if "ai_gpu" in x]

    assert [x for x in lines if "arch=b64" in x] == [
        f"-a always,exit -F arch=b64 -S open,openat,openat2 -F {d} -F key=ai_gpu" for d in devices
    ]
    assert len(lines) == 2 * len(devices)


def test_no_line_of_ours_is_deleted_by_the_stigs_last_fix() -> None:
    # It deletes every line with '-e ' in all rules files before it adds its own '-e 2'.
    made = planned(audit.plan, hardware=hardware("nvidia"), audit=Audit(backlog=32768))

    assert "-e " not in made["rules"] + made["backlog"]
    assert "-b 32768\n" in made["backlog"]


def test_logs_go_to_the_named_host_only_and_in_the_contents_own_form() -> None:
    host = LogHost.model_construct(
        host="logs.example", port=6514, permitted_peer="peer.example", ca_certificate="PEM"
    )

    text = audit.forward(host, "gtls")

    assert '\n*.*\naction(type="omfwd" target="logs.example" port="6514"' in text
    assert 'StreamDriverPermittedPeers="peer.example"' in text
    assert 'StreamDriverMode="1" StreamDriverAuthMode="x509/name"' in text
    assert (
        audit.forward(host.model_copy(update={"permitted_peer": None}), "ossl").count("logs.ex")
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
def test_the_contents_checks_recognise_the_block(pattern: str) -> None:
    host = LogHost.model_construct(host="logs.example", port=6514, permitted_peer=None)

    assert re.search(pattern, audit.forward(host, "gtls"), re.MULTILINE | re.DOTALL | re.IGNORECASE)


def test_without_a_log_host_nothing_is_shipped() -> None:
    made = planned(audit.plan)

    assert (made["forward"], made["authority"]) == ("", "")
    assert "OnCalendar=daily\n" in made["units"]["hardpan-models-check.timer"]
