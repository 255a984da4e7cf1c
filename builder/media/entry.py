"""What every boot menu's install entries have in common, whatever loader reads the menu."""

import re
from collections.abc import Iterable, Sequence

TIMEOUT_S = 5
WARNING = " (hardpan: unattended, ERASES DISKS)"

_SOURCES = ("inst.stage2", "inst.repo")
_RESCUE = ("inst.rescue", "rescue", "emergency", "single")
_RESCUE_TITLE = re.compile(r"rescue|memtest|local drive", re.IGNORECASE)
_DROPPED = ("inst.ks", "ks", "rd.live.check", "quiet")


def installs(words: Iterable[str]) -> bool:
    """True when a kernel with these arguments is the installer, and not its rescue mode."""
    names = {_name(w) for w in words}
    return bool(names.intersection(_SOURCES)) and not names.intersection(_RESCUE)


def is_rescue(title: str) -> bool:
    """True when an entry of this title is for something else than installing."""
    return _RESCUE_TITLE.search(title) is not None


def with_arguments(words: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """``words`` and ``arguments``: earlier ones of their names, and the media check, go."""
    gone = {_name(a) for a in arguments}.union(_DROPPED)
    return [*(w for w in words if _name(w) not in gone), *arguments]


def relabelled(word: str, old: str, new: str) -> str:
    """A kernel's argument that names the volume, by the volume's new label."""
    spellings = {old, _udev(old), _udev(old).replace("\\", "\\\\")}
    known = "|".join(re.escape(s) for s in sorted(spellings))
    return re.sub(rf"LABEL=(?:{known})(?=[:'\"]|$)", lambda _: f"LABEL={new}", word)


def _udev(label: str) -> str:
    """``label`` as udev writes it in a device's name: odd characters in hex."""
    plain = re.compile(r"[A-Za-z0-9#+\-.:=@_/]")
    return "".join(
        c if plain.match(c) else "".join(f"\\x{b:02x}" for b in c.encode()) for c in label
    )


def _name(word: str) -> str:
    return word.strip("'\"").partition("=")[0]
