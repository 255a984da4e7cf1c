"""The state of a running system that the layers of a profile require."""

from collections.abc import Mapping
from dataclasses import replace

from hardpan.profiles.schema import allowlists
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.sysctls import SYSCTLS
from hardpan.profiles.schema.tuning import Tuning
from hardpan.scanners.collect.base import ExpectedState

_HTTPS = 443


def add_layer_expectations(expected: ExpectedState, profile: Profile) -> ExpectedState:
    """Add what the layers kernel_hardening, tuning, ai_service and audit require."""
    state = expected
    if "kernel_hardening" in profile.layers:
        section = profile.kernel_hardening or KernelHardening()
        state = replace(
            state,
            ports=section.ports,
            suid=(*allowlists.ALLOWED_SUID, *section.suid),
            sysctls={**state.sysctls, **_list_sysctls(section)},
        )
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
