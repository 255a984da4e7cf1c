"""Parts of the collectors' task that a hardpan profile defines."""

from collections.abc import Mapping
from dataclasses import replace

from hardpan.profiles.schema import allowlists
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile, SmokeSettings
from hardpan.profiles.schema.sysctls import SYSCTLS
from hardpan.profiles.schema.tuning import Tuning
from hardpan.scanners.collect.base import (
    ExpectedState,
    InferenceServer,
    WorkloadSettings,
)

_HTTPS = 443
_VLLM_BACKENDS = {"nvidia": "cuda", "amd": "rocm"}
"""Accelerator -> the backend of vLLM on it."""


def build_expected_state(profile: Profile) -> ExpectedState:
    """Return the state of a running system that the profile requires."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    mounts = {p.mount: p.options for p in profile.storage.partitions if p.mount.startswith("/")}
    state = ExpectedState(
        mounts={
            **{m: tuple(o for o in options if "=" not in o) for m, options in mounts.items()},
            "/dev/shm": ("nodev", "nosuid", "noexec"),  # noqa: S108
        },
        kernel_arguments=profile.kernel_arguments,
        fips=profile.fips,
        boot_superuser=profile.boot.superuser,
        build_user=profile.build_user if profile.build_user_has_key else "",
        sudo_nopasswd=user.sudo == "nopasswd",
        enabled=profile.services.enabled,
        disabled=profile.services.disabled,
        packages=tuple(p for p in profile.install_packages if not p.startswith("@")),
        absent_packages=profile.packages.remove,
        time_servers=profile.system.ntp_servers,
        ai_python=profile.ai_python,
    )
    return add_layer_expectations(state, profile)


def build_workload_settings(settings: SmokeSettings, *, python: str = "") -> WorkloadSettings:
    """Return the sizes of the smoke test; ``python`` is the target's Python for AI, if any."""
    return WorkloadSettings(
        matrix_size=settings.matrix_size,
        matrix_rounds=settings.matrix_rounds,
        batch=settings.batch,
        batch_rounds=settings.batch_rounds,
        python=python or "/usr/bin/python3",
    )


def find_inference_server(profile: Profile) -> InferenceServer | None:
    """Return the profile's inference server; None without the layer ``ai_service``."""
    section = profile.ai_service
    if section is None or "ai_service" not in profile.layers:
        return None
    certificate = section.certificate
    is_vllm = section.server.engine == "vllm"
    return InferenceServer(
        engine=section.server.engine,
        backend=_VLLM_BACKENDS[profile.hardware.accelerator] if is_vllm else "cpu",
        model=section.server.model,
        model_file=section.server.weights,
        cafile=certificate.certificate_file if certificate else "/etc/pki/hardpan/tls.crt",
        host=section.host_name if certificate else "localhost",
    )


def add_layer_expectations(expected: ExpectedState, profile: Profile) -> ExpectedState:
    """Add what the layers of drivers, kernel_hardening, tuning, ai_service and audit require."""
    state = expected
    section = profile.kernel_hardening or KernelHardening()
    if "kernel_hardening" in profile.layers:
        state = replace(
            state,
            ports=section.ports,
            suid=(*allowlists.ALLOWED_SUID, *section.suid),
            sysctls={**state.sysctls, **_list_sysctls(section)},
        )
    if {"nvidia_driver", "amd_driver", "kernel_hardening"} & set(profile.layers):
        state = replace(state, forbids_build_tools=section.compiler == "removed")
    if "ai_service" in profile.layers:
        state = replace(state, ports=tuple(sorted({*state.ports, _HTTPS})))
    if "tuning" in profile.layers:
        tuning = profile.tuning or Tuning()
        state = replace(
            state,
            sysctls={**state.sysctls, **tuning.sysctls},
            transparent_hugepages=tuning.hugepages,
            tuned_profile=tuning.name if tuning.manager == "tuned" else "",
        )
    if "audit" in profile.layers:
        state = replace(state, enabled=(*state.enabled, "hardpan-models-check.timer"))
    return state


def _list_sysctls(section: KernelHardening) -> Mapping[str, str]:
    excluded = {s.name for s in section.sysctl_exceptions}
    return {s.name: s.value for s in SYSCTLS if s.name not in excluded}
