"""The layer ``ml_frameworks``: Python stacks as signed RPMs, and what AI layers share."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hardpan.builder import stacks
from hardpan.builder.layers import archive, model
from hardpan.builder.layers.ansible import PLAYBOOKS
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt
from hardpan.files import need_free

_INSTALLER = PLAYBOOKS / "roles" / "ml_frameworks" / "files" / "install.sh"
_REST_MIB = 256
"""The embedding model, which goes along."""

_KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site"


def put(task: Task) -> LayerReceipt:
    """Build the stacks and install them; what each holds is in the receipt."""
    built = stacks.build(task.profile, task.cache, task.emit)
    files = {**model.files(task.cache, task.emit), _KEY: stacks.site(task.cache).public}
    packages = {f"hardpan-ai-{one.receipt.name}": one.receipt.header_sha256 for one in built}
    packed = {f"rpms/{one.rpm.name}": one.rpm for one in built}
    # Gigabytes: /tmp, where the task's own folder is, may be memory.
    with tempfile.TemporaryDirectory(prefix=".going-", dir=task.cache) as room:
        to = Path(room) / "stacks.tar"
        size = sum(one.rpm.stat().st_size for one in built)
        need_free(Path(room), (size >> 20) + _REST_MIB, what="the archive of the stacks")
        archive.write(to, {**files, **packed, "install.sh": _INSTALLER})
        made = task.run(variables(to, packages, files))
    return replace(made, stacks=tuple(one.receipt for one in built))


def variables(
    to: Path, packages: Mapping[str, str], files: Mapping[str, bytes | Path]
) -> dict[str, object]:
    """What the role is given; ``packages`` are names and digests of the headers."""
    return {
        "ml_frameworks_archive": str(to),
        "ml_frameworks_packages": list(packages),
        "ml_frameworks_files": archive.placed(files),
        "ml_frameworks_state": archive.state(
            (f"{name} {header}" for name, header in packages.items()), files
        ),
    }
