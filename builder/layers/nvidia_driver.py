"""Layer ``nvidia_driver``: kernel module and user space at one version, nouveau blocked."""

from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def role_variables(profile: Profile) -> dict[str, object]:
    """Return driver version, DKMS module and units."""
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


def describe_driver(profile: Profile) -> str:
    """Return the driver version and the kind of kernel module."""
    nvidia = profile.hardware.nvidia
    return f"{nvidia.driver}, {nvidia.kernel_module} kernel module" if nvidia else ""


NVIDIA_DRIVER = vendor_layer(
    name="nvidia_driver",
    section="hardware",
    summary="installs NVIDIA's driver at the locked version",
    details=describe_driver,
    extra_variables=role_variables,
)
