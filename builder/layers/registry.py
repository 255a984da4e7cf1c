"""The table of the layers, and how a profile's layers are applied.

One line in the table for each layer's file. A layer's ``put`` makes ready what its role needs
and runs it.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.builder.ansible.runner import PLAYBOOKS, STAGE
from hardpan.builder.artifacts import Assessment, BootedGuest, LayerResult
from hardpan.builder.layers import (
    ai_service,
    amd_driver,
    audit,
    containers,
    cuda,
    kernel_hardening,
    ml_cpu,
    ml_frameworks,
    nvidia_driver,
    rocm,
    stig,
    tuning,
    vendor_packages,
)
from hardpan.builder.layers.base import LayerTask
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import Sha256, sha256_bytes, sha256_file
from hardpan.core.resources import resource_path
from hardpan.profiles.schema.profile import LayerName, Profile

LAYERS: Mapping[LayerName, Callable[[LayerTask], LayerResult]] = {
    "audit": audit.apply,
    "kernel_hardening": kernel_hardening.apply,
    "ml_cpu": ml_cpu.apply,
    "ml_frameworks": ml_frameworks.apply,
    "ai_service": ai_service.apply,
    "amd_driver": amd_driver.apply,
    "containers": containers.apply,
    "cuda": cuda.apply,
    "nvidia_driver": nvidia_driver.apply,
    "rocm": rocm.apply,
    "stig": stig.apply,
    "tuning": tuning.apply,
}
"""The layers whose roles exist; the others of ``hardpan.profiles.schema.profile.Layer`` come later."""

_IGNORED_FOLDERS = {".ansible", "__pycache__"}


def check_layers(profile: Profile) -> None:
    """Pass if every layer of the profile can be built.

    Raises:
        InputError: one cannot, not yet, or a repository has no address or no pinned key.
        SeveralError: more than one of these.
    """
    errors = ErrorCollector()
    with errors.collecting(STAGE):
        _require_implemented(profile)
    with errors.collecting(STAGE):
        vendor_packages.check_repositories(profile)
    errors.raise_if_any()


def _require_implemented(profile: Profile) -> None:
    missing = [name for name in profile.layers if name not in LAYERS]
    if missing:
        raise InputError(
            f"{profile.name}: the layers {', '.join(missing)} are not built yet",
            hint="'hardpan render' shows what they will do; '--as iso' builds without layers",
        )


def apply_layers(
    profile: Profile,
    guest: BootedGuest,
    assessment: Assessment,
    *,
    cache: Path,
    emit: Emit,
) -> tuple[LayerResult, ...]:
    """Put the profile's layers on ``guest``, in the profile's order.

    Raises:
        ToolError: a task failed; its name and what it said are in the error.
        UnreachableError: the guest stopped answering.
        TrustError: it has another host key than the guest's, or a download is not the right one.
        InputError: a layer is not built yet.
    """
    check_layers(profile)
    results = []
    for layer in profile.layers:
        emit(StageMessage(stage=STAGE, text=f"layer {layer}"))
        with tempfile.TemporaryDirectory(prefix="hardpan-layer-") as name:
            task = LayerTask(
                layer=layer,
                profile=profile,
                guest=guest,
                assessment=assessment,
                cache=cache,
                workdir=Path(name),
                emit=emit,
            )
            results.append(LAYERS[layer](task))
    return tuple(results)


def digest_layers() -> Sha256:
    """Digest of everything that decides what the layers do, alike in a checkout and a wheel."""
    sources: dict[str, Sha256] = {}
    packages = ("layers", "remediation", "ai_models", "ai_service")
    folders = [resource_path(f"hardpan.builder.{name}") for name in packages]
    for folder in (PLAYBOOKS, *folders):
        for path in folder.rglob("*"):
            name = path.relative_to(folder.parent)
            # pip also compiles the Python files that are sent to the guest.
            if path.is_file() and not _IGNORED_FOLDERS & set(name.parts):
                sources[str(name)] = sha256_file(path)
    return sha256_bytes("".join(f"{n} {sources[n]}\n" for n in sorted(sources)).encode())
