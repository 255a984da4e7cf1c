"""What can be tried of the layers without a host.

Every role is read, and what it would be given is held against what it takes. What only
a run can know (archives, digests, a vendor's key) has a stand-in of the same type.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.builder.layers import (
    audit,
    containers,
    kernel_hardening,
    ml_cpu,
    ml_frameworks,
    nvidia_driver,
    packages,
    sovereign_stack,
    stig,
    tuning,
)
from hardpan.builder.layers.ansible import check_syntax, refused_values
from hardpan.errors import InputError, raise_all
from hardpan.files import Sha256
from hardpan.profiles.model import Layer, Profile
from hardpan.profiles.software.plan import LISTED

_LATER = Path("made-by-the-run")
_DIGEST = Sha256("0" * 64)
_FILES: Mapping[str, bytes | Path] = {"opt/ai/made-by-the-run": b""}


def rehearse(profile: Profile) -> None:
    """Pass if Ansible can read the profile's roles and each takes what it would be given.

    Raises:
        ToolError: Ansible is missing, or a role cannot be read.
        InputError: a role does not take what it would be given.
    """
    values = given(profile)
    vendors = ("vendor_packages",) if any(x in LISTED for x in values) else ()
    with tempfile.TemporaryDirectory(prefix="hardpan-rehearsal-") as room:
        folder = Path(room)
        check_syntax([*values, *vendors], folder)
        said = refused_values(values, folder)
    raise_all([InputError(f"{profile.name}: layer {one}") for one in said])


def given(profile: Profile) -> dict[str, Mapping[str, object]]:
    """The profile's layers in order, each with what its role would be given."""
    return {layer: VALUES[layer](profile) for layer in profile.layers if layer in VALUES}


def _vendors(
    layer: Layer, more: Callable[[Profile], Mapping[str, object]] = lambda _profile: {}
) -> Callable[[Profile], Mapping[str, object]]:
    def values(profile: Profile) -> Mapping[str, object]:
        keys = dict.fromkeys((o.id for o in packages.origins(profile, layer)), b"")
        return {**packages.variables(profile, layer, keys), **more(profile)}

    return values


def _stacks(profile: Profile) -> Mapping[str, object]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    names = {f"hardpan-ai-{stack.name}": _DIGEST for stack in stacks}
    return ml_frameworks.variables(_LATER, names, _FILES)


VALUES: Mapping[Layer, Callable[[Profile], Mapping[str, object]]] = {
    "amd_driver": _vendors("amd_driver"),
    "audit": audit.variables,
    "containers": _vendors("containers", containers.variables),
    "cuda": _vendors("cuda"),
    "kernel_hardening": kernel_hardening.variables,
    "ml_cpu": lambda _profile: ml_cpu.variables(_LATER, _FILES),
    "ml_frameworks": _stacks,
    "nvidia_driver": _vendors("nvidia_driver", nvidia_driver.variables),
    "rocm": _vendors("rocm"),
    "sovereign_stack": lambda profile: sovereign_stack.variables(profile, _LATER),
    "stig": lambda profile: stig.variables(profile, _LATER, _LATER, _DIGEST),
    "tuning": tuning.variables,
}
"""Layer -> what its role would be given; the same functions that a run gives it by."""
