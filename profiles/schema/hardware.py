"""The accelerators a profile can ask for: one typed section per vendor.

The facts behind the limits carry the day they were read (``AS_OF``); a driver
branch or a support list changes more often than this code.
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
"""When the vendor facts below were last read."""

_MIN_DRIVER_VERSIONS = {13: "580.65.06", 12: "525.60.13"}
"""Major version of CUDA -> the oldest driver that runs all of its minor versions."""

FROZEN_CONFIG = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
)


class ProfileSection(BaseModel):
    """A part of a profile: frozen, unknown settings refused."""

    model_config = FROZEN_CONFIG


class Nvidia(ProfileSection):
    """An NVIDIA driver and the CUDA toolkit that goes with it."""

    branch: Version
    """Driver branch, e.g. ``'580'``; kernel module, user space and fabric manager share it."""

    driver: Version
    """Exact driver version that is installed and locked, e.g. ``580.178.04``."""

    cuda: Version
    """CUDA toolkit as major.minor, e.g. ``'13.3'``; the package is ``cuda-toolkit-13-3``."""

    kernel_module: Literal["open", "proprietary"] = "open"
    """Kind of kernel module. Branch 620 and later have only the open one."""

    module_signing: Literal["site_key", "secure_boot_off"] = "site_key"
    """How the module is trusted: precompiled and signed with the site's key, or not at all."""

    secure_boot_off_reason: Text | None = None
    """Why Secure Boot is off; required with ``module_signing: secure_boot_off``."""

    nvswitch: StrictBool = False
    """True for machines with NVSwitch: adds the fabric manager at the driver's exact version."""

    accept_eula: StrictBool = False
    """Your own yes to NVIDIA's licence. Without it the profile checks and renders, and no more."""


class Amd(ProfileSection):
    """An AMD driver and the ROCm release that goes with it."""

    rocm: Version
    """ROCm release, e.g. ``'7.14'``."""

    driver: Version
    """Release of the amdgpu kernel driver, e.g. ``30.10.1``."""

    gfx_target: GfxTarget
    """What the packages are built for: gfx942 is MI300X and MI325X, gfx950 MI350X and MI355X."""

    vendor_support: Literal["listed", "unlisted"]
    """Whether AMD lists this release of Rocky for this ROCm."""

    unlisted_reason: Text | None = None
    """Why it is used all the same; required with ``vendor_support: unlisted``."""


class Cpu(ProfileSection):
    """Inference on the processor alone."""

    baseline: Literal["x86-64-v2", "x86-64-v3", "x86-64-v4"] = "x86-64-v2"
    """The oldest instruction set the image has to run on."""

    threads: StrictInt = 0
    """Threads for the ML frameworks; 0 leaves the choice to them."""


class Hardware(ProfileSection):
    """What the image computes on. Only the section of the chosen accelerator may be there."""

    accelerator: Literal["none", "cpu", "nvidia", "amd"]
    """``none`` is a plain hardened host."""

    kernel_arguments: tuple[KernelArgument, ...] = ()
    """What the accelerator needs on the command line, added to ``boot.kernel_arguments``."""

    nvidia: Nvidia | None = None
    """Required with ``accelerator: nvidia``."""

    amd: Amd | None = None
    """Required with ``accelerator: amd``."""

    cpu: Cpu | None = None
    """May be given with ``accelerator: cpu``."""


def min_driver_version(cuda: str | None) -> str | None:
    """The oldest driver that runs ``cuda``, as ``13.0``; None where that is not listed."""
    return _MIN_DRIVER_VERSIONS.get(parse_version(cuda)[0]) if cuda else None
