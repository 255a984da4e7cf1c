"""What can be tried of the layers without a host.

Every role is read, and what it would be given is held against what it takes. What only
a run can know (archives, digests, a vendor's key) has a stand-in of the same type.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.builder.ansible.runner import argument_errors, check_syntax
from hardpan.builder.layers import (
    ai_service,
    audit,
    containers,
    kernel_hardening,
    ml_cpu,
    ml_frameworks,
    nvidia_driver,
    stig,
    tuning,
    vendor_packages,
)
from hardpan.core.errors import InputError, raise_if_any
from hardpan.core.files import Sha256
from hardpan.profiles.schema.profile import LayerName, Profile
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS

_PLACEHOLDER_PATH = Path("made-by-the-run")
_PLACEHOLDER_DIGEST = Sha256("0" * 64)
_PLACEHOLDER_FILES: Mapping[str, bytes | Path] = {"opt/ai/made-by-the-run": b""}


def validate_roles(profile: Profile) -> None:
    """Pass if Ansible can read the profile's roles and each takes what it would be given.

    Raises:
        ToolError: Ansible is missing, or a role cannot be read.
        InputError: a role does not take what it would be given.
    """
    values = role_variables(profile)
    shared_roles = ("vendor_packages",) if any(x in CATALOG_LAYERS for x in values) else ()
    with tempfile.TemporaryDirectory(prefix="hardpan-roles-") as temp_dir:
        workdir = Path(temp_dir)
        check_syntax([*values, *shared_roles], workdir)
        errors = argument_errors(values, workdir)
    raise_if_any([InputError(f"{profile.name}: layer {error}") for error in errors])


def role_variables(profile: Profile) -> dict[str, Mapping[str, object]]:
    """The profile's layers in order, each with what its role would be given."""
    return {
        layer: ROLE_VARIABLES[layer](profile) for layer in profile.layers if layer in ROLE_VARIABLES
    }


def _vendor_variables(
    layer: LayerName,
    extra_variables: Callable[[Profile], Mapping[str, object]] = lambda _profile: {},
) -> Callable[[Profile], Mapping[str, object]]:
    def variables(profile: Profile) -> Mapping[str, object]:
        keys = dict.fromkeys((o.id for o in vendor_packages.repositories_for(profile, layer)), b"")
        return {**vendor_packages.role_variables(profile, layer, keys), **extra_variables(profile)}

    return variables


def _framework_variables(profile: Profile) -> Mapping[str, object]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    names = {f"hardpan-ai-{stack.name}": _PLACEHOLDER_DIGEST for stack in stacks}
    return ml_frameworks.role_variables(_PLACEHOLDER_PATH, names, _PLACEHOLDER_FILES)


ROLE_VARIABLES: Mapping[LayerName, Callable[[Profile], Mapping[str, object]]] = {
    "amd_driver": _vendor_variables("amd_driver"),
    "audit": audit.role_variables,
    "containers": _vendor_variables("containers", containers.role_variables),
    "cuda": _vendor_variables("cuda"),
    "kernel_hardening": kernel_hardening.role_variables,
    "ml_cpu": lambda _profile: ml_cpu.role_variables(_PLACEHOLDER_PATH, _PLACEHOLDER_FILES),
    "ml_frameworks": _framework_variables,
    "nvidia_driver": _vendor_variables("nvidia_driver", nvidia_driver.role_variables),
    "rocm": _vendor_variables("rocm"),
    "ai_service": lambda profile: ai_service.role_variables(profile, _PLACEHOLDER_PATH),
    "stig": lambda profile: stig.role_variables(
        profile, _PLACEHOLDER_PATH, _PLACEHOLDER_PATH, _PLACEHOLDER_DIGEST
    ),
    "tuning": tuning.role_variables,
}
"""Layer -> what its role would be given; the same functions that a run gives it by."""
