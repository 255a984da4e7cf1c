"""Compare what a profile installs from the distribution with the packages on its install media.

Packages of vendors' repositories are not compared: their layers name other repositories, which
``hardpan repo check`` reads. Sources of what Anaconda installs by itself:
pyanaconda/modules/storage/bootloader/{efi,grub2}.py, modules/timezone/timezone.py,
modules/security/security.py of rhel-9 and rhel-10, and ``_packages`` of blivet's devices and
formats.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.dnf.package_index import build_index
from hardpan.builder.dnf.package_selection import CORE_GROUP, enabled_streams, select_packages
from hardpan.builder.dnf.selection_result import MissingItem, Selection
from hardpan.builder.media.repositories import (
    REQUIRED_VARIANTS,
    MediaContent,
    MediaKind,
)
from hardpan.core.errors import InputError, raise_if_any
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import DISTRIBUTION_REPOSITORY, plan_packages

ARCH = "x86_64"
_BOOT_LOADER = {
    ("uefi", "9"): ("grub2-efi-x64", "shim-x64", "efibootmgr", "grub2-tools"),
    ("uefi", "10"): (
        *("grub2-efi-x64", "shim-x64", "efibootmgr", "grub2-tools"),
        *("grub2-tools-extra", "grubby"),
    ),
    ("bios", "9"): ("grub2", "grub2-tools"),
    ("bios", "10"): ("grub2", "grub2-tools"),
}
_FILE_SYSTEM_PACKAGES = {"xfs": "xfsprogs", "ext4": "e2fsprogs", "efi": "dosfstools"}
_HINT = "'hardpan media inspect ISO' lists everything; fix the profile, or use the complete DVD"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPackages:
    """What a profile installs from its media, and what is missing on them."""

    profile: str
    base: Selection
    """Packages that the installer installs."""

    layers: Mapping[str, Selection]
    """Layer -> the distribution's packages that it installs later."""

    @property
    def missing(self) -> tuple[MissingItem, ...]:
        """Everything that is missing, each once."""
        selections = (self.base, *self.layers.values())
        return tuple(dict.fromkeys(item for s in selections for item in s.missing))

    @property
    def fatal(self) -> tuple[MissingItem, ...]:
        """What prevents the build."""
        return tuple(item for item in self.missing if item.is_fatal)


def require_usable(
    iso: Path, content: MediaContent, *, family: str, major: str, title: str
) -> None:
    """Check that the media are those of a distribution and have its repositories.

    Raises:
        InputError: they are boot or minimal media, or of another distribution, release or
            architecture.
    """
    hint = f"the profile uses {title}"
    if content.kind is MediaKind.BOOT:
        raise InputError(
            f"{iso}: expected install media with packages, got a boot ISO, which has none",
            hint=hint,
        )
    tree = content.tree
    if tree is not None and (tree.family, tree.major, tree.arch) != (family, major, ARCH):
        raise InputError(f"{iso}: expected {family} {major} {ARCH}, got {tree}", hint=hint)
    if content.kind is MediaKind.MINIMAL:
        available = [repository.id for repository in content.repositories]
        raise InputError(
            f"{iso}: expected the repositories {' and '.join(REQUIRED_VARIANTS)}, got only"
            f" {', '.join(available)}; a minimal ISO lacks packages that every profile installs",
            hint=hint,
        )


def compare_packages(profile: Profile, content: MediaContent) -> MediaPackages:
    """Resolve the profile's packages on the media."""
    specs = list(_installer_specs(profile, content))
    index = build_index(
        content.rpms,
        content.comps,
        content.modules,
        arch=ARCH,
        enabled_streams=enabled_streams(specs),
    )
    base = select_packages(
        index,
        specs,
        excluded=profile.packages.remove,
        required=tuple(_anaconda_packages(profile)),
    )
    return MediaPackages(
        profile=profile.name,
        base=base,
        layers={
            layer: select_packages(index, names)
            for layer, names in _layer_packages(profile).items()
        },
    )


def require_packages(iso: Path, packages: MediaPackages) -> None:
    """Check that nothing is missing.

    Raises:
        InputError: a package, group, environment or module is missing.
        AggregateError: more than one of these.
    """
    raise_if_any(
        [
            InputError(f"{packages.profile}: missing on {iso.name}: {item}", hint=_HINT)
            for item in packages.fatal
        ]
    )


def _installer_specs(profile: Profile, content: MediaContent) -> Iterator[str]:
    # Anaconda adds the group unless the kickstart has --nocore. Lab media may have no groups.
    if not profile.is_lab or content.comps.groups:
        yield f"@{CORE_GROUP}"
    yield from profile.install_packages


def _anaconda_packages(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield packages that Anaconda installs by itself, and for what."""
    if profile.is_lab:
        return
    yield "kernel", "the installer"
    major = profile.release.removeprefix("rocky")
    firmware = "bios" if profile.machine.firmware == "bios" else "uefi"
    for name in _BOOT_LOADER[firmware, major]:
        yield name, "the installer, for the boot loader"
    for fstype in dict.fromkeys(p.fstype for p in profile.storage.partitions):
        if fstype in _FILE_SYSTEM_PACKAGES:
            yield _FILE_SYSTEM_PACKAGES[fstype], f"the installer, for {fstype}"
    yield "lvm2", "the installer, for logical volumes"
    if profile.storage.encryption.mode == "luks2":
        yield "cryptsetup", "the installer, for LUKS"
    if profile.fips:
        yield "crypto-policies-scripts", "the installer, for FIPS mode"
    if profile.system.ntp_servers:
        yield "chrony", "the installer, for NTP servers"


def _layer_packages(profile: Profile) -> dict[str, tuple[str, ...]]:
    """Return the distribution's packages of each layer that has some."""
    names = {
        plan.layer: tuple(
            package.package
            for package in plan.packages or ()
            if package.repository.id == DISTRIBUTION_REPOSITORY
        )
        for plan in plan_packages(profile)
    }
    return {layer: packages for layer, packages in names.items() if packages}
