"""The layer ``cuda``: the toolkit by its versioned name, cuDNN, NCCL, DCGM."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install the toolkit; its licence was accepted before anything ran."""
    return packages.install(task, {})
