"""The layer ``amd_driver``: AMD's kernel driver, and who may use the GPUs."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install the driver, built for the one kernel."""
    return packages.install(task, {})
