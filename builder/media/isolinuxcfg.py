"""Edit isolinux menus line by line: arguments are added to the install entries only.

EL9 media boot with isolinux on BIOS. A directive is a case-insensitive keyword and the rest of
its line, without quoting or continuation (syslinux's doc/menu.txt and syslinux.txt).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hardpan.builder.media.menu_entries import (
    TIMEOUT_S,
    TITLE_WARNING,
    is_rescue_title,
    is_test_title,
    merge_arguments,
    replace_label,
    starts_installer,
)
from hardpan.core.errors import InputError

_INCLUDE_KEYWORDS = ("include", "menu include")
_MENU_PROGRAM = re.compile(r".*\.(?:c32|com)(?:\s|$)", re.IGNORECASE)
_REPLACED_KEYWORDS = ("timeout", "totaltimeout", "ontimeout", "menu default", "default", "ui")
_TICKS_PER_S = 10
"""isolinux timeouts are in tenths of a second."""

WAITING_TIMEOUT = "timeout 00"
STARTING_TIMEOUT = f"timeout {TIMEOUT_S * _TICKS_PER_S}"
"""Both settings have the same length; 0 waits for a key."""


@dataclass(slots=True, kw_only=True)
class _IsolinuxEntry:
    """A ``label`` and its lines."""

    name: str
    label_line: int
    title_line: int | None = None
    """Line number of ``menu label``."""

    append_lines: list[int] = field(default_factory=list)
    """Line numbers of the kernel arguments."""


def add_kickstart_arguments(
    text: str,
    arguments: Sequence[str],
    *,
    relabel: tuple[str, str] | None = None,
    waits_for_key: bool = False,
) -> str:
    """Add ``arguments`` to every install entry and make the first one the default.

    With ``waits_for_key`` nothing starts until somebody chooses an entry.

    Arguments are replaced as in a GRUB menu (``grubcfg.add_kickstart_arguments``).

    Raises:
        InputError: the menu has no install entry, or includes other files.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if any(_includes_file(x) for _, x in _directives(lines)):
        raise InputError("the boot menu includes another file, which is not supported")
    entries = _install_entries(lines)
    if not entries:
        raise InputError("the boot menu has no install entry")
    if not entries[0].name:
        raise InputError("the boot menu has an install entry without a name")
    if relabel is not None:
        for n in [n for e in _parse_entries(lines) for n in e.append_lines]:
            lines[n] = _replace_arguments(
                lines[n], [replace_label(w, *relabel) for w in _arguments(lines[n])]
            )
    for entry in entries:
        has_media_check = is_test_title(_entry_title(entry, lines))
        if entry.title_line is not None and TITLE_WARNING not in lines[entry.title_line]:
            lines[entry.title_line] += TITLE_WARNING
        for n in entry.append_lines:
            tokens = merge_arguments(
                _arguments(lines[n]), arguments, has_media_check=has_media_check
            )
            lines[n] = _replace_arguments(lines[n], tokens)
    edited = _replace_settings(lines, entries[0], waits_for_key=waits_for_key)
    return "\n".join(edited) + "\n"


def has_kickstart_arguments(text: str, arguments: Sequence[str]) -> bool:
    """Return whether every install entry has every argument."""
    lines = text.split("\n")
    kernel_lines = [_arguments(lines[n]) for e in _install_entries(lines) for n in e.append_lines]
    return bool(kernel_lines) and all(set(arguments) <= set(tokens) for tokens in kernel_lines)


def _install_entries(lines: Sequence[str]) -> list[_IsolinuxEntry]:
    return [
        e
        for e in _parse_entries(lines)
        if any(starts_installer(_arguments(lines[n])) for n in e.append_lines)
        and not is_rescue_title(_entry_title(e, lines))
    ]


def _entry_title(entry: _IsolinuxEntry, lines: Sequence[str]) -> str:
    """Return the title that the menu shows; empty without one."""
    return "" if entry.title_line is None else _value(lines[entry.title_line]).replace("^", "")


def _parse_entries(lines: Sequence[str]) -> list[_IsolinuxEntry]:
    entries: list[_IsolinuxEntry] = []
    for n, line in _directives(lines):
        keyword = _keyword(line)
        if keyword == "label":
            entries.append(_IsolinuxEntry(name=_value(line), label_line=n))
        elif entries and keyword == "menu label":
            entries[-1].title_line = n
        elif entries and keyword == "append":
            entries[-1].append_lines.append(n)
    return entries


def _directives(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines that are neither comments nor help texts."""
    is_help_text = False
    for n, line in enumerate(lines):
        keyword = _keyword(line)
        if is_help_text:
            is_help_text = keyword != "endtext"
        elif keyword == "text" and _value(line).lower() == "help":
            is_help_text = True
        elif not line.lstrip().startswith("#"):
            yield n, line


def _replace_settings(
    lines: Sequence[str], default_entry: _IsolinuxEntry, *, waits_for_key: bool
) -> list[str]:
    """Select the first install entry, and set when it starts, with or without a menu."""
    # Without a menu and without 'prompt 1', the default entry starts at once.
    replaced = (*_REPLACED_KEYWORDS, "prompt") if waits_for_key else _REPLACED_KEYWORDS
    skipped = {n for n, x in _directives(lines) if _keyword(x) in replaced}
    menus = [_value(lines[n]) for n in sorted(skipped) if _starts_menu_program(lines[n])]
    # 'ui' overrides 'default', which then names the entry that Enter starts.
    header = [f"ui {program}" for program in menus[:1]]
    header += [
        f"default {default_entry.name}",
        WAITING_TIMEOUT if waits_for_key else STARTING_TIMEOUT,
        f"ontimeout {default_entry.name}",
    ]
    if waits_for_key and not menus:
        header.append("prompt 1")
    default_marker = ["  menu default"] if menus else []
    out = []
    for n, line in enumerate(lines):
        if n not in skipped:
            out += [line, *(default_marker if n == default_entry.label_line else [])]
    return [*header, *out]


def _includes_file(line: str) -> bool:
    return _keyword(line) in _INCLUDE_KEYWORDS or (
        _starts_menu_program(line) and len(_arguments(line)) > 1
    )


def _starts_menu_program(line: str) -> bool:
    return _keyword(line) in ("default", "ui") and _MENU_PROGRAM.match(_value(line)) is not None


def _replace_arguments(line: str, arguments: Sequence[str]) -> str:
    keyword = line[: len(line) - len(line.lstrip())] + line.split(maxsplit=1)[0]
    return " ".join([keyword, *arguments])


def _arguments(line: str) -> list[str]:
    return line.split()[1:]


def _keyword(line: str) -> str:
    tokens = line.lower().split(maxsplit=2)
    return " ".join(tokens[:2]) if tokens[:1] == ["menu"] else "".join(tokens[:1])


def _value(line: str) -> str:
    parts = line.split(maxsplit=_keyword(line).count(" ") + 1)
    return parts[-1].strip() if len(parts) > _keyword(line).count(" ") + 1 else ""
