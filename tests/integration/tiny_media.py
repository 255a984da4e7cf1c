"""Install media of a few megabytes in the two layouts that EL has, made with xorriso and mtools.

What boots is a sector that does nothing; menus, boot records, partitions and the
FAT image are laid out as lorax lays them out.
"""

from pathlib import Path

from builder.media.inspect import facts
from builder.receipts import Media
from hardpan.files import sha256_file
from hardpan.process import run

LABEL = "TINY-10-0-x86_64"
_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_SECTOR = bytes([0xF4, 0xEB, 0xFD]).ljust(510, b"\0") + b"\x55\xaa"
MENU = f"""\
set default="1"
set timeout=60
search --no-floppy --set=root -l '{LABEL}'
menuentry 'Install Tiny 10.0' {{
\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL={LABEL} quiet
\tinitrd /images/pxeboot/initrd.img
}}
menuentry 'Test this media & install Tiny 10.0' {{
\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL={LABEL} rd.live.check quiet
\tinitrd /images/pxeboot/initrd.img
}}
submenu 'Troubleshooting -->' {{
\tmenuentry 'Rescue a Tiny system' {{
\t\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL={LABEL} inst.rescue quiet
\t\tinitrd /images/pxeboot/initrd.img
\t}}
}}
"""


def el10(room: Path, label: str = LABEL) -> Media:
    """Media with GRUB for BIOS and an appended EFI partition."""
    tree = _tree(room, "boot/grub2")
    (tree / "images/eltorito.img").write_bytes(_SECTOR.ljust(8192, b"\0"))
    (room / "mbr.img").write_bytes(_SECTOR)
    iso = room / "tiny10.iso"
    argv: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-J"]
    argv += ["-V", label, "--grub2-mbr", room / "mbr.img", "-partition_offset", "16"]
    argv += ["-appended_part_as_gpt", "-append_partition", "2", _ESP, _fat(room)]
    argv += ["--boot-catalog-hide", "-b", "images/eltorito.img", "-no-emul-boot"]
    argv += ["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    argv += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"]
    run([*argv, "-no-emul-boot", tree], timeout_s=60)
    return _media(iso)


def el9(room: Path) -> Media:
    """Media with isolinux for BIOS and the EFI image inside ISO 9660."""
    tree = _tree(room, "isolinux")
    (tree / "isolinux/isolinux.cfg").write_text("timeout 600\n")
    (tree / "isolinux/isolinux.bin").write_bytes(_SECTOR.ljust(2048, b"\0"))
    (tree / "images/efiboot.img").write_bytes(_fat(room).read_bytes())
    iso = room / "tiny9.iso"
    argv: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-J"]
    argv += ["-V", LABEL, "-b", "isolinux/isolinux.bin", "-no-emul-boot"]
    argv += ["-boot-load-size", "4", "-boot-info-table"]
    argv += ["-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot", tree]
    run(argv, timeout_s=60)
    return _media(iso)


def _tree(room: Path, menus: str) -> Path:
    tree = room / "tree"
    for folder in ("EFI/BOOT", "images/pxeboot", menus):
        (tree / folder).mkdir(parents=True)
    (tree / "EFI/BOOT/grub.cfg").write_text(MENU)
    if menus.startswith("boot"):
        (tree / menus / "grub.cfg").write_text(MENU)
    for name in ("vmlinuz", "initrd.img"):
        (tree / "images/pxeboot" / name).write_bytes(name.encode() * 100_000)
    return tree


def _fat(room: Path) -> Path:
    image, menu = room / "esp.img", room / "grub.cfg"
    menu.write_text(MENU)
    run(["mformat", "-C", "-i", image, "-T", "8192", "::"], timeout_s=30)
    run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], timeout_s=30)
    run(["mcopy", "-i", image, menu, "::/EFI/BOOT/grub.cfg"], timeout_s=30)
    return image


def _media(iso: Path) -> Media:
    return Media(
        path=iso,
        sha256=sha256_file(iso),
        size=iso.stat().st_size,
        volume_id=facts(iso).volume_id,
        name="tiny",
    )
