"""The layer ``ml_cpu``: a small embedding model beside the distribution's PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from hardpan.builder.layers import archive, model
from hardpan.builder.layers.ansible import PLAYBOOKS
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt

_INSTALLER = PLAYBOOKS / "roles" / "ml_cpu" / "files" / "install.sh"


def put(task: Task) -> LayerReceipt:
    """Install the model, every digest checked."""
    files = model.files(task.cache, task.emit)
    to = task.folder / "model.tar"
    archive.write(to, {**files, "install.sh": _INSTALLER})
    return task.run(variables(to, files))


def variables(to: Path, files: Mapping[str, bytes | Path]) -> dict[str, object]:
    """What the role is given: the archive at ``to``, and what of ``files`` stays."""
    return {
        "ml_cpu_archive": str(to),
        "ml_cpu_files": archive.placed(files),
        "ml_cpu_state": archive.state((), files),
    }
