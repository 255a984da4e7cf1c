"""Layer ``ml_frameworks``: Python stacks as signed RPMs, and the files AI layers share."""

from collections.abc import Mapping
from pathlib import Path

from hardpan.builder import python_stacks
from hardpan.builder.ai_models import embedding
from hardpan.builder.ansible import archive
from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.layers.base import (
    PLACEHOLDER_DIGEST,
    PLACEHOLDER_FILES,
    PLACEHOLDER_PATH,
    Layer,
    LayerPreparation,
    PreparedLayer,
)
from hardpan.core.files import require_free_space
from hardpan.profiles.schema.profile import Profile

_INSTALLER = PLAYBOOKS / "roles" / "ml_frameworks" / "files" / "install.sh"
_ARCHIVE_NAME = "stacks.tar"
_MODEL_MIB = 256
"""Size of the embedding model, which is part of the archive."""

_KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site"


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Build the stacks and write their archive; the result lists the contents of each."""
    cache, emit = preparation.cache, preparation.emit
    built = python_stacks.build_stacks(preparation.profile, cache, emit)
    files = {
        **embedding.prepare_files(cache, emit),
        _KEY: python_stacks.load_site_key(cache).public,
    }
    packages = {f"hardpan-ai-{stack.receipt.name}": stack.receipt.header_sha256 for stack in built}
    rpms = {f"rpms/{stack.rpm.name}": stack.rpm for stack in built}
    size_bytes = sum(stack.rpm.stat().st_size for stack in built)
    require_free_space(
        preparation.folder, (size_bytes >> 20) + _MODEL_MIB, purpose="the archive of the stacks"
    )
    members = {**files, **rpms, "install.sh": _INSTALLER}
    archive.write_archive(preparation.folder / _ARCHIVE_NAME, members)
    return PreparedLayer(
        variables=role_variables(preparation.runtime_path(_ARCHIVE_NAME), packages, files),
        stacks=tuple(stack.receipt for stack in built),
    )


def role_variables(
    archive_path: Path, packages: Mapping[str, str], files: Mapping[str, bytes | Path]
) -> dict[str, object]:
    """Return the role's variables; ``packages`` maps RPM names to header digests."""
    return {
        "ml_frameworks_archive": str(archive_path),
        "ml_frameworks_packages": list(packages),
        "ml_frameworks_files": archive.installed_paths(files),
        "ml_frameworks_state": archive.expected_state(
            (f"{name} {header}" for name, header in packages.items()), files
        ),
    }


def planned_variables(profile: Profile) -> dict[str, object]:
    """Return the role's variables with placeholders for RPMs, archive and files."""
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    packages = {f"hardpan-ai-{stack.name}": PLACEHOLDER_DIGEST for stack in stacks}
    return role_variables(PLACEHOLDER_PATH, packages, PLACEHOLDER_FILES)


ML_FRAMEWORKS = Layer(
    name="ml_frameworks",
    section="frameworks",
    summary="installs each stack as one RPM under /opt/ai/stacks, and the embedding model",
    prepare=prepare,
    planned_variables=planned_variables,
)
