"""The layer ``rocm``: ROCm for the one chip that the profile names."""

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import LayerTask


def apply(task: LayerTask) -> LayerResult:
    """Install ROCm under the names of its generation."""
    return vendor_packages.install_packages(task, {})
