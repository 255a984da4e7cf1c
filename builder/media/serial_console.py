"""Boot the delivered ISO on the serial port and at once, without changing the ISO.

The last ``console=`` argument is /dev/console, which Anaconda and systemd write to. The delivered
ISO names the screen last, because a server may have no serial port; the builder reads the serial
port. So the builder boots a qcow2 overlay of the same ISO, in which the two arguments have changed
places in every copy of the boot menu; and a menu that asks before it erases disks has a timeout,
since the builder's machine has an empty disk only. All of it has the same length: no file moves,
and everything else that the guest reads is the delivered ISO.

A copy of the ISO would take minutes and 12 GiB; a kernel that QEMU loads itself would not show that
the ISO's boot loaders work; and no firmware can pass an argument to the menu.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.media import fat_menu, grubcfg, isolinuxcfg
from hardpan.builder.media.boot_menu import FAT_MENU, MAX_MENU_BYTES, MENUS
from hardpan.builder.media.inspect import copy_bytes, find_files, inspect_iso
from hardpan.core.errors import InputError
from hardpan.core.extracted_files import create_file, read_bytes
from hardpan.core.process import run
from hardpan.kickstart import CONSOLE_ARGUMENTS

_SCREEN_LAST = " ".join(CONSOLE_ARGUMENTS).encode()
_SERIAL_LAST = " ".join(reversed(CONSOLE_ARGUMENTS)).encode()
_TIMEOUTS = (
    (grubcfg.WAITING_TIMEOUT, grubcfg.STARTING_TIMEOUT),
    (isolinuxcfg.WAITING_TIMEOUT, isolinuxcfg.STARTING_TIMEOUT),
)
_TIMEOUT_S = 60


@contextlib.contextmanager
def overlay_with_serial_console(iso: Path, folder: Path) -> Iterator[Path]:
    """Yield a qcow2 overlay of the ISO whose last console is the serial port.

    It is in a temporary folder in ``folder``; nothing of it remains.

    Raises:
        InputError: a copy of the boot menu does not end its consoles with the screen.
        ToolError: qemu-img, qemu-io or mtools is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix=".console-", dir=folder) as name:
        workdir = Path(name)
        edited_ranges = [*_edit_menus(iso, workdir), _edit_fat_image(iso, workdir)]
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"]
        run([*argv, "-b", iso.absolute(), "overlay.qcow2"], timeout_s=_TIMEOUT_S, cwd=workdir)
        for offset, path in edited_ranges:
            command = f"write -q -s {path.name} {offset} {path.stat().st_size}"
            run(
                ["qemu-io", "-f", "qcow2", "-c", command, "overlay.qcow2"],
                timeout_s=_TIMEOUT_S,
                cwd=workdir,
            )
        yield workdir / "overlay.qcow2"


def _edit_menus(iso: Path, workdir: Path) -> Iterator[tuple[int, Path]]:
    """Yield the offset and the new bytes of each menu in ISO 9660."""
    for number, (name, extent) in enumerate(find_files(iso, MENUS).items()):
        copy_bytes(iso, extent, workdir / f"menu{number}", max_bytes=MAX_MENU_BYTES)
        data = read_bytes(workdir, f"menu{number}", max_bytes=MAX_MENU_BYTES)
        path = workdir / f"menu{number}.new"
        path.write_bytes(_edit_menu(iso, name, data))
        yield extent.offset, path


def _edit_fat_image(iso: Path, workdir: Path) -> tuple[int, Path]:
    """Return the offset and the new bytes of the EFI image: the menu may be in several pieces."""
    facts = inspect_iso(iso)
    image = fat_menu.extract_image(iso, facts, workdir / "efi.img")
    data = _edit_menu(iso, FAT_MENU, fat_menu.read_menu(image, workdir, "fat_menu"))
    fat_menu.write_menu(image, create_file(workdir, "fat_menu.new", data.decode(), mode=0o600))
    return facts.efi_offset, image


def _edit_menu(iso: Path, name: str, menu: bytes) -> bytes:
    if _SCREEN_LAST not in menu:
        raise InputError(
            f"{iso}: {name}: expected {_SCREEN_LAST.decode()!r} in the boot menu, got none",
            hint="build the ISO again",
        )
    menu = menu.replace(_SCREEN_LAST, _SERIAL_LAST)
    for waiting, starting in _TIMEOUTS:
        menu = menu.replace(waiting.encode(), starting.encode())
    return menu
