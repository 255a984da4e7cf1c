"""The layer ``cuda``: the toolkit by its versioned name, cuDNN, NCCL, DCGM."""

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import LayerTask


def apply(task: LayerTask) -> LayerResult:
    """Install the toolkit; its licence was accepted before anything ran."""
    return vendor_packages.install_packages(task, {})
