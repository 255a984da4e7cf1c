"""The layer ``amd_driver``: AMD's kernel driver, and who may use the GPUs."""

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import LayerTask


def apply(task: LayerTask) -> LayerResult:
    """Install the driver, built for the one kernel."""
    return vendor_packages.install_packages(task, {})
