"""What the result of each stage is known by, and where it lies.

Media, base installs and assessments are kept in the cache folder by the digest of
what went into them, so that two outputs of the same profile share them.
"""

from collections.abc import Sequence
from pathlib import Path

from hardpan.builder import seal, stacks
from hardpan.builder.layers import registry
from hardpan.files import Sha256, sha256_bytes, sha256_file
from hardpan.profiles.load import digest
from hardpan.profiles.model import Profile
from hardpan.resume import Step, key


def iso(
    profile: Profile, out: Path, *, media_sha256: Sha256, text: str, arguments: Sequence[str]
) -> Step:
    """The unattended ISO with the kickstart ``text``."""
    return Step(
        name="iso",
        folder=out,
        inputs={
            "media": media_sha256,
            "kickstart": sha256_bytes(text.encode()),
            "arguments": list(arguments),
        },
        outputs=(out / f"{profile.name}.iso",),
        private=True,
    )


def install(profile: Profile, cache: Path, *, iso_sha256: Sha256) -> Step:
    """The system as the installer leaves it."""
    inputs = {
        "iso": iso_sha256,
        "size_mib": profile.disk_size_mib,
        "machine": profile.machine.model_dump(mode="json"),
    }
    folder = cache / "installs" / key(inputs)[:24]
    return Step(
        name="install",
        folder=folder,
        inputs=inputs,
        outputs=(folder / "base.qcow2",),
        private=True,
    )


def assess(profile: Profile, cache: Path, *, base_sha256: Sha256, content_sha256: Sha256) -> Step:
    """The scan before hardening: the same base and content always fail the same rules."""
    inputs = {
        "base": base_sha256,
        "content": content_sha256,
        "profile_id": profile.stig.profile_id,
    }
    folder = cache / "assessments" / key(inputs)[:24]
    return Step(name="assess", folder=folder, inputs=inputs)


def harden(profile: Profile, out: Path, *, base_sha256: Sha256, content_sha256: Sha256) -> Step:
    """The base with the profile's layers, sealed.

    Raises:
        InputError: a stack's lock is missing or is none.
    """
    return Step(
        name="harden",
        folder=out,
        inputs={
            "base": base_sha256,
            "content": content_sha256,
            "profile": digest(profile),
            "layers": registry.digest(),
            "stacks": stacks.digest(profile),
            "seal": sha256_file(Path(str(seal.__file__))),
        },
        outputs=(out / f"{profile.name}.qcow2",),
        private=True,
    )
