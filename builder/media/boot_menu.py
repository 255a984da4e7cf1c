"""Boot menus of install media: their files, and how they are read and edited.

Menus are untrusted input: they are decoded and checked for size before they are parsed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hardpan.builder.media import grubcfg, isolinuxcfg
from hardpan.core.errors import InputError

_ISOLINUX = "/isolinux/isolinux.cfg"
MENUS = (_ISOLINUX, "/boot/grub2/grub.cfg", "/EFI/BOOT/grub.cfg")
"""EL9 uses the first for BIOS, EL10 the second; both use the third for UEFI."""

FAT_MENU = "::/EFI/BOOT/grub.cfg"
"""Path of the copy in the EFI image, in mtools syntax."""

MAX_MENU_BYTES = 256 << 10
"""Rocky Linux's menus have about 2 KiB."""

MAX_LINES = 5_000
MAX_LINE_LENGTH = 8_192
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootMenu:
    """The changes that every copy of the boot menu must contain."""

    arguments: tuple[str, ...]
    media_label: str
    label: str
    waits_for_key: bool = False
    """Whether the install starts only when somebody chooses it in the menu."""

    def edit(self, name: str, data: bytes) -> str:
        """Return the edited menu of the file ``name``.

        Raises:
            InputError: it is not text, too long, or not supported.
        """
        edit = (
            isolinuxcfg.add_kickstart_arguments
            if name == _ISOLINUX
            else grubcfg.add_kickstart_arguments
        )
        text = decode_menu(name, data)
        try:
            return edit(
                text,
                self.arguments,
                relabel=(self.media_label, self.label),
                waits_for_key=self.waits_for_key,
            )
        except InputError as e:
            raise InputError(f"{name}: {e}", hint=e.hint) from e

    def is_applied(self, name: str, data: bytes) -> bool:
        """Return whether the menu of the file ``name`` contains the changes.

        Raises:
            InputError: it is not text, or too long.
        """
        has_arguments = (
            isolinuxcfg.has_kickstart_arguments
            if name == _ISOLINUX
            else grubcfg.has_kickstart_arguments
        )
        return has_arguments(decode_menu(name, data), self.arguments)


def decode_menu(name: str, data: bytes) -> str:
    """Decode the menu of the file ``name``.

    Raises:
        InputError: it is not UTF-8, has control characters, or is too long.
    """
    if len(data) > MAX_MENU_BYTES:
        raise InputError(
            f"{name}: too long: expected at most {MAX_MENU_BYTES} bytes, got {len(data)}"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(
            f"{name}: expected text in UTF-8, got byte 0x{data[e.start]:02x} at {e.start}"
        ) from e
    control = _CONTROL.search(text)
    if control:
        raise InputError(f"{name}: expected text, got the control character {control[0]!a}")
    _require_short_lines(name, text.split("\n"))
    return text


def _require_short_lines(name: str, lines: Sequence[str]) -> None:
    longest = max(map(len, lines))
    if len(lines) > MAX_LINES or longest > MAX_LINE_LENGTH:
        raise InputError(
            f"{name}: expected at most {MAX_LINES} lines of {MAX_LINE_LENGTH} characters,"
            f" got {len(lines)} of up to {longest}"
        )
