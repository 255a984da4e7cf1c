"""The layer ``nvidia_driver``: kernel module and user space at one version, nouveau kept away."""

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import LayerTask
from hardpan.profiles.schema.profile import Profile


def apply(task: LayerTask) -> LayerResult:
    """Install the driver for the one kernel and hold both."""
    return vendor_packages.install_packages(task, role_variables(task.profile))


def role_variables(profile: Profile) -> dict[str, object]:
    """The one version, who builds the kernel module, and what runs."""
    nvidia = profile.hardware.nvidia
    if nvidia is None:
        return {}
    units = ["nvidia-persistenced.service"]
    if nvidia.nvswitch:
        units.append("nvidia-fabricmanager.service")
    return {
        "nvidia_driver_version": nvidia.driver,
        "nvidia_driver_dkms": "nvidia" if nvidia.module_signing == "secure_boot_off" else "",
        "nvidia_driver_units": units,
    }
