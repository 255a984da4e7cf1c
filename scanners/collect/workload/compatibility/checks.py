"""The control check and the workload check of each conflict."""

import json
import os
from typing import Callable, Dict, List, Optional, Tuple

from . import confinement, facts, host, kernel, rpm_packages
from .actions import check_perf_counter
from .session import ProbeSession
from .tools import (
    ProbeResult,
    combine,
    not_applicable,
    not_tested,
    read_int,
    satisfied_if,
    violated,
)

_STATE_FILE = "/run/hardpan-compatibility.json"
"""Number of denied packets from the probes since the counter was 0."""

CheckPair = Tuple[Callable[[], ProbeResult], Callable[[], ProbeResult]]


def build_checks(session: ProbeSession) -> Dict[str, CheckPair]:
    """Return conflict -> its control check and workload check."""
    return {
        "tmp-noexec": (
            lambda: combine(
                facts.check_noexec("/tmp"), facts.check_noexec("/var/tmp"), session.get_probe("tmp")
            ),
            lambda: session.get_probe("jit"),
        ),
        "home-noexec": (
            lambda: facts.check_noexec("/home"),
            lambda: combine(session.get_probe("home"), host.check_native_code_in_homes()),
        ),
        "shm-noexec": (lambda: facts.check_noexec("/dev/shm"), lambda: session.get_probe("shm")),
        "nfs-noexec": (
            host.check_nfs_noexec,
            lambda: combine(session.get_probe("started"), host.check_local_code()),
        ),
        "fapolicyd": (
            lambda: combine(host.check_fapolicyd(session.units), session.get_probe("canary")),
            lambda: session.combine_probes("torch", "jit"),
        ),
        "fapolicyd-default-deny": (host.check_fapolicyd_rules, lambda: session.get_probe("torch")),
        "fapolicyd-containers": (host.check_image_policy, host.check_container_engine),
        "no-compiler": (
            lambda: _require_compiler_absent(session.get_probe("compiler")),
            lambda: session.combine_probes("torch", "matmul", "jit"),
        ),
        "cuda-jit": (
            lambda: _require_gpu(host.check_fapolicyd(session.units)),
            lambda: _get_gpu_probe(session),
        ),
        "code-folders": (lambda: session.get_probe("code"), lambda: session.get_probe("packages")),
        "fips-md5": (
            lambda: combine(kernel.check_fips_mode(), session.get_probe("md5")),
            lambda: session.combine_probes("torch", "packages"),
        ),
        "fips-bundled-crypto": (
            lambda: combine(kernel.check_fips_mode(), _check_loopback_only()),
            facts.check_proxy,
        ),
        "fips-at-install": (
            lambda: combine(_check_fips_argument(), kernel.check_installer_fips_mode()),
            lambda: session.get_probe("matmul"),
        ),
        "user-namespaces": (
            host.check_user_namespaces,
            lambda: session.combine_probes("started", "matmul"),
        ),
        "ptrace-scope": (
            lambda: facts.check_sysctl("kernel.yama.ptrace_scope", ">=1"),
            lambda: session.get_probe("allreduce"),
        ),
        "memlock": (host.check_memlock_limits, lambda: session.get_probe("mlock")),
        "sandbox": (
            lambda: host.check_unit_exposure(session.list_loaded_units()),
            lambda: _check_units_health(session.list_loaded_units()),
        ),
        "selinux": (
            kernel.check_selinux,
            lambda: combine(
                session.combine_probes("torch", "jit"),
                kernel.check_selinux_denials(session.start_time),
            ),
        ),
        "secure-boot": (kernel.check_secure_boot, kernel.check_driver_signature),
        "kexec": (lambda: kernel.check_kexec(session.units), facts.check_kernel_log),
        "dmesg": (
            lambda: combine(
                facts.check_sysctl("kernel.dmesg_restrict", "=1"), session.get_probe("dmesg")
            ),
            lambda: (
                host.check_journal_access(session.user)
                if session.user
                else not_tested(session.failure_reason)
            ),
        ),
        "perf": (
            lambda: combine(
                facts.check_sysctl("kernel.perf_event_paranoid", ">=2"), session.get_probe("perf")
            ),
            check_perf_counter,
        ),
        "memory-poisoning": (kernel.check_memory_poisoning, lambda: session.get_probe("matmul")),
        "mitigations": (kernel.check_mitigations, lambda: session.get_probe("matmul")),
        "iommu": (kernel.check_iommu, lambda: _get_gpu_probe(session)),
        "usbguard": (
            lambda: host.check_usb(session.units)[0],
            lambda: host.check_usb(session.units)[1],
        ),
        "gpgcheck": (
            host.check_gpgcheck,
            lambda: combine(rpm_packages.check_dnf(), rpm_packages.check_package_signatures()),
        ),
        "crypto-policy": (host.check_crypto_policy, facts.check_proxy),
        "vendor-support": (host.check_release, lambda: session.get_probe("torch")),
        "subscription-manager": (rpm_packages.check_subscription_manager, rpm_packages.check_dnf),
        "firewalld": (facts.check_firewall, facts.check_proxy),
        "audit": (
            lambda: _check_audit(session.initial_audit),
            lambda: _check_audit(session.final_audit),
        ),
        "nouveau": (
            kernel.check_nouveau_absent,
            lambda: combine(kernel.check_nvidia_loaded(), _get_gpu_probe(session)),
        ),
        "egress": (
            lambda: _check_egress_counted(session),
            lambda: _check_no_service_egress(session),
        ),
    }


def _require_compiler_absent(result: ProbeResult) -> ProbeResult:
    return not_applicable(result[1]) if result[0] == "violated" else result


def _require_gpu(result: ProbeResult) -> ProbeResult:
    return result if facts.list_gpu_vendors() else not_applicable("no GPU on the PCI bus")


def _get_gpu_probe(session: ProbeSession) -> ProbeResult:
    if not facts.list_gpu_vendors():
        return not_applicable("no GPU on the PCI bus")
    return session.get_probe("gpu")


def _check_fips_argument() -> ProbeResult:
    is_present = "fips=1" in facts.read_kernel_arguments()
    return satisfied_if(
        is_present,
        "fips=1 is on the command line" if is_present else "no fips=1 on the command line",
    )


def _check_loopback_only() -> ProbeResult:
    listeners = facts.list_listeners(confinement.list_ai_uids())
    if not listeners:
        return not_tested("no AI service listens")
    return satisfied_if(
        all(x.startswith("local ") for x in listeners),
        f"AI services listen: {', '.join(listeners)}",
    )


def _check_units_health(units: List[str]) -> ProbeResult:
    if not units:
        return not_tested("no AI unit exists")
    return combine(*(facts.check_health(confinement.PORTS[u]) for u in units))


def _check_audit(status: Tuple[Optional[Dict[str, str]], str]) -> ProbeResult:
    state, reason = status
    if state is None:
        return not_tested(reason)
    is_enabled_without_loss = state["enabled"] in ("1", "2") and state["lost"] == "0"
    limit = state.get("backlog_limit", "?")
    return satisfied_if(
        is_enabled_without_loss,
        f"enabled {state['enabled']}, lost {state['lost']}, backlog_limit {limit}",
    )


def _check_egress_counted(session: ProbeSession) -> ProbeResult:
    """The table exists, and the probe's attempt was denied and counted."""
    initial_count, final_count = session.initial_denied[0], session.final_denied[0]
    if initial_count is None or final_count is None:
        return violated(session.initial_denied[1] or session.final_denied[1])
    attempt = session.get_probe("egress")
    if attempt[0] != "satisfied":
        return attempt
    _store_probe_packets(initial_count, final_count)
    return satisfied_if(
        final_count > initial_count,
        f"{attempt[1]}; counter 'denied' {initial_count} -> {final_count} packets",
    )


def _check_no_service_egress(session: ProbeSession) -> ProbeResult:
    """The packets counted before, without those of earlier probes, came from the services."""
    initial_count = session.initial_denied[0]
    if initial_count is None:
        return not_tested(session.initial_denied[1])
    service_packets = initial_count - _count_probe_packets(initial_count)
    return satisfied_if(
        service_packets == 0,
        f"{service_packets} packets of the services denied since the counter began",
    )


def _count_probe_packets(initial_count: int) -> int:
    """Return the probes' share of the counter; a lower counter was reset."""
    probe_packets = _PREVIOUS_PROBE_PACKETS
    return probe_packets if probe_packets <= initial_count else 0


def _store_probe_packets(initial_count: int, final_count: int) -> None:
    with open(_STATE_FILE, "w", encoding="ascii") as f:
        json.dump(_count_probe_packets(initial_count) + final_count - initial_count, f)


def _load_probe_packets() -> int:
    is_trusted_file = os.path.isfile(_STATE_FILE) and os.stat(_STATE_FILE).st_uid == 0
    return (read_int(_STATE_FILE) or 0) if is_trusted_file else 0


_PREVIOUS_PROBE_PACKETS = _load_probe_packets()
