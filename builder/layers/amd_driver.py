"""The layer ``amd_driver``: AMD's kernel driver, and who may use the GPUs."""

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import LayerTask
from hardpan.builder.receipts import LayerResult


def apply(task: LayerTask) -> LayerResult:
    """Install the driver, built for the one kernel."""
    return packages.install_packages(task, {})
