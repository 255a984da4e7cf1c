"""Install entries of boot menus, independent of the boot loader."""

import re
from collections.abc import Iterable, Sequence

TIMEOUT_S = 5
"""Seconds until the install starts, where somebody has consented to erase the disks."""

TITLE_WARNING = " (hardpan: unattended, ERASES DISKS)"

_SOURCE_ARGUMENTS = ("inst.stage2", "inst.repo")
_RESCUE_ARGUMENTS = ("inst.rescue", "rescue", "emergency", "single")
_RESCUE_TITLE = re.compile(r"rescue|memtest|local drive", re.IGNORECASE)
_TEST_TITLE = re.compile(r"\b(?:test|check|verify)\b", re.IGNORECASE)
_REMOVED_ARGUMENTS = ("inst.ks", "ks", "quiet")
_MEDIA_CHECK = "rd.live.check"


def starts_installer(arguments: Iterable[str]) -> bool:
    """Return whether these kernel arguments start the installer and not its rescue mode."""
    names = {_argument_name(w) for w in arguments}
    return bool(names.intersection(_SOURCE_ARGUMENTS)) and not names.intersection(_RESCUE_ARGUMENTS)


def is_rescue_title(title: str) -> bool:
    """Return whether an entry with this title is not an install entry."""
    return _RESCUE_TITLE.search(title) is not None


def is_test_title(title: str) -> bool:
    """Return whether the title says that the media are tested, e.g. ``Test this media & install``.

    Such an entry keeps the media check: its title would be wrong without it.
    """
    return _TEST_TITLE.search(title) is not None


def merge_arguments(
    existing: Sequence[str], arguments: Sequence[str], *, has_media_check: bool = False
) -> list[str]:
    """Add ``arguments``; existing ones of the same names are removed.

    The media check is removed unless ``has_media_check`` is set.
    """
    removed_names = {_argument_name(a) for a in arguments}.union(_REMOVED_ARGUMENTS)
    if not has_media_check:
        removed_names.add(_MEDIA_CHECK)
    return [*(w for w in existing if _argument_name(w) not in removed_names), *arguments]


def replace_label(argument: str, old_label: str, new_label: str) -> str:
    """Replace the volume label in a kernel argument."""
    spellings = {old_label, _udev_escape(old_label), _udev_escape(old_label).replace("\\", "\\\\")}
    pattern = "|".join(re.escape(s) for s in sorted(spellings))
    return re.sub(rf"LABEL=(?:{pattern})(?=[:'\"]|$)", lambda _: f"LABEL={new_label}", argument)


def _udev_escape(label: str) -> str:
    """Escape ``label`` like udev does in device names: other characters in hex."""
    plain = re.compile(r"[A-Za-z0-9#+\-.:=@_/]")
    return "".join(
        c if plain.match(c) else "".join(f"\\x{b:02x}" for b in c.encode()) for c in label
    )


def _argument_name(argument: str) -> str:
    return argument.strip("'\"").partition("=")[0]
