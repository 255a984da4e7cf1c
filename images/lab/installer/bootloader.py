# SPDX-License-Identifier: GPL-2.0-or-later
"""GRUB for BIOS and UEFI, the boot entry, and the kernel's arguments."""

from pathlib import Path

from .config_files import build_kernel_arguments, render_bls_entry, render_default_grub
from .console import InstallerConsole
from .plan import BootLoader, InstallError, PartitionKind, StoragePlan
from .process import SYSROOT, run
from .storage import InstallTarget

_MODULES = (
    "normal part_gpt lvm ext2 xfs fat linux boot configfile search search_fs_uuid search_label "
    "search_fs_file echo test terminal serial gfxterm all_video minicmd ls cat halt reboot "
    "loadenv gzio password password_pbkdf2 sleep true regexp gettext probe"
)
"""What the menu needs; copying GRUB's other 200 modules twice takes seconds in emulation."""


def grub_install_argv(kind: str, disk: str) -> list[str]:
    """Install GRUB for ``i386-pc`` into the disk, or for ``x86_64-efi`` as the removable loader."""
    argv = ["grub-install", f"--target={kind}", "--boot-directory=/boot", "--locales=", "--fonts=",
            "--themes=", f"--install-modules={_MODULES}"]  # fmt: skip
    if kind == "x86_64-efi":
        return [*argv, "--efi-directory=/boot/efi", "--removable", "--no-nvram"]
    return [*argv, disk]


def install_bootloader(
    bootloader: BootLoader,
    storage: StoragePlan,
    target: InstallTarget,
    console: InstallerConsole,
    *,
    cmdline: str,
    fips: bool,
) -> None:
    """Make the new system start.

    Raises:
        InstallError: the payload has no kernel, or GRUB cannot be installed.
    """
    version = _find_kernel_version()
    boot, root = target.find_mount("/boot"), target.find_mount("/")
    if root is None:
        raise InstallError("nothing is mounted at /")
    consoles = [w for w in cmdline.split() if w.startswith("console=")]
    arguments = build_kernel_arguments(
        consoles=consoles,
        append=bootloader.append,
        luks=target.luks_uuids,
        fips=fips,
        boot_uuid=boot.uuid if boot else None,
    )
    options = [f"root={root.spec}", "ro", *arguments]
    entry = render_bls_entry(
        title=_read_title(), version=version, prefix="" if boot else "/boot", options=options
    )
    _write_file(f"boot/loader/entries/hardpan-lab-{version}.conf", entry, 0o644)
    _write_file("etc/kernel/cmdline", " ".join(options) + "\n", 0o644)
    path = SYSROOT / "etc/default/grub"
    old = path.read_text("utf-8") if path.exists() else ""
    _write_file(
        "etc/default/grub", render_default_grub(old, arguments, bootloader.timeout_s), 0o644
    )
    if bootloader.password:
        _write_file("boot/grub2/user.cfg", f"GRUB2_PASSWORD={bootloader.password}\n", 0o600)
    kinds = {PartitionKind.BIOSBOOT: "i386-pc", PartitionKind.EFI: "x86_64-efi"}
    for kind in (name for k, name in kinds.items() if storage.has(k)):
        console.print_line(f"GRUB for {kind}")
        run(grub_install_argv(kind, target.disk), chroot=True, timeout_s=300)
    run(["grub-editenv", "/boot/grub2/grubenv", "create"], chroot=True, timeout_s=30)
    argv = ["grub-mkconfig", "-o", "/boot/grub2/grub.cfg"]
    run(argv, chroot=True, timeout_s=300)
    (SYSROOT / "boot/grub2/grub.cfg").chmod(0o600)


def _find_kernel_version() -> str:
    versions = sorted(p.name.removeprefix("vmlinuz-") for p in (SYSROOT / "boot").glob("vmlinuz-*"))
    if not versions:
        raise InstallError("the new system has no kernel in /boot")
    return versions[-1]


def _read_title() -> str:
    lines = (SYSROOT / "usr/lib/os-release").read_text("utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    name, version = (fields.get(k, "").strip('"') for k in ("NAME", "VERSION"))
    return f"{name} {version}".strip()


def _write_file(name: str, text: str, mode: int) -> None:
    path: Path = SYSROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
