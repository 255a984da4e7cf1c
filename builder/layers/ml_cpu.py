"""The layer ``ml_cpu``: a small embedding model beside the distribution's PyTorch."""

from builder.layers import model
from builder.layers.task import Task
from builder.receipts import LayerReceipt


def put(task: Task) -> LayerReceipt:
    """Install the model, every digest checked."""
    archive = task.folder / "model.tar"
    model.pack(task.cache, archive, task.emit)
    return task.run({"ml_cpu_archive": str(archive)})
