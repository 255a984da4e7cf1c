"""The layer ``ml_frameworks``: Python stacks as signed RPMs, and what AI layers share."""

from dataclasses import replace

from builder import stacks
from builder.layers import archive, model
from builder.layers.ansible import PLAYBOOKS
from builder.layers.task import Task
from builder.receipts import LayerReceipt

_INSTALLER = PLAYBOOKS / "roles" / "ml_frameworks" / "files" / "install.sh"
_KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site"


def put(task: Task) -> LayerReceipt:
    """Build the stacks and install them; what each holds is in the receipt."""
    built = stacks.build(task.profile, task.cache, task.emit)
    files = {**model.files(task.cache, task.emit), _KEY: stacks.site(task.cache).public}
    packages = {f"hardpan-ai-{one.receipt.name}": one.receipt.header_sha256 for one in built}
    to = task.folder / "stacks.tar"
    packed = {f"rpms/{one.rpm.name}": one.rpm for one in built}
    archive.write(to, {**files, **packed, "install.sh": _INSTALLER})
    made = task.run(
        {
            "ml_frameworks_archive": str(to),
            "ml_frameworks_packages": list(packages),
            "ml_frameworks_files": archive.placed(files),
            "ml_frameworks_state": archive.state(
                (f"{name} {header}" for name, header in packages.items()), files
            ),
        }
    )
    return replace(made, stacks=tuple(one.receipt for one in built))
