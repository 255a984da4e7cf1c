"""Collect what the layers need as a folder, which the ISO gets as ``/hardpan``.

The install copies it to ``RUNTIME_FOLDER``; ``hardpan-layers.service`` applies the layers at the
first boot and removes it. Nothing in it depends on the build machine: the same inputs give the same
bytes, names and modes.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.aide_database import AIDE_SCRIPT
from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.artifacts import IsoPayload, OfflineContent
from hardpan.builder.layers import registry
from hardpan.builder.layers.base import Layer, LayerPreparation
from hardpan.core.errors import InputError, raise_if_any
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import MiB, sha256_bytes, sha256_file
from hardpan.core.resources import resource_path
from hardpan.kickstart.offline import LAYERS_FOLDER
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS

SUMS = "SHA256SUMS"
CONTENT_NAME = "content.xml"
_STAGE = "iso"
_SHARED_ROLES = ("vendor_packages", "kernel_modules")
_SYSTEM_FILES = ("apply.sh", "hardpan-layers.service")
_MARGIN_MIB = 1024
"""Free space in MiB that remains in the partition of the copy for logs and the layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadRequest:
    """What the folder is made from."""

    profile: Profile
    content: OfflineContent
    cache: Path
    emit: Emit


def require_possible(profile: Profile) -> None:
    """Check that every layer of the profile can run on a machine without a network.

    Raises:
        InputError: one cannot; with the reason.
        AggregateError: more than one cannot.
    """
    hint = "build a disk image on a machine with a network, or leave the layer out"
    obstacles = [(x.name, x.offline_obstacle(profile)) for x in registry.layers_of(profile)]
    raise_if_any(
        [
            InputError(
                f"{profile.name}: --offline: expected layers that need no network, got {name}:"
                f" {obstacle}",
                hint=hint,
            )
            for name, obstacle in obstacles
            if obstacle
        ]
    )


def write_payload(request: PayloadRequest, folder: Path) -> IsoPayload:
    """Write everything to the empty ``folder``, and return what it is.

    Raises:
        InputError: a layer cannot run offline, or the partition of the copy is too small.
        HardpanError: as the preparation of each layer.
    """
    require_possible(request.profile)
    _copy_playbook(request.profile, folder / "ansible")
    for number, layer in enumerate(registry.layers_of(request.profile)):
        request.emit(StageMessage(stage=_STAGE, text=f"collecting layer {layer.name}"))
        _write_layer(request, layer, folder, f"layers/{number:02}-{layer.name}")
    system = resource_path("hardpan.builder.offline", "system")
    for name in _SYSTEM_FILES:
        shutil.copyfile(system / name, folder / name)
    (folder / "aide.sh").write_text(AIDE_SCRIPT, "utf-8")
    sums = "".join(f"{sha256_file(folder / name)}  {name}\n" for name in _list_names(folder))
    (folder / SUMS).write_text(sums, "utf-8")
    _set_modes(folder)
    payload = IsoPayload(
        folder=folder,
        sha256=sha256_bytes(sums.encode()),
        size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        file_count=sums.count("\n") + 1,
    )
    require_partition(request.profile, payload.size_bytes)
    return payload


def require_partition(profile: Profile, size_bytes: int) -> None:
    """Check that the partition that the install copies the folder to has space for it.

    Raises:
        InputError: it is too small.
    """
    candidates = [
        p
        for p in profile.storage.partitions
        if f"{LAYERS_FOLDER}/".startswith(f"{p.mount.rstrip('/')}/")
    ]
    partition = max(candidates, key=lambda p: len(p.mount))
    required_mib = MiB((size_bytes >> 20) + _MARGIN_MIB)
    if not partition.grow and partition.size_mib < required_mib:
        raise InputError(
            f"{profile.name}: storage: {partition.mount}: expected at least {required_mib} MiB for"
            f" the layers' files at the first boot, got {partition.size_mib} MiB",
            hint="enlarge the partition in your own profile",
        )


def _copy_playbook(profile: Profile, folder: Path) -> None:
    folder.mkdir()
    for name in ("site.yml", "ansible.cfg"):
        shutil.copyfile(PLAYBOOKS / name, folder / name)
    roles: list[str] = list(profile.layers)
    if any(name in CATALOG_LAYERS for name in roles):
        roles += _SHARED_ROLES
    ignore = shutil.ignore_patterns("__pycache__", ".ansible")
    for name in ("files", "shared", *(f"roles/{role}" for role in roles)):
        shutil.copytree(PLAYBOOKS / name, folder / name, ignore=ignore)


def _write_layer(request: PayloadRequest, layer: Layer, folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    runtime_folder = f"{LAYERS_FOLDER}/{name}"
    prepared = layer.prepare(
        LayerPreparation(
            layer=layer.name,
            profile=request.profile,
            assessment=request.content.assessment,
            cache=request.cache,
            folder=folder / name,
            emit=request.emit,
            runtime_folder=runtime_folder,
        )
    )
    variables = {
        **prepared.variables,
        "layer": layer.name,
        "ansible_become": False,
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    if layer.uses_assessment:
        (folder / name / CONTENT_NAME).write_bytes(request.content.data_stream)
        variables["stig_content"] = f"{runtime_folder}/{CONTENT_NAME}"
        variables["stig_profile_id"] = request.content.profile_id
    if layer.name in CATALOG_LAYERS:
        # The installer installed the packages: these are on the media, see ``media_packages``.
        variables[f"{layer.name}_repositories"] = []
    text = json.dumps(variables, indent=1, sort_keys=True)
    (folder / name / "variables.json").write_text(f"{text}\n", "utf-8")


def _list_names(folder: Path) -> Iterator[str]:
    """Yield the names of all files, sorted."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    yield from sorted(path.relative_to(folder).as_posix() for path in paths)


def _set_modes(folder: Path) -> None:
    """Give files and folders the same modes, whatever the umask and the sources are."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
