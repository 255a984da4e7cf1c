"""The layer ``rocm``: ROCm for the one chip that the profile names."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import LayerTask
from hardpan.builder.receipts import LayerResult


def apply(task: LayerTask) -> LayerResult:
    """Install ROCm under the names of its generation."""
    return packages.install_packages(task, {})
