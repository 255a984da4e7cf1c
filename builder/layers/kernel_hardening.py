"""The layer ``kernel_hardening``: kernel settings, and lists of what may be reached."""

from collections.abc import Mapping

from hardpan.builder.layers.task import LayerTask
from hardpan.builder.receipts import LayerResult
from hardpan.profiles import surface
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.model import Profile
from hardpan.profiles.sysctls import SYSCTLS


def apply(task: LayerTask) -> LayerResult:
    """Hold the machine to the profile's lists; its kernel arguments came with the install."""
    return task.run(role_variables(task.profile))


def role_variables(profile: Profile) -> Mapping[str, object]:
    """What the role is given."""
    return {"kernel_hardening_plan": make_plan(profile)}


def make_plan(profile: Profile) -> Mapping[str, object]:
    """What the role does, as data."""
    section = profile.kernel_hardening or KernelHardening()
    excluded = {s.name for s in section.sysctls_left}
    removed = section.compiler == "removed"
    return {
        "sysctls": [[s.name, s.value, s.reason] for s in SYSCTLS if s.name not in excluded],
        "modules": [[reason, list(names)] for reason, names in surface.FORBIDDEN_MODULES.items()],
        "ports": list(section.ports),
        "services": list(surface.allowed_services(section.services, profile.services.enabled)),
        "suid": [*surface.ALLOWED_SUID, *section.suid],
        "compilers": list(surface.COMPILERS) if removed else [],
        "build_tools": list(surface.BUILD_TOOLS),
        "not_compilers": list(surface.ALLOWED_COMPILER_PACKAGES),
    }
