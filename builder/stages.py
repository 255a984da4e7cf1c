"""The stages of a build: description, needed disk space, cache key and outputs of each.

Base installs and assessments are stored in the cache folder under the digest of their inputs, so
that builds of the same profile into other folders reuse them. An input that is None is not known
yet: a dry run describes such a stage, a build cannot run it.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hardpan.builder import python_stacks, resource_needs, sysprep
from hardpan.builder.layers import registry
from hardpan.builder.media import remaster
from hardpan.builder.vm.disk_format import DiskFormat
from hardpan.core.files import Sha256, sha256_bytes, sha256_file
from hardpan.core.stage_cache import CachedStage, digest_code
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import Fix

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
) -> CachedStage:
    """Describe the stage that writes the unattended ISO.

    ``media_bytes`` is the size of the install media; 0 if it is unknown.
    """
    inputs = None
    if media_sha256 is not None:
        inputs = {
            "media": media_sha256,
            "kickstart": sha256_bytes(kickstart_text.encode()),
            "arguments": list(boot_options),
        }
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
        folder=cache_folder / "installs",
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


def harden_stage(
    profile: Profile,
    output_folder: Path,
    *,
    base_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
    packages_bytes: int = 0,
) -> CachedStage:
    """Describe the stage that applies the profile's layers and generalizes the image.

    ``packages_bytes`` is the installed size of the base's packages; 0 if it is not known.

    Raises:
        InputError: the lock of a stack is missing or malformed; only if both digests are known.
    """
    inputs = None
    if base_sha256 is not None and content_sha256 is not None:
        inputs = {
            "base": base_sha256,
            "content": content_sha256,
            "profile": profile_digest(profile),
            "assessment": digest_code(*ASSESSMENT_CODE),
            "layers": registry.digest_layers(),
            "stacks": python_stacks.digest_inputs(profile),
            "sysprep": sha256_file(Path(str(sysprep.__file__))),
        }
    return CachedStage(
        name="harden",
        description=f"apply layers: {', '.join(profile.layers)}; then generalize the image",
        folder=output_folder,
        inputs=inputs,
        output_names=(f"{profile.name}.qcow2",),
        is_private=True,
        required_mib=resource_needs.harden_required_mib(profile, packages_bytes),
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
