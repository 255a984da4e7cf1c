"""The layer ``ml_frameworks``: Python stacks as signed RPMs, and what AI layers share."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder import stacks
from builder.layers import archive, model
from builder.layers.ansible import PLAYBOOKS
from builder.layers.task import Task
from builder.receipts import LayerReceipt
from hardpan.files import sha256_bytes, sha256_file

_INSTALLER = PLAYBOOKS / "roles" / "ml_frameworks" / "files" / "install.sh"
_KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site"
_FOLDERS = (
    "/opt/ai root:root 755",
    "/opt/ai/models root:root 755",
    "/var/lib/ai ai:ai 750",
    "/var/lib/ai/tmp ai:ai 750",
    "/var/lib/ai/jit ai:ai 750",
)


def put(task: Task) -> LayerReceipt:
    """Build the stacks and install them; what each holds is in the receipt."""
    built = stacks.build(task.profile, task.cache, task.emit)
    files = {**model.files(task.cache, task.emit), _KEY: stacks.site(task.cache).public}
    told = {name: data for name, data in files.items() if "/" in name}
    to = task.folder / "stacks.tar"
    packed = {f"rpms/{one.rpm.name}": one.rpm for one in built}
    archive.write(to, {**files, **packed, "install.sh": _INSTALLER})
    made = task.run(
        {
            "ml_frameworks_archive": str(to),
            "ml_frameworks_packages": [f"hardpan-ai-{one.receipt.name}" for one in built],
            "ml_frameworks_files": sorted(told),
            "ml_frameworks_state": state(built, told),
        }
    )
    return replace(made, stacks=tuple(one.receipt for one in built))


def state(built: tuple[stacks.Built, ...], told: Mapping[str, bytes | Path]) -> str:
    """What the role's state.sh prints where every file is in place and unchanged."""
    lines = [f"hardpan-ai-{one.receipt.name} {one.receipt.header_sha256}" for one in built]
    for name in sorted(told):
        data = told[name]
        digest = sha256_file(data) if isinstance(data, Path) else sha256_bytes(data)
        lines.append(f"{digest}  {name}")
    return "\n".join([*lines, *_FOLDERS])
