"""The layer ``kernel_hardening``: kernel settings, and lists of what may be reached."""

from collections.abc import Mapping

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask
from hardpan.profiles.schema import allowlists
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.sysctls import SYSCTLS


def apply(task: LayerTask) -> LayerResult:
    """Hold the machine to the profile's lists; its kernel arguments came with the install."""
    return task.run(role_variables(task.profile))


def role_variables(profile: Profile) -> Mapping[str, object]:
    """What the role is given."""
    return {"kernel_hardening_plan": make_plan(profile)}


def make_plan(profile: Profile) -> Mapping[str, object]:
    """What the role does, as data."""
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
