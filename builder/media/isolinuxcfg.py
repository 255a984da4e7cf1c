"""An isolinux menu edited line by line: the install entries get the arguments, nothing else does.

EL9's media start with it by BIOS. A directive is a keyword, whatever its case, and the rest
of its line; nothing can be quoted or continued (syslinux's doc/menu.txt and syslinux.txt).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hardpan.builder.media.entry import (
    TIMEOUT_S,
    WARNING,
    installs,
    is_rescue,
    relabelled,
    with_arguments,
)
from hardpan.errors import InputError

_INCLUDES = ("include", "menu include")
_MENU = re.compile(r".*\.(?:c32|com)(?:\s|$)", re.IGNORECASE)
_REPLACED = ("timeout", "totaltimeout", "ontimeout", "menu default", "default", "ui")
_TENTHS = 10
"""The menu counts in tenths of a second."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One ``label`` and where its lines are."""

    name: str
    head: int
    title: int | None = None
    """The line of ``menu label``."""

    appends: list[int] = field(default_factory=list)
    """The lines with the kernel's arguments."""


def edited(text: str, arguments: Sequence[str], *, relabel: tuple[str, str] | None = None) -> str:
    """The menu with ``arguments`` on every install entry, the first of them the default.

    What goes and what stays is as in a GRUB menu (``grubcfg.edited``).

    Raises:
        InputError: the menu has no install entry, or reads others from further files.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if any(_reads_another(x) for _, x in _directives(lines)):
        raise InputError("the boot menu includes another file, which is not understood")
    found = _install_entries(lines)
    if not found:
        raise InputError("the boot menu has no install entry")
    if not found[0].name:
        raise InputError("the boot menu has an install entry without a name")
    if relabel is not None:
        for n in [n for e in _entries(lines) for n in e.appends]:
            lines[n] = _with_words(lines[n], [relabelled(w, *relabel) for w in _words(lines[n])])
    for entry in found:
        if entry.title is not None and WARNING not in lines[entry.title]:
            lines[entry.title] += WARNING
        for n in entry.appends:
            lines[n] = _with_words(lines[n], with_arguments(_words(lines[n]), arguments))
    return "\n".join(_with_settings(lines, found[0])) + "\n"


def names_kickstart(text: str, arguments: Sequence[str]) -> bool:
    """True when every install entry of the menu carries every argument."""
    lines = text.split("\n")
    found = [_words(lines[n]) for e in _install_entries(lines) for n in e.appends]
    return bool(found) and all(set(arguments) <= set(words) for words in found)


def _install_entries(lines: Sequence[str]) -> list[_Entry]:
    return [
        e
        for e in _entries(lines)
        if any(installs(_words(lines[n])) for n in e.appends)
        and not is_rescue("" if e.title is None else _rest(lines[e.title]).replace("^", ""))
    ]


def _entries(lines: Sequence[str]) -> list[_Entry]:
    found: list[_Entry] = []
    for n, line in _directives(lines):
        word = _keyword(line)
        if word == "label":
            found.append(_Entry(name=_rest(line), head=n))
        elif found and word == "menu label":
            found[-1].title = n
        elif found and word == "append":
            found[-1].appends.append(n)
    return found


def _directives(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that are neither comments nor an entry's help text, with their numbers."""
    helps = False
    for n, line in enumerate(lines):
        word = _keyword(line)
        if helps:
            helps = word != "endtext"
        elif word == "text" and _rest(line).lower() == "help":
            helps = True
        elif not line.lstrip().startswith("#"):
            yield n, line


def _with_settings(lines: Sequence[str], first: _Entry) -> list[str]:
    """The first install entry is chosen and started after some seconds, with a menu or without."""
    skipped = {n for n, x in _directives(lines) if _keyword(x) in _REPLACED}
    menus = [_rest(lines[n]) for n in sorted(skipped) if _starts_a_menu(lines[n])]
    # 'ui' wins over 'default', which then names the entry that Enter starts.
    head = [f"ui {program}" for program in menus[:1]]
    head += [f"default {first.name}", f"timeout {TIMEOUT_S * _TENTHS}", f"ontimeout {first.name}"]
    chosen = ["  menu default"] if menus else []
    out = []
    for n, line in enumerate(lines):
        if n not in skipped:
            out += [line, *(chosen if n == first.head else [])]
    return [*head, *out]


def _reads_another(line: str) -> bool:
    return _keyword(line) in _INCLUDES or (_starts_a_menu(line) and len(_words(line)) > 1)


def _starts_a_menu(line: str) -> bool:
    return _keyword(line) in ("default", "ui") and _MENU.match(_rest(line)) is not None


def _with_words(line: str, words: Sequence[str]) -> str:
    keyword = line[: len(line) - len(line.lstrip())] + line.split(maxsplit=1)[0]
    return " ".join([keyword, *words])


def _words(line: str) -> list[str]:
    return line.split()[1:]


def _keyword(line: str) -> str:
    words = line.lower().split(maxsplit=2)
    return " ".join(words[:2]) if words[:1] == ["menu"] else "".join(words[:1])


def _rest(line: str) -> str:
    parts = line.split(maxsplit=_keyword(line).count(" ") + 1)
    return parts[-1].strip() if len(parts) > _keyword(line).count(" ") + 1 else ""
