"""The layer ``ml_frameworks``: Python stacks as signed RPMs, and what AI layers share."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hardpan.builder import python_stacks
from hardpan.builder.ai_models import embedding
from hardpan.builder.ansible import archive
from hardpan.builder.ansible.runner import PLAYBOOKS
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask
from hardpan.core.files import require_free_space

_INSTALLER = PLAYBOOKS / "roles" / "ml_frameworks" / "files" / "install.sh"
_MODEL_MIB = 256
"""The embedding model, which goes along."""

_KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site"


def apply(task: LayerTask) -> LayerResult:
    """Build the stacks and install them; what each holds is in the receipt."""
    built = python_stacks.build_stacks(task.profile, task.cache, task.emit)
    files = {
        **embedding.prepare_files(task.cache, task.emit),
        _KEY: python_stacks.load_site_key(task.cache).public,
    }
    packages = {f"hardpan-ai-{stack.receipt.name}": stack.receipt.header_sha256 for stack in built}
    rpms = {f"rpms/{stack.rpm.name}": stack.rpm for stack in built}
    # Gigabytes: /tmp, where the task's own folder is, may be memory.
    with tempfile.TemporaryDirectory(prefix=".going-", dir=task.cache) as temp_dir:
        archive_path = Path(temp_dir) / "stacks.tar"
        size_bytes = sum(stack.rpm.stat().st_size for stack in built)
        require_free_space(
            Path(temp_dir), (size_bytes >> 20) + _MODEL_MIB, purpose="the archive of the stacks"
        )
        archive.write_archive(archive_path, {**files, **rpms, "install.sh": _INSTALLER})
        result = task.run(role_variables(archive_path, packages, files))
    return replace(result, stacks=tuple(stack.receipt for stack in built))


def role_variables(
    archive_path: Path, packages: Mapping[str, str], files: Mapping[str, bytes | Path]
) -> dict[str, object]:
    """What the role is given; ``packages`` are names and digests of the headers."""
    return {
        "ml_frameworks_archive": str(archive_path),
        "ml_frameworks_packages": list(packages),
        "ml_frameworks_files": archive.installed_paths(files),
        "ml_frameworks_state": archive.expected_state(
            (f"{name} {header}" for name, header in packages.items()), files
        ),
    }
