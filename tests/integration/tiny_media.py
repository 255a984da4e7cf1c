"""Install media of a few megabytes in the two layouts of EL, written with xorriso and mtools.

What boots is a sector that does nothing; menus, boot records, partitions and the
FAT image are laid out as lorax lays them out.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.inspect import inspect_iso
from hardpan.core.files import sha256_file
from hardpan.core.process import run

LABEL = "TINY-10-0-x86_64"
_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_ISOLINUX = (
    Path("/usr/lib/ISOLINUX"),
    Path("/usr/lib/syslinux/modules/bios"),
    Path("/usr/share/syslinux"),
)
"""Where Debian and Fedora keep its parts."""

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

ISOLINUX = f"""\
default vesamenu.c32
timeout 600
display boot.msg
menu title Tiny 9.0

label linux
  menu label ^Install Tiny 9.0
  kernel /images/pxeboot/vmlinuz
  append initrd=/images/pxeboot/initrd.img inst.stage2=hd:LABEL={LABEL} quiet

label check
  menu label Test this ^media & install Tiny 9.0
  menu default
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL={LABEL} rd.live.check quiet

menu begin ^Troubleshooting
label rescue
  menu label ^Rescue a Tiny system
  text help
    label linux
  endtext
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL={LABEL} inst.rescue quiet
menu end
"""


def make_el10_media(workdir: Path, label: str = LABEL, *, joliet: bool = True) -> InstallMedia:
    """Media with GRUB for BIOS and an appended EFI partition."""
    return _describe_media(make_el10_iso(workdir, label, joliet=joliet))


def make_el10_iso(
    workdir: Path,
    label: str = LABEL,
    *,
    prepare: Callable[[Path], object] | None = None,
    fat_menu: bytes | None = MENU.encode(),
    joliet: bool = True,
) -> Path:
    """Write an ISO in the layout of EL 10 and return its path; it is not validated.

    ``prepare`` changes the tree before it is written. Without ``fat_menu`` the EFI image has a
    folder in its place.
    """
    tree = _make_tree(workdir, "boot/grub2")
    (tree / "images/eltorito.img").write_bytes(_SECTOR.ljust(8192, b"\0"))
    if prepare:
        prepare(tree)
    (workdir / "mbr.img").write_bytes(_SECTOR)
    iso = workdir / "tiny10.iso"
    argv: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R"]
    argv += ["-J", "-joliet-long"] if joliet else []
    argv += ["-V", label, "--grub2-mbr", workdir / "mbr.img", "-partition_offset", "16"]
    argv += [
        "-appended_part_as_gpt",
        "-append_partition",
        "2",
        _ESP,
        _make_fat_image(workdir, fat_menu),
    ]
    argv += ["--boot-catalog-hide", "-b", "images/eltorito.img", "-no-emul-boot"]
    argv += ["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    argv += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"]
    run([*argv, "-no-emul-boot", tree], timeout_s=60)
    return iso


def make_el9_media(workdir: Path, label: str = LABEL) -> InstallMedia:
    """Media with isolinux for BIOS and the EFI image inside ISO 9660."""
    tree = _make_tree(workdir, "isolinux")
    (tree / "images/efiboot.img").write_bytes(_make_fat_image(workdir).read_bytes())
    (tree / ".treeinfo").write_text(
        f"[checksums]\nimages/efiboot.img = sha256:{sha256_file(tree / 'images/efiboot.img')}\n"
    )
    return make_isolinux_media(tree, workdir / "tiny9.iso", label=label)


def make_isolinux_media(tree: Path, iso: Path, *, label: str) -> InstallMedia:
    """``tree`` as EL9's media are written: isohybrid, its EFI image also a GPT partition.

    ``images/efiboot.img`` is there; isolinux itself is the distribution's.
    """
    (tree / "isolinux").mkdir(exist_ok=True)
    (tree / "isolinux/isolinux.cfg").write_text(ISOLINUX.replace(LABEL, label))
    for name in ("isolinux.bin", "ldlinux.c32", "vesamenu.c32", "libcom32.c32", "libutil.c32"):
        (tree / "isolinux" / name).write_bytes(_isolinux_file(name).read_bytes())
    argv: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-J"]
    argv += ["-V", label, "-isohybrid-mbr", _isolinux_file("isohdpfx.bin")]
    argv += ["-b", "isolinux/isolinux.bin", "-no-emul-boot"]
    argv += ["-c", "isolinux/boot.cat", "-boot-load-size", "4", "-boot-info-table"]
    argv += ["-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot"]
    run([*argv, "-isohybrid-gpt-basdat", tree], timeout_s=60)
    return _describe_media(iso)


def _isolinux_file(name: str) -> Path:
    paths = [folder / name for folder in _ISOLINUX if (folder / name).exists()]
    if not paths:
        pytest.skip("isolinux is not installed: EL 10 has none any more")
    return paths[0]


def _make_tree(workdir: Path, menus: str) -> Path:
    tree = workdir / "tree"
    for folder in ("EFI/BOOT", "images/pxeboot", menus):
        (tree / folder).mkdir(parents=True)
    (tree / "EFI/BOOT/grub.cfg").write_text(MENU)
    if menus.startswith("boot"):
        (tree / menus / "grub.cfg").write_text(MENU)
    for name in ("vmlinuz", "initrd.img"):
        (tree / "images/pxeboot" / name).write_bytes(name.encode() * 100_000)
    return tree


def _make_fat_image(workdir: Path, menu: bytes | None = MENU.encode()) -> Path:
    image, menu_file = workdir / "esp.img", workdir / "grub.cfg"
    run(["mformat", "-C", "-i", image, "-T", "8192", "::"], timeout_s=30)
    run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], timeout_s=30)
    if menu is None:
        run(["mmd", "-i", image, "::/EFI/BOOT/grub.cfg"], timeout_s=30)
        return image
    menu_file.write_bytes(menu)
    run(["mcopy", "-i", image, menu_file, "::/EFI/BOOT/grub.cfg"], timeout_s=30)
    return image


def _describe_media(iso: Path) -> InstallMedia:
    return InstallMedia(
        path=iso,
        sha256=sha256_file(iso),
        size_bytes=iso.stat().st_size,
        volume_id=inspect_iso(iso).volume_id,
        name="tiny",
    )
