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

from hardpan.builder.artifacts import InstallMedia, UnattendedIso
from hardpan.builder.media.boot_menu import FAT_MENU, MAX_MENU_BYTES, MENUS, BootMenu
from hardpan.builder.media.inspect import (
    MAX_FILE_BYTES,
    XORRISO_MEMORY_BYTES,
    IsoFacts,
    IsoFile,
    check_file_names,
    copy_bytes,
    exists,
    extract,
    find_files,
    inspect_iso,
)
from hardpan.core.errors import InputError, ToolError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.extracted_files import create_file, read_bytes
from hardpan.core.files import (
    PRIVATE_MODE,
    atomic_path,
    require_free_space,
    sha256_bytes,
    sha256_file,
)
from hardpan.core.limited_process import ProcessLimits, run_limited
from hardpan.core.process import run

_KICKSTART = "/ks.cfg"
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_DATE, _EPOCH_S = "2020010100000000", 1577836800
_LABEL = re.compile(r"[A-Z0-9_-]{1,32}")
_KICKSTART_LABEL = re.compile(r"=hd:LABEL=([^:]*)")
_TIMEOUT_S = 900
_STAGE = "iso"
_MAX_GROWTH_BYTES = 1 << 30
"""What the result may have more than the media, before xorriso is stopped."""

_MIN_FREE_MIB = 64
_MAX_MTOOLS_MEMORY_BYTES = 1 << 30
_MTOOLS_TIMEOUT_S = 60


def remaster(
    media: InstallMedia,
    kickstart_text: str,
    out: Path,
    *,
    arguments: Sequence[str],
    secret: bool,
    emit: Emit,
    volume_id: str | None = None,
) -> UnattendedIso:
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
    facts = inspect_iso(media.path)
    label = _choose_label(facts, volume_id, arguments)
    require_free_space(out.parent, required_mib(media.size_bytes), purpose="the remastered ISO")
    check_file_names(media.path)
    menu = BootMenu(arguments=tuple(arguments), media_label=facts.volume_id, label=label)
    with (
        tempfile.TemporaryDirectory(prefix="hardpan-iso-") as name,
        atomic_path(out, mode=PRIVATE_MODE) as temp_iso,
    ):
        workdir = Path(name)
        edited_files = _edit_menus(media.path, facts, workdir, menu)
        (workdir / "ks.cfg").write_text(kickstart_text, "utf-8")
        (workdir / "ks.cfg").chmod(PRIVATE_MODE)
        emit(StageMessage(stage=_STAGE, text=f"writing {out.name}"))
        _write_iso(media.path, temp_iso, edited_files, workdir, facts, label)
        # Last of all: whatever is written after it makes the media check fail.
        run(["implantisomd5", "--force", temp_iso], timeout_s=_TIMEOUT_S)
        _verify_iso(temp_iso, facts, kickstart_text, menu, workdir)
    return UnattendedIso(
        path=out,
        sha256=sha256_file(out),
        volume_id=label,
        kickstart_sha256=sha256_bytes(kickstart_text.encode()),
        media_sha256=media.sha256,
        has_secret=secret,
    )


def required_mib(size: int) -> int:
    """MiB that the remastered copy of media of ``size`` bytes takes."""
    return (size >> 20) + 64


def _choose_label(facts: IsoFacts, volume_id: str | None, arguments: Sequence[str]) -> str:
    """The result's label, which the arguments must name where they name one."""
    if volume_id is not None and not _LABEL.fullmatch(volume_id):
        # A blank would have to be escaped in another way by each boot loader.
        raise InputError(f"expected a volume label of 32 A-Z 0-9 _ - at most, found {volume_id!r}")
    label = facts.volume_id if volume_id is None else volume_id
    for argument in arguments:
        match = _KICKSTART_LABEL.search(argument)
        if match is not None and match[1] != label:
            raise InputError(f"{argument}: the ISO's label is {label!r}, it would not be found")
    return label


def _edit_menus(iso: Path, facts: IsoFacts, workdir: Path, menu: BootMenu) -> dict[str, Path]:
    """The edited menus (path in the ISO -> file), and the FAT image at ``room/efi.img``."""
    files = find_files(iso, (*MENUS, _KICKSTART))
    names = [name for name in MENUS if name in files]
    if not names:
        raise InputError(f"{iso}: expected a boot menu at {' or '.join(MENUS)}, found none")
    edited_files: dict[str, Path] = {}
    for number, name in enumerate(names):
        copy_bytes(iso, files[name], workdir / f"menu{number}", max_bytes=MAX_MENU_BYTES)
        data = read_bytes(workdir, f"menu{number}", max_bytes=MAX_MENU_BYTES)
        edited_files[name] = create_file(
            workdir, f"menu{number}.cfg", menu.edit(name, data), mode=0o644
        )
    fat = _extract_fat_image(iso, facts, workdir / "efi.img")
    _read_fat_menu(fat, workdir / "menu_in_fat")
    data = read_bytes(workdir, "menu_in_fat", max_bytes=MAX_MENU_BYTES)
    menu_file = create_file(workdir, "menu_in_fat.cfg", menu.edit(FAT_MENU, data), mode=0o644)
    # Without -m, mtools stamps the present time into the directory entry.
    os.utime(menu_file, (_EPOCH_S, _EPOCH_S))
    _mtools(["mcopy", "-o", "-m", "-i", fat, menu_file, FAT_MENU], fat, max_bytes=MAX_FILE_BYTES)
    return edited_files


def _extract_fat_image(iso: Path, facts: IsoFacts, destination: Path) -> Path:
    copy_bytes(iso, IsoFile(offset=facts.efi_offset, size=facts.efi_size), destination)
    return destination


def _read_fat_menu(fat: Path, destination: Path) -> None:
    """Write the menu in the FAT image to the new file ``to``.

    mcopy would make folders and files of the names that it finds in the place of the menu.
    """
    _mtools(["mtype", "-i", fat, FAT_MENU], fat, max_bytes=MAX_MENU_BYTES, stdout_file=destination)


def _mtools(
    argv: Sequence[str | Path], fat: Path, *, max_bytes: int, stdout_file: Path | None = None
) -> None:
    """Read or change a FAT image of the media; ``max_bytes`` bounds each file that is written."""
    size = fat.stat().st_size
    limits = ProcessLimits(max_file_bytes=max_bytes, max_memory_bytes=_MAX_MTOOLS_MEMORY_BYTES)
    try:
        run_limited(
            argv,
            limits=limits,
            timeout_s=_MTOOLS_TIMEOUT_S,
            stdout_file=stdout_file,
            env={"TZ": "UTC"},
        )
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        raise InputError(f"the EFI image: {argv[0]}: no menu at {FAT_MENU}: {_last_line(e)}") from e
    if fat.stat().st_size != size:
        raise InputError(f"the EFI image: claims more than its {size} bytes")


def _write_iso(
    source: Path,
    destination: Path,
    edited_files: dict[str, Path],
    workdir: Path,
    facts: IsoFacts,
    label: str,
) -> None:
    argv: list[str | Path] = ["xorriso", "-indev", source, "-outdev", destination, "-volid", label]
    # Keeps the BIOS and UEFI boot records of the original; without it the copy
    # mounts fine and boots nowhere.
    argv += ["-boot_image", "any", "replay"]
    if facts.efi_path:
        argv += ["-update", workdir / "efi.img", facts.efi_path]
    else:
        argv += ["-append_partition", "2", _ESP_TYPE, workdir / "efi.img"]
    for iso_path, copy in edited_files.items():
        argv += ["-update", copy, iso_path]
    argv += ["-map", workdir / "ks.cfg", _KICKSTART]
    # SOURCE_DATE_EPOCH alone is not enough: the tree's change times are those of today.
    argv += ["-alter_date_r", "b", _DATE[:8], "/", "--", "-volume_date", "uuid", _DATE]
    argv += ["-volume_date", "c", _DATE, "-volume_date", "m", _DATE, "-padding", "0"]
    limits = ProcessLimits(
        max_file_bytes=source.stat().st_size + _MAX_GROWTH_BYTES,
        max_memory_bytes=XORRISO_MEMORY_BYTES,
    )
    env = {"TZ": "UTC", "SOURCE_DATE_EPOCH": str(_EPOCH_S)}
    try:
        run_limited(argv, limits=limits, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        if not any(ending in str(e) for ending in ("exited with", "was ended by")):
            raise
        require_free_space(destination.parent, _MIN_FREE_MIB, purpose="the remastered ISO")
        raise InputError(f"{source}: xorriso cannot copy it: {_last_line(e)}") from e


def _last_line(error: ToolError) -> str:
    """What a program said last; names out of the media may be in it."""
    lines = error.output_tail.splitlines() or [str(error)]
    return ascii(lines[-1][:200])


def _verify_iso(
    iso: Path, media_facts: IsoFacts, kickstart_text: str, menu: BootMenu, workdir: Path
) -> None:
    """Read the result back: what is not seen to be there is not there."""
    iso_facts = inspect_iso(iso)
    menu_files = {name: workdir / f"back{n}" for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, {**menu_files, _KICKSTART: workdir / "back.ks"})
    fat = _extract_fat_image(iso, iso_facts, workdir / "back.img")
    _read_fat_menu(fat, workdir / "back.fat")
    copies = {**menu_files, FAT_MENU: workdir / "back.fat"}
    menus = {
        n: read_bytes(workdir, copy.name, max_bytes=MAX_MENU_BYTES) for n, copy in copies.items()
    }
    mismatches = [
        problem
        for problem, is_mismatch in (
            (
                "its boot records changed",
                _boot_properties(iso_facts) != _boot_properties(media_facts),
            ),
            ("its volume label is wrong", iso_facts.volume_id != menu.label),
            ("the kickstart differs", (workdir / "back.ks").read_text("utf-8") != kickstart_text),
            (
                "a boot menu lacks it",
                not all(menu.is_applied(n, data) for n, data in menus.items()),
            ),
        )
        if is_mismatch
    ]
    if mismatches:
        raise ToolError(["xorriso"], f"wrote an ISO that is not as meant: {'; '.join(mismatches)}")
    run(["checkisomd5", iso], timeout_s=_TIMEOUT_S)


def _boot_properties(iso: IsoFacts) -> tuple[object, ...]:
    # xorriso calls an image cyl-align-on whose size happens to be a multiple of a cylinder.
    area = [word for word in iso.system_area.split() if not word.startswith("cyl-align-")]
    return iso.boot_records, area, iso.efi_path
