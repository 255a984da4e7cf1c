"""The layer ``kernel_hardening``: kernel settings, and lists of what may be reached."""

from collections.abc import Mapping

from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt
from hardpan.profiles import surface
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.model import Profile
from hardpan.profiles.sysctls import SYSCTLS


def put(task: Task) -> LayerReceipt:
    """Hold the machine to the profile's lists; its kernel arguments came with the install."""
    return task.run(variables(task.profile))


def variables(profile: Profile) -> Mapping[str, object]:
    """What the role is given."""
    return {"kernel_hardening_plan": plan(profile)}


def plan(profile: Profile) -> Mapping[str, object]:
    """What the role does, as data."""
    section = profile.kernel_hardening or KernelHardening()
    left = {s.name for s in section.sysctls_left}
    removed = section.compiler == "removed"
    return {
        "sysctls": [[s.name, s.value, s.reason] for s in SYSCTLS if s.name not in left],
        "modules": [[reason, list(names)] for reason, names in surface.MODULES.items()],
        "ports": list(section.ports),
        "services": list(surface.services(section.services, profile.services.enabled)),
        "suid": [*surface.SUID, *section.suid],
        "compilers": list(surface.COMPILERS) if removed else [],
        "build_tools": list(surface.BUILD_TOOLS),
        "not_compilers": list(surface.KEPT_COMPILERS),
    }
