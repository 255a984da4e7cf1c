"""The stages of a build: description, needed disk space, cache key and outputs of each.

Base installs, assessments, layers and the generalized disk are stored in the cache folder under the
digest of their inputs, so that builds into other folders reuse them. A layer is an overlay (qcow2)
of the disk before it, and has the digest of that disk among its inputs: it is never used on another
disk. An input that is None is not known yet: a dry run describes such a stage, a build cannot run
it.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hardpan.builder import resource_needs, sysprep
from hardpan.builder.layers import inputs as layer_inputs
from hardpan.builder.layers.base import Layer
from hardpan.builder.media import remaster
from hardpan.builder.vm.disk_format import DiskFormat
from hardpan.core import clock
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.stage_cache import CachedStage, digest_code
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import Fix

INSTALLS_FOLDER = "installs"
LAYERS_FOLDER = "layers"
LAYER_PREFIX = "layer-"
"""First part of the name of each stage that applies a layer."""

OVERLAY_NAME = "disk.qcow2"
_SCANNERS = "hardpan.scanners"
ASSESSMENT_CODE = (
    *(f"{_SCANNERS}.{name}" for name in ("collect", "content", "model", "openscap", "pipeline")),
    "hardpan.ssh",
)
"""Modules that decide which rules fail, and their fixes. They are read here, never imported."""

FORMAT_OVERHEAD_MIB = 64
"""Tables and logs of a disk image format."""


def iso_stage(
    profile: Profile,
    output_folder: Path,
    *,
    media_sha256: Sha256 | None,
    media_bytes: int = 0,
    kickstart_text: str,
    boot_options: Sequence[str],
    waits_for_key: bool = True,
    payload_sha256: str = "",
) -> CachedStage:
    """Describe the stage that writes the unattended ISO.

    ``media_bytes`` is the size of the install media, with that of the layers' files if the ISO gets
    them; 0 if it is unknown. ``payload_sha256`` is the digest of their list.
    """
    inputs = None
    if media_sha256 is not None:
        inputs = {
            "media": media_sha256,
            "kickstart": sha256_bytes(kickstart_text.encode()),
            "arguments": list(boot_options),
            "waits_for_key": waits_for_key,
        }
        if payload_sha256:
            inputs["layers"] = payload_sha256
    return CachedStage(
        name="iso",
        description="add the kickstart to the install media, and read it back",
        folder=output_folder,
        inputs=inputs,
        output_names=(f"{profile.name}.iso",),
        is_private=True,
        required_mib=remaster.required_mib(media_bytes) if media_bytes else 0,
        required_in=output_folder,
    )


def install_stage(
    profile: Profile, cache_folder: Path, *, iso_sha256: Sha256 | None, packages_bytes: int = 0
) -> CachedStage:
    """Describe the stage that installs the base system from the ISO.

    ``packages_bytes`` is the installed size of its packages; 0 if it is not known.
    """
    inputs = None
    if iso_sha256 is not None:
        inputs = {
            "iso": iso_sha256,
            "size_mib": profile.disk_size_mib,
            "machine": profile.machine.model_dump(mode="json"),
        }
    return CachedStage(
        name="install",
        description=f"boot the ISO and install to a disk of {profile.disk_size_mib} MiB",
        folder=cache_folder / INSTALLS_FOLDER,
        inputs=inputs,
        output_names=("base.qcow2",),
        is_shared=True,
        is_private=True,
        required_mib=resource_needs.install_required_mib(packages_bytes),
        required_in=cache_folder,
    )


def assess_stage(
    profile: Profile,
    cache_folder: Path,
    *,
    base_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
) -> CachedStage:
    """Describe the scan before hardening: the same base and content fail the same rules."""
    inputs = None
    if base_sha256 is not None and content_sha256 is not None:
        inputs = {
            "base": base_sha256,
            "content": content_sha256,
            "profile_id": profile.stig.profile_id,
            "fix_fields": [field.name for field in fields(Fix)],
            "code": digest_code(*ASSESSMENT_CODE),
        }
    return CachedStage(
        name="assess",
        description="boot the base system and scan it",
        folder=cache_folder / "assessments",
        inputs=inputs,
        is_shared=True,
    )


def layer_stage(
    profile: Profile,
    cache_folder: Path,
    layer: Layer,
    *,
    disk_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
) -> CachedStage:
    """Describe the stage that applies ``layer`` to a disk, and writes an overlay of it.

    ``disk_sha256`` is the digest of that disk: the base install or the layer before.

    Raises:
        InputError: the lock of a stack is missing or malformed; only if both digests are known.
    """
    inputs: dict[str, object] | None = None
    if disk_sha256 is not None and content_sha256 is not None:
        inputs = {"disk": disk_sha256, **layer_inputs.describe_inputs(profile, layer)}
        if layer.uses_assessment:
            inputs["content"] = content_sha256
            inputs["assessment"] = digest_code(*ASSESSMENT_CODE)
            expired = profile.stig.expired_waivers(clock.now().date())
            inputs["expired waivers"] = [waiver.label for waiver in expired]
    return CachedStage(
        name=f"{LAYER_PREFIX}{layer.name}",
        description=layer.describe(profile),
        folder=cache_folder / LAYERS_FOLDER,
        inputs=inputs,
        output_names=(OVERLAY_NAME,),
        is_shared=True,
        is_private=True,
        required_mib=resource_needs.layer_required_mib(profile, layer.name),
        required_in=cache_folder,
    )


def sysprep_stage(
    profile: Profile, cache_folder: Path, *, disk_sha256: Sha256 | None, public_key: str
) -> CachedStage:
    """Describe the stage that generalizes the disk of the last layer, on an overlay.

    ``public_key`` is the operator's authorized_keys line.
    """
    inputs: dict[str, object] | None = None
    if disk_sha256 is not None:
        key = sysprep.removed_key(profile, public_key)
        inputs = {
            "disk": disk_sha256,
            "removed key": "" if key is None else sha256_bytes(f"{key}".encode()),
            "code": digest_code(
                *(
                    f"hardpan.builder.{name}"
                    for name in ("aide_database", "first_boot", "hardening", "sysprep")
                )
            ),
        }
    return CachedStage(
        name="sysprep",
        description="remove identity, secrets and logs",
        folder=cache_folder / LAYERS_FOLDER,
        inputs=inputs,
        output_names=(OVERLAY_NAME,),
        is_shared=True,
        is_private=True,
        required_mib=resource_needs.OVERLAY_MIB,
        required_in=cache_folder,
    )


def image_stage(
    profile: Profile,
    output_folder: Path,
    *,
    disk_sha256: Sha256 | None,
    packages_bytes: int = 0,
) -> CachedStage:
    """Describe the stage that writes the generalized disk as one file without free blocks.

    ``packages_bytes`` is the installed size of the base's packages; 0 if it is not known.
    """
    return CachedStage(
        name="image",
        description="write the image as one file without free blocks",
        folder=output_folder,
        inputs=None if disk_sha256 is None else {"disk": disk_sha256},
        output_names=(f"{profile.name}.qcow2",),
        is_private=True,
        required_mib=resource_needs.image_mib(profile, packages_bytes),
        required_in=output_folder,
    )


def format_stage(
    profile: Profile,
    output_folder: Path,
    disk_format: DiskFormat,
    *,
    image_sha256: Sha256 | None,
    packages_bytes: int = 0,
) -> CachedStage:
    """Describe the stage that converts the finished image to another format.

    ``packages_bytes`` is the installed size of the base's packages; 0 if it is not known.
    """
    inputs = None
    if image_sha256 is not None:
        inputs = {
            "image": image_sha256,
            "driver": disk_format.driver,
            "options": list(disk_format.options),
        }
    return CachedStage(
        name=disk_format.name,
        description=f"convert the image, for {disk_format.purpose}",
        folder=output_folder,
        inputs=inputs,
        output_names=(f"{profile.name}{disk_format.suffix}",),
        is_private=True,
        required_mib=resource_needs.image_mib(profile, packages_bytes) + FORMAT_OVERHEAD_MIB,
        required_in=output_folder,
    )
