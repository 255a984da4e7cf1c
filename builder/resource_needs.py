"""Disk and memory that a build needs, computed from its packages and layers.

The installed size of the distribution's packages comes from the metadata on the install media.
What a vendor layer or a Python stack adds is not in it: ``LAYER_MIB`` has estimates, rounded up,
none of them measured on the vendors' hardware.
"""

import math

from hardpan.profiles.schema.profile import LayerName, Profile

_DEFAULT_PACKAGES_MIB = 2048
"""Installed packages of a profile whose media are not known yet; a STIG profile has about 1,000."""

_DEFAULT_PACKAGE_COUNT = 450
_IMAGE_FACTOR = 1.25
"""File systems, journals and qcow2 tables. The lab's 856 MiB of packages take 1,180 MiB."""

_IMAGE_MIB = 1024
"""Kernels, initramfs images, logs and the rpm database of a base install."""

OVERLAY_MIB = 512
"""Logs, results of scans, initramfs images and file system metadata that a layer rewrites."""

_GUEST_MEMORY_MIB = 1024
"""Kernel, installer and services."""

_PACKAGE_MEMORY_MIB = 1
"""dnf's memory for each package of a transaction."""

HOST_MEMORY_MIB = 512
"""Memory of QEMU itself, Ansible and hardpan, besides the guest's."""

LAYER_MIB: dict[LayerName, int] = {
    "nvidia_driver": 1536,
    "cuda": 12_288,
    "amd_driver": 1536,
    "rocm": 24_576,
    "containers": 512,
    "ml_cpu": 512,
    "ai_service": 512,
}
"""Layer -> estimate of what it installs; other layers install files of less than 100 MiB."""

_GPU_STACK_MIB = 10_240
_CPU_STACK_MIB = 2048
_LAYER_MEMORY_MIB: dict[LayerName, int] = {"ml_cpu": 512, "ml_frameworks": 1024, "ai_service": 1024}


def layers_mib(profile: Profile) -> int:
    """Return an estimate of what the profile's layers add to the image, in MiB."""
    total = sum(LAYER_MIB.get(layer, 0) for layer in profile.layers)
    if "ml_frameworks" in profile.layers and profile.frameworks is not None:
        total += sum(
            _GPU_STACK_MIB if stack.torch_backend not in (None, "cpu") else _CPU_STACK_MIB
            for stack in profile.frameworks.stacks
        )
    return total


def install_required_mib(packages_bytes: int) -> int:
    """Return the free disk space in MiB that a base install needs.

    ``packages_bytes`` is the installed size of its packages, 0 if it is not known. The formula is
    1.25 times the packages, plus 1,024.
    """
    packages_mib = packages_bytes / (1 << 20) if packages_bytes else _DEFAULT_PACKAGES_MIB
    return math.ceil(_IMAGE_FACTOR * packages_mib) + _IMAGE_MIB


def layer_required_mib(profile: Profile, layer: LayerName) -> int:
    """Return the free disk space in MiB that the overlay of a layer needs.

    The formula is 1.25 times what the layer installs, plus 512.
    """
    installed_mib = layers_mib(profile.model_copy(update={"layers": (layer,)}))
    return math.ceil(_IMAGE_FACTOR * installed_mib) + OVERLAY_MIB


def image_mib(profile: Profile, packages_bytes: int) -> int:
    """Return the size in MiB of the image with its layers: 1.25 times their estimate is added."""
    layers = _IMAGE_FACTOR * layers_mib(profile)
    return math.ceil(install_required_mib(packages_bytes) + layers)


def guest_memory_mib(profile: Profile, package_count: int) -> int:
    """Return the memory in MiB that the build guest needs.

    The formula is 1,024, plus 1 for each package that dnf installs (450 if it is not known), plus
    an estimate for the programs of the layers.
    """
    layers = sum(_LAYER_MEMORY_MIB.get(layer, 0) for layer in profile.layers)
    packages = (package_count or _DEFAULT_PACKAGE_COUNT) * _PACKAGE_MEMORY_MIB
    return _GUEST_MEMORY_MIB + packages + layers
