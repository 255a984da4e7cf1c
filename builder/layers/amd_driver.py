"""Layer ``amd_driver``: AMD's kernel driver and access to the GPUs."""

from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def describe_versions(profile: Profile) -> str:
    """Return the versions that the profile selects."""
    amd = profile.hardware.amd
    return amd.driver if amd else ""


AMD_DRIVER = vendor_layer(
    name="amd_driver",
    section="hardware",
    summary="installs AMD's kernel driver",
    details=describe_versions,
)
