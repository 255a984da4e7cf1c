"""The table of the layers, and how a profile's layers are applied.

One line in the table for each layer's file. A layer's ``put`` makes ready what its role needs
and runs it.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.builder.layers import (
    amd_driver,
    audit,
    containers,
    cuda,
    kernel_hardening,
    ml_cpu,
    ml_frameworks,
    nvidia_driver,
    packages,
    rocm,
    sovereign_stack,
    stig,
    tuning,
)
from hardpan.builder.layers.ansible import PLAYBOOKS, STAGE
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import Assessment, Guest, LayerReceipt
from hardpan.errors import InputError
from hardpan.events import Emit, Note
from hardpan.files import Sha256, sha256_bytes, sha256_file
from hardpan.problems import Problems
from hardpan.profiles.model import Layer, Profile
from hardpan.resources import resource_path

BUILT: Mapping[Layer, Callable[[Task], LayerReceipt]] = {
    "audit": audit.put,
    "kernel_hardening": kernel_hardening.put,
    "ml_cpu": ml_cpu.put,
    "ml_frameworks": ml_frameworks.put,
    "sovereign_stack": sovereign_stack.put,
    "amd_driver": amd_driver.put,
    "containers": containers.put,
    "cuda": cuda.put,
    "nvidia_driver": nvidia_driver.put,
    "rocm": rocm.put,
    "stig": stig.put,
    "tuning": tuning.put,
}
"""The layers whose roles exist; the others of ``hardpan.profiles.model.Layer`` come later."""

_NOT_SOURCE = {".ansible", "__pycache__"}


def check(profile: Profile) -> None:
    """Pass if every layer of the profile can be built.

    Raises:
        InputError: one cannot, not yet, or a repository has no address or no pinned key.
        SeveralError: more than one of these.
    """
    found = Problems()
    with found.of(STAGE):
        _check_built(profile)
    with found.of(STAGE):
        packages.check(profile)
    found.raise_all()


def _check_built(profile: Profile) -> None:
    missing = [name for name in profile.layers if name not in BUILT]
    if missing:
        raise InputError(
            f"{profile.name}: the layers {', '.join(missing)} are not built yet",
            hint="'hardpan render' shows what they will do; '--as iso' builds without layers",
        )


def apply(
    profile: Profile,
    guest: Guest,
    assessment: Assessment,
    *,
    cache: Path,
    emit: Emit,
) -> tuple[LayerReceipt, ...]:
    """Put the profile's layers on ``guest``, in the profile's order.

    Raises:
        ToolError: a task failed; its name and what it said are in the error.
        UnreachableError: the guest stopped answering.
        TrustError: it has another host key than the guest's, or a download is not the right one.
        InputError: a layer is not built yet.
    """
    check(profile)
    made = []
    for layer in profile.layers:
        emit(Note(stage=STAGE, text=f"layer {layer}"))
        with tempfile.TemporaryDirectory(prefix="hardpan-layer-") as name:
            task = Task(
                layer=layer,
                profile=profile,
                guest=guest,
                assessment=assessment,
                cache=cache,
                folder=Path(name),
                emit=emit,
            )
            made.append(BUILT[layer](task))
    return tuple(made)


def digest() -> Sha256:
    """Digest of everything that decides what the layers do, alike in a checkout and a wheel."""
    sources: dict[str, Sha256] = {}
    for folder in (PLAYBOOKS, resource_path("hardpan.builder.layers")):
        for path in folder.rglob("*"):
            name = path.relative_to(folder.parent)
            # pip compiles every Python file that it installs, those that go to the guest included.
            if path.is_file() and not _NOT_SOURCE & set(name.parts):
                sources[str(name)] = sha256_file(path)
    return sha256_bytes("".join(f"{n} {sources[n]}\n" for n in sorted(sources)).encode())
