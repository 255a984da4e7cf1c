"""The layer ``rocm``: ROCm for the one chip that the profile names."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install ROCm under the names of its generation."""
    return packages.install(task, {})
