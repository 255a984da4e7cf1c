"""The layer ``rocm``: ROCm for the one chip that the profile names."""

from builder.layers import packages
from builder.layers.task import Task
from builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install ROCm under the names of its generation."""
    return packages.install(task, {})
