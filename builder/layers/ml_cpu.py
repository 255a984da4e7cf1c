"""The layer ``ml_cpu``: a small embedding model beside the distribution's PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from hardpan.builder.ai_models import embedding
from hardpan.builder.ansible import archive
from hardpan.builder.ansible.runner import PLAYBOOKS
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask

_INSTALLER = PLAYBOOKS / "roles" / "ml_cpu" / "files" / "install.sh"


def apply(task: LayerTask) -> LayerResult:
    """Install the model, every digest checked."""
    files = embedding.prepare_files(task.cache, task.emit)
    archive_path = task.workdir / "model.tar"
    archive.write_archive(archive_path, {**files, "install.sh": _INSTALLER})
    return task.run(role_variables(archive_path, files))


def role_variables(archive_path: Path, files: Mapping[str, bytes | Path]) -> dict[str, object]:
    """What the role is given: the archive at ``to``, and what of ``files`` stays."""
    return {
        "ml_cpu_archive": str(archive_path),
        "ml_cpu_files": archive.installed_paths(files),
        "ml_cpu_state": archive.expected_state((), files),
    }
