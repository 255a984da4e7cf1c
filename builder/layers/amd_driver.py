"""Layer ``amd_driver``: AMD's kernel driver and access to the GPUs."""

from hardpan.builder.layers.kernel_modules import ModulePackage
from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def describe_versions(profile: Profile) -> str:
    """Return the versions that the profile selects."""
    amd = profile.hardware.amd
    return amd.driver if amd else ""


def module_package(profile: Profile) -> ModulePackage | None:
    """Return the package of the modules that the build makes."""
    amd = profile.hardware.amd
    if amd is None:
        return None
    return ModulePackage(
        dkms_name="amdgpu",
        name=f"kmod-amdgpu-{amd.driver}",
        version=amd.driver,
        licence="GPL-2.0-only AND MIT",
    )


AMD_DRIVER = vendor_layer(
    name="amd_driver",
    section="hardware",
    summary="installs AMD's kernel driver",
    details=describe_versions,
    module_package=module_package,
)
