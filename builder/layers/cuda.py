"""Layer ``cuda``: CUDA toolkit by its versioned name, cuDNN, NCCL, DCGM."""

from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile


def describe_versions(profile: Profile) -> str:
    """Return the versions that the profile selects."""
    nvidia = profile.hardware.nvidia
    return nvidia.cuda if nvidia else ""


CUDA = vendor_layer(
    name="cuda",
    section="hardware",
    summary="installs the CUDA toolkit",
    details=describe_versions,
)
