# SPDX-License-Identifier: GPL-2.0-or-later
"""The new system's initramfs: dracut's, host-only unless the generic one is asked for."""

from .console import InstallerConsole
from .plan import InstallError
from .process import SYSROOT, run

_GENERIC_CONFIG = "usr/lib/dracut/dracut.conf.d/50-generic.conf"
"""File of dracut-config-generic."""

_FIPS_CONFIG = "etc/dracut.conf.d/40-fips.conf"
_TIMEOUT_S = 1800


def dracut_argv(kernel: str) -> list[str]:
    """Make the initramfs of one kernel with the new system's configuration."""
    return ["dracut", "--force", "--quiet", f"/boot/initramfs-{kernel}.img", kernel]


def make_initramfs(console: InstallerConsole, *, fips: bool) -> None:
    """Make the initramfs that EL's kernel package makes: with the drivers of this machine only.

    With dracut-config-generic it would be the one that the media's build made with the same
    dracut and settings; that one stays, because an emulated guest takes minutes for it.

    Raises:
        InstallError: there is no kernel, or dracut failed.
    """
    kernels = sorted(p.name.removeprefix("vmlinuz-") for p in (SYSROOT / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise InstallError("the new system has no kernel in /boot")
    if fips:
        # As EL writes it: later kernels' initramfs has the self-test, too.
        path = SYSROOT / _FIPS_CONFIG
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('# turn on fips module\n\nadd_dracutmodules+=" fips "\n', "utf-8")
    if (SYSROOT / _GENERIC_CONFIG).exists():
        console.print_line("initramfs: the generic one of the media (dracut-config-generic)")
        return
    console.print_line("initramfs: dracut makes a host-only one")
    for kernel in kernels:
        run(dracut_argv(kernel), chroot=True, timeout_s=_TIMEOUT_S)
