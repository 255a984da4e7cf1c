# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot files of the media: kernel, initramfs, GRUB for BIOS and UEFI."""

import lzma
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.process import run
from images.lab import cpio
from images.lab.media_definition import LAB_FOLDER, MediaDefinition
from images.lab.root import require_inside, run_in_root

ESP_IMAGE = "esp.img"
MBR_IMAGE = "boot_hybrid.img"
"""Files that ``write_boot_files`` creates in its work folder."""

CHROOT_WORKDIR = "/run/hardpan-lab"
MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "sr_mod",
    "ahci",
    "ata_piix",
    "xhci_pci",
    "usb_storage",
    "isofs",
    "loop",
    "squashfs",
    "overlay",
)
"""Enough to find the media on any machine QEMU offers; the rest is in the image."""

MAX_MODULE_BYTES = 64 << 20
"""Of one kernel module, unpacked; the largest, of graphics cards, have some 10 MiB."""

_REQUIRED_MODULES = frozenset({"virtio_blk", "sr_mod", "isofs", "loop", "squashfs", "overlay"})
_SIGNED_LOADERS = {
    "BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
    "mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
}
"""Loaders in ``EFI/BOOT`` -> Debian's file."""

_SIGNED_GRUB_FILES = {
    ".disk/info": "hardpan lab\n",
    "boot/grub/grub.cfg": "source ($root)/EFI/BOOT/grub.cfg\n",
}
"""What Debian's signed GRUB for CDs searches: the configuration in its image, which only Debian can
change, looks for a device with the first file and reads the second one there. EL's reads
``EFI/BOOT/grub.cfg`` at once."""

_BIOS_MODULES = ("biosdisk", "iso9660", "part_gpt", "part_msdos", "search", "search_label")
_CONSOLES = "console=tty0 console=ttyS0,115200"
_QUIRKS = "loglevel=5 clearcpuid=cx16 no_timer_check"
"""QEMU 7.2's emulator computes wrong flags in cmpxchg16b; see overlay/etc/default/grub."""


def order_modules(names: Iterable[str], dependencies: str, builtin: str) -> list[str]:
    """Return the paths of modules and their dependencies in loading order.

    ``dependencies`` is modules.dep, ``builtin`` is modules.builtin. Built-in
    modules, and optional ones that the kernel lacks, are skipped.

    Raises:
        InputError: the kernel lacks a module without which no media is found.
    """
    dependency_paths = {
        path: [*reversed(dependency_list.split())]
        for path, _, dependency_list in (line.partition(":") for line in dependencies.splitlines())
    }
    path_by_name = {_module_name(path): path for path in dependency_paths}
    built_in = {_module_name(path) for path in builtin.splitlines()}
    order: list[str] = []
    for name in names:
        path = path_by_name.get(name)
        if path is None:
            if name in _REQUIRED_MODULES and name not in built_in:
                raise InputError(f"the kernel of the lab's suite has no module {name}")
            continue
        order += [p for p in (*dependency_paths[path], path) if p not in order]
    return order


def build_initramfs(root: Path, kernel: str) -> bytes:
    """The media's initramfs: busybox, a few modules, one script. Uncompressed: it is small."""
    tree = root / "usr/lib/modules" / kernel
    order = order_modules(
        MODULES, (tree / "modules.dep").read_text(), (tree / "modules.builtin").read_text()
    )
    items = [
        cpio.directory_entry(n) for n in ("bin", "dev", "modules", "proc", "run", "sys", "sysroot")
    ]
    items.append(cpio.CpioEntry(name="dev/console", mode=stat.S_IFCHR | 0o600, device=(5, 1)))
    items.append(cpio.file_entry("init", (LAB_FOLDER / "initrd.sh").read_bytes(), 0o755))
    items += [
        cpio.file_entry(f"modules/{_module_name(p)}.ko", _read_module(tree / p)) for p in order
    ]
    names = "".join(f"{_module_name(p)}.ko\n" for p in order)
    items.append(cpio.file_entry("modules/order", names.encode()))
    items += _collect_program(root, "usr/bin/busybox", "bin/busybox")
    return cpio.build_archive(items)


def render_grub_cfg(definition: MediaDefinition) -> str:
    """The menu; the same text for BIOS and UEFI."""
    label = definition.volume_label
    major = definition.release.partition(".")[0]
    stage2 = f"inst.stage2=hd:LABEL={label}"
    entries = (
        (f"Install hardpan lab {major}", ""),
        (f"Install hardpan lab {major} in FIPS mode", " fips=1"),
    )
    head = (
        "set default=0\n"
        "set timeout=5\n"
        "serial --unit=0 --speed=115200\n"
        "terminal_input console serial\n"
        "terminal_output console serial\n"
        f"search --no-floppy --set=root -l '{label}'\n"
    )
    return head + "".join(
        f"\nmenuentry '{title}' --class hardpan --class os {{\n"
        f"\tlinux /images/pxeboot/vmlinuz {stage2}{fips} {_QUIRKS} {_CONSOLES}\n"
        "\tinitrd /images/pxeboot/initrd.img\n"
        "}\n"
        for title, fips in entries
    )


def collect_boot_loaders(root: Path, work: Path) -> None:
    """Copy the signed boot loaders of the media from the Debian root into ``work``."""
    for name, source in _SIGNED_LOADERS.items():
        shutil.copyfile(require_inside(root, root / source), work / name)


def write_boot_files(
    definition: MediaDefinition, root: Path, kernel: str, tree: Path, work: Path
) -> None:
    """Write all boot files into the media's tree, and the boot records' images into ``work``.

    ``work`` has the boot loaders of ``collect_boot_loaders``.
    """
    pxeboot = tree / "images/pxeboot"
    pxeboot.mkdir(parents=True)
    image = require_inside(root, root / f"boot/vmlinuz-{kernel}")
    shutil.copyfile(image, pxeboot / "vmlinuz")
    (pxeboot / "initrd.img").write_bytes(build_initramfs(root, kernel))
    menu = render_grub_cfg(definition)
    for folder in ("boot/grub2", "EFI/BOOT"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / "grub.cfg").write_text(menu, "utf-8")
    for name, text in _SIGNED_GRUB_FILES.items():
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(text, "utf-8")
    modules = tree / "boot/grub2/i386-pc"
    shutil.copytree(root / "usr/lib/grub/i386-pc", modules, ignore=shutil.ignore_patterns("*.img"))
    run_in_root(
        root,
        ["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot/grub2",
         "-o", f"{CHROOT_WORKDIR}/eltorito.img", *_BIOS_MODULES],
        timeout_s=60,
        binds={work: CHROOT_WORKDIR},
    )  # fmt: skip
    shutil.copyfile(work / "eltorito.img", tree / "images/eltorito.img")
    for name in _SIGNED_LOADERS:
        shutil.copyfile(work / name, tree / "EFI/BOOT" / name)
    shutil.copyfile(root / "usr/lib/grub/i386-pc/boot_hybrid.img", work / MBR_IMAGE)
    esp_files = {name: work / name for name in _SIGNED_LOADERS}
    _write_esp_image({**esp_files, "grub.cfg": tree / "EFI/BOOT/grub.cfg"}, work)


def _write_esp_image(files: Mapping[str, Path], work: Path) -> None:
    """Write a FAT image with ``/EFI/BOOT``, large enough for a longer menu."""
    image = work / ESP_IMAGE
    hint = "install mtools"
    run(["mformat", "-C", "-i", image, "-T", "16384", "-N", "48504c42", "::"], timeout_s=30,
        hint=hint)  # fmt: skip
    run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], timeout_s=30)
    for name, source in files.items():
        run(["mcopy", "-i", image, source, f"::/EFI/BOOT/{name}"], timeout_s=30)


def _collect_program(root: Path, source: str, archive_path: str) -> list[cpio.CpioEntry]:
    """Return a program of the root and the libraries it is linked with."""
    output = run_in_root(root, ["ldd", f"/{source}"], timeout_s=30).stdout
    libraries = re.findall(r"(/\S+) \(0x", output)
    items = [cpio.file_entry(archive_path, (root / source).read_bytes(), 0o755)]
    names: set[str] = set()
    for library in libraries:
        data = require_inside(root, root / library[1:]).resolve().read_bytes()
        for part in Path(library[1:]).parents:
            names.add(part.as_posix())
        items.append(cpio.file_entry(library[1:], data, 0o755))
    folders = sorted(names - {"."})
    return [*map(cpio.directory_entry, folders), *items]


def _read_module(path: Path) -> bytes:
    """Read and decompress a kernel module, up to a size limit.

    Raises:
        InputError: it is larger, or not XZ data.
    """
    data = path.read_bytes()
    if path.suffix != ".xz":
        return data
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    try:
        unpacked = decompressor.decompress(data, MAX_MODULE_BYTES)
    except lzma.LZMAError as e:
        raise InputError(f"{path}: expected XZ data, got: {e}") from e
    if not decompressor.eof:
        raise InputError(f"{path}: cut off, or unpacks to more than {MAX_MODULE_BYTES} bytes")
    return unpacked


def _module_name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")
