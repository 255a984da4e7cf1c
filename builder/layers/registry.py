"""The registry of layers, and applying a profile's layers.

A layer is one object in one file of this package and one Ansible role of the same name.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.artifacts import Assessment, BootedGuest, LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.ai_service import AI_SERVICE
from hardpan.builder.layers.amd_driver import AMD_DRIVER
from hardpan.builder.layers.audit import AUDIT
from hardpan.builder.layers.base import STAGE, Layer, LayerPreparation, LayerTask
from hardpan.builder.layers.containers import CONTAINERS
from hardpan.builder.layers.cuda import CUDA
from hardpan.builder.layers.kernel_hardening import KERNEL_HARDENING
from hardpan.builder.layers.ml_cpu import ML_CPU
from hardpan.builder.layers.ml_frameworks import ML_FRAMEWORKS
from hardpan.builder.layers.nvidia_driver import NVIDIA_DRIVER
from hardpan.builder.layers.rocm import ROCM
from hardpan.builder.layers.stig import STIG
from hardpan.builder.layers.tuning import TUNING
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.resources import resource_path
from hardpan.profiles.schema.profile import Profile

LAYERS: Mapping[str, Layer] = {
    layer.name: layer
    for layer in (
        AI_SERVICE,
        AMD_DRIVER,
        AUDIT,
        CONTAINERS,
        CUDA,
        KERNEL_HARDENING,
        ML_CPU,
        ML_FRAMEWORKS,
        NVIDIA_DRIVER,
        ROCM,
        STIG,
        TUNING,
    )
}
"""Layer name -> layer."""


def check_layers(profile: Profile) -> None:
    """Check that every layer of the profile can be built.

    Raises:
        InputError: a layer is not implemented, or a repository lacks an address or pinned key.
        AggregateError: more than one of these.
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
            f"{profile.name}: the layers {', '.join(missing)} are not implemented",
            hint="'--format iso' builds without layers",
        )


def layers_of(profile: Profile) -> tuple[Layer, ...]:
    """Return the profile's layers in its order; names that are not registered are left out."""
    return tuple(LAYERS[name] for name in profile.layers if name in LAYERS)


def apply_layers(
    profile: Profile,
    guest: BootedGuest,
    assessment: Assessment,
    *,
    cache: Path,
    emit: Emit,
) -> tuple[LayerResult, ...]:
    """Apply the profile's layers to ``guest``, in the profile's order.

    Raises:
        InputError: a layer is not implemented.
        HardpanError: as for ``apply_layer``.
    """
    check_layers(profile)
    return tuple(
        apply_layer(layer, profile, guest, assessment, cache=cache, emit=emit)
        for layer in layers_of(profile)
    )


def apply_layer(
    layer: Layer,
    profile: Profile,
    guest: BootedGuest,
    assessment: Assessment,
    *,
    cache: Path,
    emit: Emit,
) -> LayerResult:
    """Apply one layer to ``guest``.

    Raises:
        ToolError: a task failed; the error has its name and output.
        UnreachableError: the guest stopped answering.
        TrustError: unexpected host key, or a download with a wrong digest.
    """
    emit(StageMessage(stage=STAGE, text=f"layer {layer.name}"))
    with (
        tempfile.TemporaryDirectory(prefix="hardpan-layer-") as workdir,
        # Gigabytes: /tmp, where the other folder is for the sake of its short path, may be in
        # memory.
        tempfile.TemporaryDirectory(prefix=".layer-", dir=cache) as folder,
    ):
        prepared = layer.prepare(
            LayerPreparation(
                layer=layer.name,
                profile=profile,
                assessment=assessment,
                cache=cache,
                folder=Path(folder),
                emit=emit,
            )
        )
        task = LayerTask(
            layer=layer.name,
            profile=profile,
            guest=guest,
            assessment=assessment,
            cache=cache,
            workdir=Path(workdir),
            emit=emit,
        )
        return layer.run(task, prepared)


def source_folders() -> tuple[Path, ...]:
    """Return the folders whose files determine what the layers do."""
    packages = ("layers", "remediation", "ai_models", "ai_service")
    return (
        PLAYBOOKS,
        *(resource_path(f"hardpan.builder.{name}") for name in packages),
        resource_path("hardpan.profiles.embedding_model"),
    )
