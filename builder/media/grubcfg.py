"""A GRUB menu edited token by token: the install entries get the arguments, nothing else does."""

import re
from collections.abc import Sequence

from hardpan.errors import InputError

_KERNEL = ("linux", "linuxefi", "linux16")
_RESCUE = re.compile(r"rescue|troubleshoot|memtest|local drive", re.IGNORECASE)
_ENTRY = re.compile(r"^\s*menuentry\s+(?P<q>['\"])(?P<title>.*?)(?P=q)")
_TIMEOUT_S = 5
_WARNING = " (hardpan: unattended, ERASES DISKS)"


def edited(text: str, arguments: Sequence[str]) -> str:
    """The menu with ``arguments`` on every install entry, the first of them the default.

    Arguments that an entry has already are taken out first (``inst.ks``,
    ``console``, and every one that is given), and so is the media check. Rescue
    entries are left as they are.

    Raises:
        InputError: the menu has no install entry.
    """
    out: list[str] = []
    index = -1
    default = -1
    inside = False
    for given in text.splitlines():
        line = given
        entry = _ENTRY.match(line)
        if entry is not None:
            index += 1
            inside = not _RESCUE.search(entry["title"])
            if inside:
                default = index if default < 0 else default
                line = line.replace(entry["title"], entry["title"] + _WARNING, 1)
        words = line.split()
        if words and words[0] in _KERNEL and inside and "inst.stage2" in line:
            line = _with_arguments(line, arguments)
        out.append(_setting(line, default=max(default, 0)))
    if default < 0:
        raise InputError("the boot menu has no install entry")
    # The default is known only now: the settings stand above the entries.
    head = [f"set default={default}" if x.startswith("set default=") else x for x in out]
    return "\n".join(head) + "\n"


def names_kickstart(text: str, arguments: Sequence[str]) -> bool:
    """True when every install entry of the menu carries every argument."""
    lines = [
        line.split()
        for line in text.splitlines()
        if line.split()[:1] and line.split()[0] in _KERNEL and "inst.ks=" in line
    ]
    return bool(lines) and all(set(arguments) <= set(words) for words in lines)


def _with_arguments(line: str, arguments: Sequence[str]) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    gone = {_name(a) for a in arguments} | {"inst.ks", "rd.live.check", "quiet"}
    kept = [w for w in line.split() if _name(w) not in gone]
    return indent + " ".join([*kept, *arguments])


def _setting(line: str, *, default: int) -> str:
    if re.match(r"\s*set default=", line):
        return f"set default={default}"
    if re.match(r"\s*set timeout=", line):
        return f"set timeout={_TIMEOUT_S}"
    return line


def _name(word: str) -> str:
    return word.partition("=")[0]
