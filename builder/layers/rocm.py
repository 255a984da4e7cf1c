"""Layer ``rocm``: ROCm for the chip that the profile names."""

from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def describe_versions(profile: Profile) -> str:
    """Return the versions that the profile selects."""
    amd = profile.hardware.amd
    return f"ROCm {amd.rocm}, {amd.gfx_target}" if amd else ""


ROCM = vendor_layer(
    name="rocm",
    section="hardware",
    summary="installs ROCm for the chip that the profile names",
    details=describe_versions,
)
