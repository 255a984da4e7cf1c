"""Layer ``nvidia_driver``: kernel module and user space at one version, nouveau blocked."""

from hardpan.builder.layers.kernel_modules import ModulePackage
from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def role_variables(profile: Profile) -> dict[str, object]:
    """Return driver version and units."""
    nvidia = profile.hardware.nvidia
    if nvidia is None:
        return {}
    units = ["nvidia-persistenced.service"]
    if nvidia.nvswitch:
        units.append("nvidia-fabricmanager.service")
    return {
        "nvidia_driver_version": nvidia.driver,
        "nvidia_driver_units": units,
    }


def module_package(profile: Profile) -> ModulePackage | None:
    """Return the package of the modules that the build makes; None for the site's own."""
    nvidia = profile.hardware.nvidia
    if nvidia is None or nvidia.module_signing == "site_key":
        return None
    is_open = nvidia.kernel_module == "open"
    return ModulePackage(
        dkms_name="nvidia",
        name=f"kmod-nvidia-{nvidia.driver}",
        version=nvidia.driver,
        licence="MIT OR GPL-2.0-only" if is_open else "LicenseRef-NVIDIA",
        # The epoch of NVIDIA's packages, and what its user space requires.
        epoch=3,
        provides=(f"nvidia-kmod = 3:{nvidia.driver}",),
    )


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
    module_package=module_package,
)
