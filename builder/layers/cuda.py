"""The layer ``cuda``: the toolkit by its versioned name, cuDNN, NCCL, DCGM."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import LayerTask
from hardpan.builder.receipts import LayerResult


def apply(task: LayerTask) -> LayerResult:
    """Install the toolkit; its licence was accepted before anything ran."""
    return packages.install_packages(task, {})
