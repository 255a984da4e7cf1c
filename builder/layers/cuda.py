"""The layer ``cuda``: the toolkit by its versioned name, cuDNN, NCCL, DCGM."""

from builder.layers import packages
from builder.layers.task import Task
from builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install the toolkit; its licence was accepted before anything ran."""
    return packages.install(task, {})
