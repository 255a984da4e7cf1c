# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot loader of this machine's firmware, the boot entry, and the kernel's arguments.

As EL's installer: a machine with BIOS gets GRUB in the disk, a machine with UEFI gets the signed
shim and GRUB of the packages, a stub grub.cfg in the vendor's folder and an entry in NVRAM. The
other loader is the kickstart's task (anaconda 34, modules/storage/bootloader/efi.py: EFIGRUB).
"""

import re
from pathlib import Path

from .config_files import (
    Mount,
    build_kernel_arguments,
    render_bls_entry,
    render_default_grub,
    render_grub_stub,
)
from .console import InstallerConsole
from .plan import BootLoader, InstallError, PartitionKind, StoragePlan
from .process import SYSROOT, run
from .storage import InstallTarget

EFI_FIRMWARE = Path("/sys/firmware/efi")
"""Exists if the firmware of this machine is UEFI."""

VENDOR_FOLDER = "boot/efi/EFI/debian"
"""EL's is named after the distribution; the prefix of Debian's signed GRUB is fixed."""

_ENTRY_LABEL = "hardpan lab"
_SHIM = r"\EFI\debian\shimx64.efi"
_MODULES = (
    "normal part_gpt lvm ext2 xfs fat linux boot configfile search search_fs_uuid search_label "
    "search_fs_file echo test terminal serial gfxterm all_video minicmd ls cat halt reboot "
    "loadenv gzio password password_pbkdf2 sleep true regexp gettext probe"
)
"""What the menu needs; copying GRUB's other 200 modules takes seconds in emulation."""


def grub_install_argv(disk: str) -> list[str]:
    """Install GRUB for BIOS into the disk."""
    argv = ["grub-install", "--target=i386-pc", "--boot-directory=/boot", "--locales=", "--fonts="]
    return [*argv, "--themes=", f"--install-modules={_MODULES}", disk]


def install_bootloader(
    bootloader: BootLoader,
    storage: StoragePlan,
    target: InstallTarget,
    console: InstallerConsole,
    *,
    cmdline: str,
    fips: bool,
) -> None:
    """Make the new system start on this machine.

    Raises:
        InstallError: the payload has no kernel, the disk has no partition for this firmware's
            boot loader, or it cannot be installed.
    """
    version = _find_kernel_version()
    boot, root = target.find_mount("/boot"), target.find_mount("/")
    if root is None:
        raise InstallError("nothing is mounted at /")
    consoles = [w for w in cmdline.split() if w.startswith("console=")]
    arguments = build_kernel_arguments(
        consoles=consoles,
        append=bootloader.append,
        volumes=[f"{v.group}/{v.name}" for v in storage.volumes if v.mount == "/"],
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
    if EFI_FIRMWARE.exists():
        console.print_line("boot loader for UEFI")
        _install_for_uefi(target, boot or root, is_separate=boot is not None)
    else:
        console.print_line("boot loader for BIOS")
        _install_for_bios(storage, target.disk)
    run(["grub-editenv", "/boot/grub2/grubenv", "create"], chroot=True, timeout_s=30)
    argv = ["grub-mkconfig", "-o", "/boot/grub2/grub.cfg"]
    run(argv, chroot=True, timeout_s=300)
    (SYSROOT / "boot/grub2/grub.cfg").chmod(0o600)


def _install_for_bios(storage: StoragePlan, disk: str) -> None:
    if not storage.has(PartitionKind.BIOSBOOT):
        raise InstallError(
            "a BIOS machine needs a partition of type biosboot to start from a GPT disk"
        )
    run(grub_install_argv(disk), chroot=True, timeout_s=300)


def _install_for_uefi(target: InstallTarget, boot: Mount, *, is_separate: bool) -> None:
    """Add the NVRAM entry and the stub that leads GRUB from the ESP to ``/boot/grub2``."""
    esp = target.find_mount("/boot/efi")
    if esp is None:
        raise InstallError("a UEFI machine needs an EFI system partition, mounted at /boot/efi")
    entries = run(["efibootmgr"], chroot=True, timeout_s=60).output
    for number in find_entries(entries):
        run(["efibootmgr", "-q", "-b", number, "-B"], chroot=True, timeout_s=60)
    (partition,) = re.findall(r"\d+$", esp.device)
    argv = ["efibootmgr", "-q", "-c", "-w", "-L", _ENTRY_LABEL, "-d", target.disk]
    run([*argv, "-p", partition, "-l", _SHIM], chroot=True, timeout_s=60)
    stub = render_grub_stub(boot.uuid, "/grub2" if is_separate else "/boot/grub2")
    _write_file(f"{VENDOR_FOLDER}/grub.cfg", stub, 0o700)


def find_entries(listing: str) -> list[str]:
    """Return the numbers of the lab's boot entries in the output of efibootmgr."""
    pattern = rf"^Boot([0-9A-Fa-f]{{4}})[* ] {_ENTRY_LABEL}(?:\t.*)?$"
    return re.findall(pattern, listing, re.MULTILINE)


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
