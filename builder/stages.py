"""What the result of each stage is known by, and where it lies.

Media, base installs and assessments are kept in the cache folder by the digest of
what went into them, so that two outputs of the same profile share them.
"""

from collections.abc import Sequence
from pathlib import Path

from hardpan.builder import python_stacks, sysprep
from hardpan.builder.layers import registry
from hardpan.core.files import Sha256, sha256_bytes, sha256_file
from hardpan.core.stage_cache import CachedStage, cache_key
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.profile import Profile


def iso_stage(
    profile: Profile,
    output_folder: Path,
    *,
    media_sha256: Sha256,
    kickstart_text: str,
    boot_options: Sequence[str],
) -> CachedStage:
    """The unattended ISO with the kickstart ``text``."""
    return CachedStage(
        name="iso",
        folder=output_folder,
        inputs={
            "media": media_sha256,
            "kickstart": sha256_bytes(kickstart_text.encode()),
            "arguments": list(boot_options),
        },
        outputs=(output_folder / f"{profile.name}.iso",),
        is_private=True,
    )


def install_stage(profile: Profile, cache_folder: Path, *, iso_sha256: Sha256) -> CachedStage:
    """The system as the installer leaves it."""
    inputs = {
        "iso": iso_sha256,
        "size_mib": profile.disk_size_mib,
        "machine": profile.machine.model_dump(mode="json"),
    }
    folder = cache_folder / "installs" / cache_key(inputs)[:24]
    return CachedStage(
        name="install",
        folder=folder,
        inputs=inputs,
        outputs=(folder / "base.qcow2",),
        is_private=True,
    )


def assess_stage(
    profile: Profile, cache_folder: Path, *, base_sha256: Sha256, content_sha256: Sha256
) -> CachedStage:
    """The scan before hardening: the same base and content always fail the same rules."""
    inputs = {
        "base": base_sha256,
        "content": content_sha256,
        "profile_id": profile.stig.profile_id,
    }
    folder = cache_folder / "assessments" / cache_key(inputs)[:24]
    return CachedStage(name="assess", folder=folder, inputs=inputs)


def harden_stage(
    profile: Profile, output_folder: Path, *, base_sha256: Sha256, content_sha256: Sha256
) -> CachedStage:
    """The base with the profile's layers, sealed.

    Raises:
        InputError: a stack's lock is missing or is none.
    """
    return CachedStage(
        name="harden",
        folder=output_folder,
        inputs={
            "base": base_sha256,
            "content": content_sha256,
            "profile": profile_digest(profile),
            "layers": registry.digest_layers(),
            "stacks": python_stacks.digest_inputs(profile),
            "seal": sha256_file(Path(str(sysprep.__file__))),
        },
        outputs=(output_folder / f"{profile.name}.qcow2",),
        is_private=True,
    )
