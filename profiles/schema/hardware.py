"""Profile section ``hardware``: one typed section per accelerator vendor.

``AS_OF`` dates the vendor facts below; driver branches and support lists change often.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from hardpan.profiles.schema.types import (
    GfxTarget,
    KernelArgument,
    StrictBool,
    StrictInt,
    Text,
    Version,
)
from hardpan.profiles.schema.versions import parse_version

AS_OF = "2026-11-15"
"""Date on which the vendor facts were read."""

_MIN_DRIVER_VERSIONS = {13: "580.65.06", 12: "525.60.13"}
"""CUDA major version -> oldest driver that supports all of its minor versions."""

ModuleSigning = Literal["automatic", "site_key", "secure_boot_off"]
"""Who signs the kernel modules."""

FROZEN_CONFIG = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
)


class ProfileSection(BaseModel):
    """Base of all profile sections: frozen, unknown settings are rejected."""

    model_config = FROZEN_CONFIG


class Nvidia(ProfileSection):
    """NVIDIA driver and CUDA toolkit."""

    branch: Version
    """Driver branch, e.g. ``'580'``; kernel module, user space and fabric manager share it."""

    driver: Version
    """Exact driver version, installed and locked, e.g. ``580.178.04``."""

    cuda: Version
    """CUDA toolkit as major.minor, e.g. ``'13.3'``; the package is ``cuda-toolkit-13-3``."""

    kernel_module: Literal["open", "proprietary"] = "open"
    """Kernel module flavour. Branch 620 and later have the open one only."""

    module_signing: ModuleSigning = "automatic"
    """``automatic``: NVIDIA's precompiled modules if its repository has them for the kernel, else
    built by the build and signed with its key, whose certificate the machines must enrol;
    ``site_key``: a package of the site's repository; ``secure_boot_off``: as ``automatic``, and
    nobody enrols the certificate."""

    secure_boot_off_reason: Text | None = None
    """Why Secure Boot is off; required with ``module_signing: secure_boot_off``."""

    nvswitch: StrictBool = False
    """Adds the fabric manager, for machines with NVSwitch."""

    accept_eula: StrictBool = False
    """Accepts NVIDIA's licence. Without it the profile can be checked and rendered, not built."""


class Amd(ProfileSection):
    """AMD driver and ROCm release."""

    rocm: Version
    """ROCm release, e.g. ``'7.14'``."""

    driver: Version
    """Release of the amdgpu kernel driver, e.g. ``30.10.1``."""

    gfx_target: GfxTarget
    """GPU target of the packages: gfx942 is MI300X and MI325X, gfx950 MI350X and MI355X."""

    vendor_support: Literal["listed", "unlisted"]
    """Whether AMD lists this Rocky release as supported by this ROCm release."""

    unlisted_reason: Text | None = None
    """Reason for using it anyway; required with ``vendor_support: unlisted``."""


class Cpu(ProfileSection):
    """Inference on the processor alone."""

    baseline: Literal["x86-64-v2", "x86-64-v3", "x86-64-v4"] = "x86-64-v2"
    """Oldest instruction set level that the image must run on."""

    threads: StrictInt = 0
    """Threads of the ML frameworks; 0 uses their default."""


class Hardware(ProfileSection):
    """Accelerator of the image. Only the chosen accelerator's section is allowed."""

    accelerator: Literal["none", "cpu", "nvidia", "amd"]
    """``none`` is a plain hardened host."""

    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Kernel arguments of the accelerator, added to ``boot.kernel_arguments``."""

    nvidia: Nvidia | None = None
    """Required with ``accelerator: nvidia``."""

    amd: Amd | None = None
    """Required with ``accelerator: amd``."""

    cpu: Cpu | None = None
    """Optional with ``accelerator: cpu``."""


def min_driver_version(cuda: str | None) -> str | None:
    """Return the oldest driver that supports ``cuda``, e.g. ``13.0``; None if it is not listed."""
    return _MIN_DRIVER_VERSIONS.get(parse_version(cuda)[0]) if cuda else None
