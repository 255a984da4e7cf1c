"""Install media made unattended: rootless, reproducible, bootable as CD and as USB disk.

On USB with UEFI it is the menu in the FAT image that counts, from CD the one in
ISO 9660, so both are edited (weldr/lorax#1292). Shim, GRUB, kernel and initrd are
left alone: Secure Boot and the FIPS self-test of the installer depend on them.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.media.boot_menu import IN_FAT, MAX_BYTES, MENUS, BootMenu
from hardpan.builder.media.inspect import (
    MAX_FILE_BYTES,
    XORRISO_MEMORY_BYTES,
    Facts,
    IsoFile,
    check_names,
    copy_bytes,
    exists,
    extract,
    facts,
    find_files,
)
from hardpan.builder.receipts import Iso, Media
from hardpan.errors import InputError, ToolError
from hardpan.events import Emit, Note
from hardpan.extracted_files import create_file, read_bytes
from hardpan.files import PRIVATE, atomic_path, need_free, sha256_bytes, sha256_file
from hardpan.limited_process import ProcessLimits, run_limited
from hardpan.process import run

_KICKSTART = "/ks.cfg"
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_DATE, _EPOCH_S = "2020010100000000", 1577836800
_LABEL = re.compile(r"[A-Z0-9_-]{1,32}")
_NAMED_LABEL = re.compile(r"=hd:LABEL=([^:]*)")
_TIMEOUT_S = 900
_STAGE = "iso"
_GROWTH_BYTES = 1 << 30
"""What the result may have more than the media, before xorriso is stopped."""

_LITTLE_MIB = 64
_MTOOLS_MEMORY_BYTES = 1 << 30
_MTOOLS_S = 60


def remaster(
    media: Media,
    kickstart_text: str,
    out: Path,
    *,
    arguments: Sequence[str],
    secret: bool,
    emit: Emit,
    volume_id: str | None = None,
) -> Iso:
    """``media`` with the kickstart on it and a menu that obeys it, written to ``out``.

    The same inputs give the same bytes. The volume label stays that of the media
    unless ``volume_id`` gives another. The kickstart has password hashes at least, so
    the ISO is for its owner alone; ``secret`` says that it has a passphrase as well.

    Raises:
        InputError: the media's boot menu is not understood, the label has blanks or is
            too long, or the media holds what install media never do.
        ToolError: xorriso, mtools or isomd5sum is missing or fails, or the
            result does not read back as it was meant.
        ResourceError: not enough disk space.
    """
    known = facts(media.path)
    label = _label(known, volume_id, arguments)
    need_free(out.parent, need_mib(media.size), what="the remastered ISO")
    check_names(media.path)
    menu = BootMenu(arguments=tuple(arguments), old_label=known.volume_id, label=label)
    with (
        tempfile.TemporaryDirectory(prefix="hardpan-iso-") as name,
        atomic_path(out, mode=PRIVATE) as temp,
    ):
        room = Path(name)
        changed = _changed_files(media.path, known, room, menu)
        (room / "ks.cfg").write_text(kickstart_text, "utf-8")
        (room / "ks.cfg").chmod(PRIVATE)
        emit(Note(stage=_STAGE, text=f"writing {out.name}"))
        _write(media.path, temp, changed, room, known, label)
        # Last of all: whatever is written after it makes the media check fail.
        run(["implantisomd5", "--force", temp], timeout_s=_TIMEOUT_S)
        _check(temp, known, kickstart_text, menu, room)
    return Iso(
        path=out,
        sha256=sha256_file(out),
        volume_id=label,
        kickstart_sha256=sha256_bytes(kickstart_text.encode()),
        media_sha256=media.sha256,
        secret=secret,
    )


def need_mib(size: int) -> int:
    """MiB that the remastered copy of media of ``size`` bytes takes."""
    return (size >> 20) + 64


def _label(known: Facts, volume_id: str | None, arguments: Sequence[str]) -> str:
    """The result's label, which the arguments must name where they name one."""
    if volume_id is not None and not _LABEL.fullmatch(volume_id):
        # A blank would have to be escaped in another way by each boot loader.
        raise InputError(f"expected a volume label of 32 A-Z 0-9 _ - at most, found {volume_id!r}")
    label = known.volume_id if volume_id is None else volume_id
    for argument in arguments:
        named = _NAMED_LABEL.search(argument)
        if named is not None and named[1] != label:
            raise InputError(f"{argument}: the ISO's label is {label!r}, it would not be found")
    return label


def _changed_files(iso: Path, known: Facts, room: Path, menu: BootMenu) -> dict[str, Path]:
    """The edited menus (path in the ISO -> file), and the FAT image at ``room/efi.img``."""
    found = find_files(iso, (*MENUS, _KICKSTART))
    names = [name for name in MENUS if name in found]
    if not names:
        raise InputError(f"{iso}: expected a boot menu at {' or '.join(MENUS)}, found none")
    changed: dict[str, Path] = {}
    for number, name in enumerate(names):
        copy_bytes(iso, found[name], room / f"menu{number}", max_bytes=MAX_BYTES)
        data = read_bytes(room, f"menu{number}", max_bytes=MAX_BYTES)
        changed[name] = create_file(room, f"menu{number}.cfg", menu.edited(name, data), mode=0o644)
    fat = _fat_image(iso, known, room / "efi.img")
    _read_from_fat(fat, room / "menu_in_fat")
    data = read_bytes(room, "menu_in_fat", max_bytes=MAX_BYTES)
    inside = create_file(room, "menu_in_fat.cfg", menu.edited(IN_FAT, data), mode=0o644)
    # Without -m, mtools stamps the present time into the directory entry.
    os.utime(inside, (_EPOCH_S, _EPOCH_S))
    _mtools(["mcopy", "-o", "-m", "-i", fat, inside, IN_FAT], fat, max_bytes=MAX_FILE_BYTES)
    return changed


def _fat_image(iso: Path, known: Facts, to: Path) -> Path:
    copy_bytes(iso, IsoFile(offset=known.efi_offset, size=known.efi_size), to)
    return to


def _read_from_fat(fat: Path, to: Path) -> None:
    """Write the menu in the FAT image to the new file ``to``.

    mcopy would make folders and files of the names that it finds in the place of the menu.
    """
    _mtools(["mtype", "-i", fat, IN_FAT], fat, max_bytes=MAX_BYTES, stdout_file=to)


def _mtools(
    argv: Sequence[str | Path], fat: Path, *, max_bytes: int, stdout_file: Path | None = None
) -> None:
    """Read or change a FAT image of the media; ``max_bytes`` bounds each file that is written."""
    size = fat.stat().st_size
    limits = ProcessLimits(file_bytes=max_bytes, memory_bytes=_MTOOLS_MEMORY_BYTES)
    try:
        run_limited(
            argv, limits=limits, timeout_s=_MTOOLS_S, stdout_file=stdout_file, env={"TZ": "UTC"}
        )
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        raise InputError(f"the EFI image: {argv[0]}: no menu at {IN_FAT}: {_reason(e)}") from e
    if fat.stat().st_size != size:
        raise InputError(f"the EFI image: claims more than its {size} bytes")


def _write(
    source: Path, to: Path, changed: dict[str, Path], room: Path, known: Facts, label: str
) -> None:
    argv: list[str | Path] = ["xorriso", "-indev", source, "-outdev", to, "-volid", label]
    # Keeps the BIOS and UEFI boot records of the original; without it the copy
    # mounts fine and boots nowhere.
    argv += ["-boot_image", "any", "replay"]
    if known.efi_path:
        argv += ["-update", room / "efi.img", known.efi_path]
    else:
        argv += ["-append_partition", "2", _ESP_TYPE, room / "efi.img"]
    for inside, copy in changed.items():
        argv += ["-update", copy, inside]
    argv += ["-map", room / "ks.cfg", _KICKSTART]
    # SOURCE_DATE_EPOCH alone is not enough: the tree's change times are those of today.
    argv += ["-alter_date_r", "b", _DATE[:8], "/", "--", "-volume_date", "uuid", _DATE]
    argv += ["-volume_date", "c", _DATE, "-volume_date", "m", _DATE, "-padding", "0"]
    limits = ProcessLimits(
        file_bytes=source.stat().st_size + _GROWTH_BYTES, memory_bytes=XORRISO_MEMORY_BYTES
    )
    env = {"TZ": "UTC", "SOURCE_DATE_EPOCH": str(_EPOCH_S)}
    try:
        run_limited(argv, limits=limits, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        if not any(ending in str(e) for ending in ("exited with", "was ended by")):
            raise
        need_free(to.parent, _LITTLE_MIB, what="the remastered ISO")
        raise InputError(f"{source}: xorriso cannot copy it: {_reason(e)}") from e


def _reason(error: ToolError) -> str:
    """What a program said last; names out of the media may be in it."""
    lines = error.tail.splitlines() or [str(error)]
    return ascii(lines[-1][:200])


def _check(iso: Path, known: Facts, kickstart_text: str, menu: BootMenu, room: Path) -> None:
    """Read the result back: what is not seen to be there is not there."""
    after = facts(iso)
    back = {name: room / f"back{n}" for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, {**back, _KICKSTART: room / "back.ks"})
    fat = _fat_image(iso, after, room / "back.img")
    _read_from_fat(fat, room / "back.fat")
    copies = {**back, IN_FAT: room / "back.fat"}
    menus = {n: read_bytes(room, copy.name, max_bytes=MAX_BYTES) for n, copy in copies.items()}
    wrong = [
        said
        for said, bad in (
            ("its boot records changed", _boots(after) != _boots(known)),
            ("its volume label is wrong", after.volume_id != menu.label),
            ("the kickstart differs", (room / "back.ks").read_text("utf-8") != kickstart_text),
            ("a boot menu lacks it", not all(menu.is_in(n, data) for n, data in menus.items())),
        )
        if bad
    ]
    if wrong:
        raise ToolError(["xorriso"], f"wrote an ISO that is not as meant: {'; '.join(wrong)}")
    run(["checkisomd5", iso], timeout_s=_TIMEOUT_S)


def _boots(iso: Facts) -> tuple[object, ...]:
    # xorriso calls an image cyl-align-on whose size happens to be a multiple of a cylinder.
    area = [word for word in iso.system_area.split() if not word.startswith("cyl-align-")]
    return iso.boot_records, area, iso.efi_path
