"""Packages that make an image boot on other hardware than the machine that built it.

Anaconda installs the boot loader of the build machine's firmware only, and dracut's default
initramfs has the drivers of the build machine only. Rocky's own cloud images take the same
packages (rocky-linux/kickstarts, r9 and r10: GenericCloud). x86_64 only, as all shipped profiles.
"""

from collections.abc import Mapping

BOOT_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "rocky9": (
        *("dracut-config-generic", "efibootmgr", "grub2-efi-x64", "grub2-pc", "grub2-pc-modules"),
        *("grub2-tools", "shim-x64"),
    ),
    "rocky10": (
        *("dracut-config-generic", "efibootmgr", "grub2-efi-x64", "grub2-pc", "grub2-pc-modules"),
        *("grub2-tools", "grubby", "shim-x64"),
    ),
}
"""Release -> packages of both boot loaders and of the generic initramfs."""

EXCLUDED_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "rocky9": ("dracut-config-rescue",),
    "rocky10": ("dracut-config-rescue",),
}
"""Release -> packages that duplicate it: a second, generic initramfs of the rescue entry."""
