"""The layer ``ml_cpu``: a small embedding model beside the distribution's PyTorch."""

from builder.layers import archive, model
from builder.layers.ansible import PLAYBOOKS
from builder.layers.task import Task
from builder.receipts import LayerReceipt

_INSTALLER = PLAYBOOKS / "roles" / "ml_cpu" / "files" / "install.sh"


def put(task: Task) -> LayerReceipt:
    """Install the model, every digest checked."""
    files = model.files(task.cache, task.emit)
    to = task.folder / "model.tar"
    archive.write(to, {**files, "install.sh": _INSTALLER})
    return task.run(
        {
            "ml_cpu_archive": str(to),
            "ml_cpu_files": archive.placed(files),
            "ml_cpu_state": archive.state((), files),
        }
    )
