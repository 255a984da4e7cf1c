"""What the layers of a profile make a running system show, beside the profile's own words."""

from collections.abc import Mapping
from dataclasses import replace

from hardpan.profiles import surface
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.model import Profile
from hardpan.profiles.sysctls import SYSCTLS
from hardpan.profiles.tuning import Tuning
from hardpan.scanners.collect.base import Expected

_HTTPS = 443


def with_layers(expected: Expected, profile: Profile) -> Expected:
    """``expected`` and what kernel_hardening, tuning and audit add to it, where they are listed."""
    made = expected
    if "kernel_hardening" in profile.layers:
        section = profile.kernel_hardening or KernelHardening()
        made = replace(
            made,
            ports=section.ports,
            suid=(*surface.SUID, *section.suid),
            sysctls={**made.sysctls, **_settings(section)},
        )
    if "sovereign_stack" in profile.layers:
        made = replace(made, ports=tuple(sorted({*made.ports, _HTTPS})))
    if "tuning" in profile.layers:
        tuning = profile.tuning or Tuning()
        made = replace(
            made,
            sysctls={**made.sysctls, **tuning.sysctls},
            transparent_hugepages=tuning.hugepages,
            tuned_profile=tuning.name if tuning.manager == "tuned" else "",
        )
    if "audit" in profile.layers:
        made = replace(made, enabled=(*made.enabled, "hardpan-models-check.timer"))
    return made


def _settings(section: KernelHardening) -> Mapping[str, str]:
    left = {s.name for s in section.sysctls_left}
    return {s.name: s.value for s in SYSCTLS if s.name not in left}
