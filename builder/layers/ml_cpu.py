"""Layer ``ml_cpu``: a small embedding model for the distribution's PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from hardpan.builder.ai_models import embedding
from hardpan.builder.ansible import archive
from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.layers.base import (
    PLACEHOLDER_FILES,
    PLACEHOLDER_PATH,
    Layer,
    LayerPreparation,
    PreparedLayer,
)
from hardpan.profiles.schema.profile import Profile

_INSTALLER = PLAYBOOKS / "roles" / "ml_cpu" / "files" / "install.sh"
_ARCHIVE_NAME = "model.tar"


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Write the archive of the model; its installer verifies every digest."""
    files = embedding.prepare_files(preparation.cache, preparation.emit)
    archive.write_archive(preparation.folder / _ARCHIVE_NAME, {**files, "install.sh": _INSTALLER})
    return PreparedLayer(variables=role_variables(preparation.runtime_path(_ARCHIVE_NAME), files))


def role_variables(archive_path: Path, files: Mapping[str, bytes | Path]) -> dict[str, object]:
    """Return the role's variables for the archive and its files."""
    return {
        "ml_cpu_archive": str(archive_path),
        "ml_cpu_files": archive.installed_paths(files),
        "ml_cpu_state": archive.expected_state((), files),
    }


def planned_variables(_profile: Profile) -> dict[str, object]:
    """Return the role's variables with placeholders for archive and files."""
    return role_variables(PLACEHOLDER_PATH, PLACEHOLDER_FILES)


ML_CPU = Layer(
    name="ml_cpu",
    summary="installs PyTorch's CPU build and the smoke test's model, verified, under /opt/ai",
    prepare=prepare,
    planned_variables=planned_variables,
)
