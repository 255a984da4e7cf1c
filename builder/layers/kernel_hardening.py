"""Layer ``kernel_hardening``: kernel settings beyond the STIG, and allowlists."""

from collections.abc import Mapping

from hardpan.builder.layers.base import Layer, LayerPreparation, PreparedLayer
from hardpan.profiles.schema import allowlists
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.sysctls import SYSCTLS


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Return the plan."""
    return PreparedLayer(variables=role_variables(preparation.profile))


def role_variables(profile: Profile) -> Mapping[str, object]:
    """Return the role's variables."""
    return {"kernel_hardening_plan": make_plan(profile)}


def make_plan(profile: Profile) -> Mapping[str, object]:
    """Return the plan that the role carries out."""
    section = profile.kernel_hardening or KernelHardening()
    excluded = {s.name for s in section.sysctl_exceptions}
    removed = section.compiler == "removed"
    return {
        "sysctls": [[s.name, s.value, s.reason] for s in SYSCTLS if s.name not in excluded],
        "modules": [
            [reason, list(names)] for reason, names in allowlists.FORBIDDEN_MODULES.items()
        ],
        "ports": list(section.ports),
        "services": list(allowlists.allowed_services(section.services, profile.services.enabled)),
        "suid": [*allowlists.ALLOWED_SUID, *section.suid],
        "compilers": list(allowlists.COMPILERS) if removed else [],
        "build_tools": list(allowlists.BUILD_TOOLS),
        "kept_packages": list(allowlists.ALLOWED_COMPILER_PACKAGES),
    }


def describe_lockdown(profile: Profile) -> str:
    """Return the kernel arguments that the section adds."""
    arguments = (profile.kernel_hardening or KernelHardening()).kernel_arguments
    return ", ".join(arguments) or "no lock-down, unsigned modules"


KERNEL_HARDENING = Layer(
    name="kernel_hardening",
    section="kernel_hardening",
    summary="sets what the STIG does not; allowlists for ports, units and SUID files",
    details=describe_lockdown,
    prepare=prepare,
    planned_variables=role_variables,
)
