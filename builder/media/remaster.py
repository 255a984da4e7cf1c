"""Remaster install media for an unattended install: rootless, reproducible, for CD and USB.

From USB with UEFI the menu in the FAT image is used, from CD the one in ISO 9660, so both are
edited (weldr/lorax#1292). Shim, GRUB, kernel and initrd are not changed: Secure Boot and the FIPS
self-test of the installer depend on them.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.artifacts import InstallMedia, IsoPayload, UnattendedIso
from hardpan.builder.media import fat_menu
from hardpan.builder.media.boot_menu import FAT_MENU, MAX_MENU_BYTES, MENUS, BootMenu
from hardpan.builder.media.inspect import (
    XORRISO_MEMORY_BYTES,
    IsoFacts,
    check_file_names,
    copy_bytes,
    exists,
    extract,
    find_files,
    inspect_iso,
)
from hardpan.builder.media.iso9660 import has_joliet
from hardpan.builder.media.iso_identity import IsoIdentity, derive_identity
from hardpan.builder.media.tree import MAX_DESCRIPTION_BYTES, TREEINFO, replace_checksum
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
from hardpan.kickstart.offline import ISO_FOLDER

_KICKSTART = "/ks.cfg"
_PAYLOAD = f"/{ISO_FOLDER}"
_PAYLOAD_SUMS = f"{_PAYLOAD}/SHA256SUMS"
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_DATE = "2020010100000000"
_LABEL = re.compile(r"[A-Z0-9_-]{1,32}")
_KICKSTART_LABEL = re.compile(r"=hd:LABEL=([^:]*)")
_TIMEOUT_S = 900
_STAGE = "iso"
_MAX_GROWTH_BYTES = 1 << 30
"""Maximum growth of the ISO compared with the media; the kernel stops xorriso beyond it."""

_MIN_FREE_MIB = 64


def remaster(
    media: InstallMedia,
    kickstart_text: str,
    out: Path,
    *,
    arguments: Sequence[str],
    secret: bool,
    emit: Emit,
    volume_id: str | None = None,
    waits_for_key: bool = False,
    payload: IsoPayload | None = None,
) -> UnattendedIso:
    """Write ``media`` with the kickstart and an unattended boot menu to the output file.

    The same inputs give the same bytes; other inputs give another UUID and GPT disk GUID. The
    volume label is the media's unless ``volume_id`` is given. A kickstart contains password hashes,
    so the ISO is readable by its owner only; ``secret`` marks a kickstart with a passphrase. With
    ``waits_for_key`` the boot menu asks before the install, which erases disks. The ISO gets the
    ``payload`` as the folder ``/hardpan``, owned by root.

    Raises:
        InputError: the boot menu is not supported, the label is invalid, or the media contain
            files that install media never have.
        ToolError: xorriso, mtools or isomd5sum is missing or fails, or the ISO fails
            verification.
        ResourceError: not enough disk space.
    """
    facts = inspect_iso(media.path)
    label = _choose_label(facts, volume_id, arguments)
    payload_bytes = payload.size_bytes if payload else 0
    required_space_mib = required_mib(media.size_bytes + payload_bytes)
    require_free_space(out.parent, required_space_mib, purpose="the remastered ISO")
    check_file_names(media.path)
    menu = BootMenu(
        arguments=tuple(arguments),
        media_label=facts.volume_id,
        label=label,
        waits_for_key=waits_for_key,
    )
    with (
        tempfile.TemporaryDirectory(prefix="hardpan-iso-") as name,
        atomic_path(out, mode=PRIVATE_MODE) as temp_iso,
    ):
        workdir = Path(name)
        edited_files = _edit_menus(media.path, facts, workdir, menu)
        edited_files |= _edit_treeinfo(media.path, facts, workdir)
        (workdir / "ks.cfg").write_text(kickstart_text, "utf-8")
        (workdir / "ks.cfg").chmod(PRIVATE_MODE)
        emit(StageMessage(stage=_STAGE, text=f"writing {out.name}"))
        identity = derive_identity(
            media_sha256=media.sha256,
            kickstart=kickstart_text,
            arguments=arguments,
            label=label,
            waits_for_key=waits_for_key,
            payload_sha256=payload.sha256 if payload else "",
        )
        contents = _IsoContents(edited_files=edited_files, workdir=workdir, payload=payload)
        _write_iso(media.path, temp_iso, contents, facts, label, identity)
        # Last: later changes would make the media check fail.
        run(["implantisomd5", "--force", temp_iso], timeout_s=_TIMEOUT_S)
        _verify_iso(temp_iso, media.path, facts, kickstart_text, menu, workdir)
        if payload is not None:
            _verify_payload(temp_iso, payload, workdir)
    return UnattendedIso(
        path=out,
        sha256=sha256_file(out),
        volume_id=label,
        kickstart_sha256=sha256_bytes(kickstart_text.encode()),
        media_sha256=media.sha256,
        has_secret=secret,
        payload_sha256=payload.sha256 if payload else "",
    )


def required_mib(size: int) -> int:
    """Return the space in MiB that a remastered copy of ``size`` bytes needs."""
    return (size >> 20) + 64


def _choose_label(facts: IsoFacts, volume_id: str | None, arguments: Sequence[str]) -> str:
    """Return the label of the ISO; an argument that names a label must name this one."""
    if volume_id is not None and not _LABEL.fullmatch(volume_id):
        # Each boot loader escapes blanks differently.
        raise InputError(f"expected a volume label of 32 A-Z 0-9 _ - at most, got {volume_id!r}")
    label = facts.volume_id if volume_id is None else volume_id
    for argument in arguments:
        match = _KICKSTART_LABEL.search(argument)
        if match is not None and match[1] != label:
            raise InputError(f"{argument}: the ISO's label is {label!r}, expected the same label")
    return label


def _edit_menus(iso: Path, facts: IsoFacts, workdir: Path, menu: BootMenu) -> dict[str, Path]:
    """Return the edited menus (path in the ISO -> file); edit the FAT image ``efi.img``."""
    files = find_files(iso, (*MENUS, _KICKSTART))
    names = [name for name in MENUS if name in files]
    if not names:
        raise InputError(f"{iso}: expected a boot menu at {' or '.join(MENUS)}, got none")
    edited_files: dict[str, Path] = {}
    for number, name in enumerate(names):
        copy_bytes(iso, files[name], workdir / f"menu{number}", max_bytes=MAX_MENU_BYTES)
        data = read_bytes(workdir, f"menu{number}", max_bytes=MAX_MENU_BYTES)
        edited_files[name] = create_file(
            workdir, f"menu{number}.cfg", menu.edit(name, data), mode=0o644
        )
    fat = fat_menu.extract_image(iso, facts, workdir / "efi.img")
    text = menu.edit(FAT_MENU, fat_menu.read_menu(fat, workdir, "menu_in_fat"))
    fat_menu.write_menu(fat, create_file(workdir, "menu_in_fat.cfg", text, mode=0o644))
    return edited_files


def _edit_treeinfo(iso: Path, facts: IsoFacts, workdir: Path) -> dict[str, Path]:
    """Return ``.treeinfo`` with the digest of the edited EFI image, if it has one (EL9)."""
    files = find_files(iso, (TREEINFO,))
    if TREEINFO not in files or not facts.efi_path:
        return {}
    copy_bytes(iso, files[TREEINFO], workdir / "treeinfo", max_bytes=MAX_DESCRIPTION_BYTES)
    data = read_bytes(workdir, "treeinfo", max_bytes=MAX_DESCRIPTION_BYTES)
    edited = replace_checksum(
        data, facts.efi_path.removeprefix("/"), sha256_file(workdir / "efi.img")
    )
    if edited == data:
        return {}
    return {TREEINFO: create_file(workdir, "treeinfo.edited", edited, mode=0o644)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _IsoContents:
    """What the ISO gets besides the media's files."""

    edited_files: dict[str, Path]
    workdir: Path
    """Has the kickstart and the EFI image."""

    payload: IsoPayload | None


def _write_iso(
    source: Path,
    destination: Path,
    contents: _IsoContents,
    facts: IsoFacts,
    label: str,
    identity: IsoIdentity,
) -> None:
    workdir, payload = contents.workdir, contents.payload
    argv: list[str | Path] = ["xorriso", "-indev", source, "-outdev", destination, "-volid", label]
    # Preserves the BIOS and UEFI boot records; without them the copy is not bootable.
    argv += ["-boot_image", "any", "replay"]
    argv += ["-boot_image", "any", f"gpt_disk_guid={identity.disk_guid}"]
    if has_joliet(source):
        # Names of repository metadata have 80 characters.
        argv += ["-joliet", "on", "-compliance", "joliet_long_names"]
    if facts.efi_path:
        argv += ["-update", workdir / "efi.img", facts.efi_path]
    else:
        argv += ["-append_partition", "2", _ESP_TYPE, workdir / "efi.img"]
    for iso_path, copy in contents.edited_files.items():
        argv += ["-update", copy, iso_path]
    argv += ["-map", workdir / "ks.cfg", _KICKSTART]
    if payload is not None:
        argv += ["-map", payload.folder, _PAYLOAD]
        # Before the dates: changing an owner sets the change time.
        argv += ["-chown_r", "0", _PAYLOAD, "--", "-chgrp_r", "0", _PAYLOAD, "--"]
    # SOURCE_DATE_EPOCH does not cover the change times of the tree.
    argv += ["-alter_date_r", "b", _DATE[:8], "/", "--"]
    argv += ["-volume_date", "uuid", identity.volume_uuid]
    argv += ["-volume_date", "c", _DATE, "-volume_date", "m", _DATE, "-padding", "0"]
    limits = ProcessLimits(
        max_file_bytes=source.stat().st_size
        + (payload.size_bytes if payload else 0)
        + _MAX_GROWTH_BYTES,
        max_memory_bytes=XORRISO_MEMORY_BYTES,
    )
    env = {"TZ": "UTC", "SOURCE_DATE_EPOCH": str(fat_menu.EPOCH_S)}
    try:
        run_limited(argv, limits=limits, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        if not any(ending in str(e) for ending in ("exited with", "was ended by")):
            raise
        require_free_space(destination.parent, _MIN_FREE_MIB, purpose="the remastered ISO")
        raise InputError(f"{source}: xorriso cannot copy it: {fat_menu.last_line(e)}") from e


def _verify_iso(
    iso: Path,
    source: Path,
    media_facts: IsoFacts,
    kickstart_text: str,
    menu: BootMenu,
    workdir: Path,
) -> None:
    """Verify the written ISO by reading it back."""
    iso_facts = inspect_iso(iso)
    menu_files = {name: workdir / f"back{n}" for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, {**menu_files, _KICKSTART: workdir / "back.ks"})
    fat = fat_menu.extract_image(iso, iso_facts, workdir / "back.img")
    menus = {
        n: read_bytes(workdir, copy.name, max_bytes=MAX_MENU_BYTES)
        for n, copy in menu_files.items()
    }
    menus[FAT_MENU] = fat_menu.read_menu(fat, workdir, "back.fat")
    mismatches = [
        problem
        for problem, is_mismatch in (
            (
                "its boot records changed",
                _boot_properties(iso_facts) != _boot_properties(media_facts),
            ),
            ("its volume label differs", iso_facts.volume_id != menu.label),
            ("its Joliet tree is missing", has_joliet(source) != has_joliet(iso)),
            ("the kickstart differs", (workdir / "back.ks").read_text("utf-8") != kickstart_text),
            (
                "a boot menu lacks the kickstart",
                not all(menu.is_applied(n, data) for n, data in menus.items()),
            ),
        )
        if is_mismatch
    ]
    if mismatches:
        raise ToolError(
            ["xorriso"], f"wrote an ISO that fails verification: {'; '.join(mismatches)}"
        )
    run(["checkisomd5", iso], timeout_s=_TIMEOUT_S)


def _verify_payload(iso: Path, payload: IsoPayload, workdir: Path) -> None:
    """Verify the list of the payload's files; the install compares the files with it."""
    extract(iso, {_PAYLOAD_SUMS: workdir / "back.sums"})
    if sha256_file(workdir / "back.sums") != payload.sha256:
        raise ToolError(["xorriso"], f"wrote an ISO with another {_PAYLOAD_SUMS}")


def _boot_properties(iso: IsoFacts) -> tuple[object, ...]:
    # xorriso reports cyl-align-on if the size happens to be a multiple of a cylinder.
    area = [word for word in iso.system_area.split() if not word.startswith("cyl-align-")]
    return iso.boot_records, area, iso.efi_path
