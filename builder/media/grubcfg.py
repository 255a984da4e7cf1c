"""Edit GRUB menus token by token: arguments are added to the install entries only."""

import itertools
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

MAX_SUBMENUS = 8
"""Nested submenus; install media have one level."""

WAITING_TIMEOUT = "set timeout=-1"
STARTING_TIMEOUT = f"set timeout={TIMEOUT_S} "
"""Both settings have the same length; GRUB ignores the blank at the end of a line."""

_KERNEL_COMMANDS = ("linux", "linuxefi", "linux16")
# A word of GRUB's script language, with quoted parts, escapes and unbalanced quotes.
_TOKEN = re.compile(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s'\"\\]|['\"\\])+")
_SETTING = re.compile(r"\bset\s+(?P<name>default|timeout|timeout_style)=(?:\"[^\"]*\"|[^\s;]*)")
_SINGLE_LINE_ENTRY = re.compile(r"[{;]\s*linux(?:efi|16)?\s")


@dataclass(slots=True, kw_only=True)
class _GrubEntry:
    """A ``menuentry`` and its kernel lines."""

    title_line: int
    """Line number of the ``menuentry``."""

    menu_path: str
    """Value of ``default`` for this entry: ``0``, or ``2>1`` in a submenu."""

    kernel_lines: list[int] = field(default_factory=list)


def add_kickstart_arguments(
    text: str,
    arguments: Sequence[str],
    *,
    relabel: tuple[str, str] | None = None,
    waits_for_key: bool = False,
) -> str:
    """Add ``arguments`` to every install entry and make the first one the default.

    With ``waits_for_key`` the menu starts nothing until somebody chooses an entry.

    Existing arguments of the same names and ``inst.ks`` are removed first, and the media check
    unless the entry's title promises it. Rescue entries are not changed. ``relabel`` is the old and
    the new volume label.

    Raises:
        InputError: the menu has no install entry, an unsupported entry, or too many nested
            submenus.
    """
    lines = list(_logical_lines(text))
    if relabel is not None:
        lines = [_relabel_line(x, *relabel) for x in lines]
    if any(_SINGLE_LINE_ENTRY.search(x) for x in lines if not _is_comment(x)):
        raise InputError("the boot menu has an entry on one line, which is not supported")
    entries = _install_entries(lines)
    if not entries:
        raise InputError("the boot menu has no install entry")
    for entry in entries:
        has_media_check = is_test_title(_entry_title(lines[entry.title_line]))
        lines[entry.title_line] = _add_warning(lines[entry.title_line])
        for n in entry.kernel_lines:
            lines[n] = _add_arguments(lines[n], arguments, has_media_check=has_media_check)
    timeout = WAITING_TIMEOUT if waits_for_key else f"set timeout={TIMEOUT_S}"
    return "\n".join(_replace_settings(lines, entries[0].menu_path, timeout)) + "\n"


def has_kickstart_arguments(text: str, arguments: Sequence[str]) -> bool:
    """Return whether every install entry has every argument."""
    lines = list(_logical_lines(text))
    kernel_lines = [_tokenize(lines[n]) for e in _install_entries(lines) for n in e.kernel_lines]
    return bool(kernel_lines) and all(set(arguments) <= set(tokens) for tokens in kernel_lines)


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines, with continued lines joined like GRUB does."""
    parts: list[str] = []
    start = ""
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        # The joined line is a comment if its first non-blank part starts a comment.
        if line.endswith("\\") and not _is_comment(start or line):
            parts.append(line[:-1])
            start = start or line[:-1].strip()
            continue
        yield "".join([*parts, line])
        parts, start = [], ""
    if parts:
        yield "".join(parts)


def _install_entries(lines: Sequence[str]) -> list[_GrubEntry]:
    """Return the entries that start the installer and not its rescue mode."""
    return [
        e
        for e in _parse_entries(lines)
        if any(starts_installer(_tokenize(lines[n])[1:]) for n in e.kernel_lines)
        and not is_rescue_title(lines[e.title_line])
    ]


def _parse_entries(lines: Sequence[str]) -> list[_GrubEntry]:
    entries: list[_GrubEntry] = []
    counts = [0]
    blocks: list[str] = []
    for n, line in enumerate(lines):
        tokens = _tokenize(line)
        command = tokens[0] if tokens and not _is_comment(line) else ""
        if command in ("menuentry", "submenu"):
            parent_path = ">".join(str(c - 1) for c in counts[:-1])
            menu_path = f"{parent_path}>{counts[-1]}" if parent_path else str(counts[-1])
            counts[-1] += 1
            if command == "submenu":
                if len(counts) > MAX_SUBMENUS:
                    raise InputError(
                        f"the boot menu: expected at most {MAX_SUBMENUS} nested submenus, got more"
                    )
                counts.append(0)
            else:
                entries.append(_GrubEntry(title_line=n, menu_path=menu_path))
            blocks.append(command)
        elif command == "function":
            blocks.append(command)
        elif command in _KERNEL_COMMANDS and "menuentry" in blocks[-1:]:
            entries[-1].kernel_lines.append(n)
        elif command == "}" and blocks and blocks.pop() == "submenu":
            counts.pop()
    return entries


def _add_arguments(line: str, arguments: Sequence[str], *, has_media_check: bool) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    tokens = merge_arguments(_tokenize(line), arguments, has_media_check=has_media_check)
    return indent + " ".join(tokens)


def _entry_title(line: str) -> str:
    """Return the title of a ``menuentry``, with its quotes; empty without one."""
    return "".join(_tokenize(line)[1:2])


def _add_warning(line: str) -> str:
    title = next(itertools.islice(_TOKEN.finditer(line), 1, None), None)
    if title is None or title[0].startswith("{"):
        raise InputError("the boot menu has an install entry without a title")
    text = title[0]
    if TITLE_WARNING in text:
        return line
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        text = f"{text[:-1]}{TITLE_WARNING}{text[-1]}"
    else:
        text += f"'{TITLE_WARNING}'"
    return line[: title.start()] + text + line[title.end() :]


def _replace_settings(lines: Sequence[str], default: str, timeout: str) -> list[str]:
    # Unquoted, > would not be part of the value.
    default_value = f'"{default}"' if ">" in default else default
    settings = {
        "default": f"set default={default_value}",
        "timeout": timeout,
        "timeout_style": "set timeout_style=menu",
    }
    replaced_names: set[str] = set()

    def substitute(match: re.Match[str]) -> str:
        replaced_names.add(match["name"])
        return settings[match["name"]]

    out = [x if _is_comment(x) else _SETTING.sub(substitute, x) for x in lines]
    # Without a timeout the menu would wait for a key press.
    missing = [settings[n] for n in ("default", "timeout") if n not in replaced_names]
    return [*missing, *out]


def _relabel_line(line: str, old_label: str, new_label: str) -> str:
    tokens = list(_TOKEN.finditer(line))
    if not tokens or _is_comment(line):
        return line
    out, offset = "", 0
    for token in tokens:
        out += line[offset : token.start()] + _relabel_token(
            token[0], old_label, new_label, tokens[0][0]
        )
        offset = token.end()
    return out + line[offset:]


def _relabel_token(token: str, old_label: str, new_label: str, command: str) -> str:
    if command == "search" and token.strip("'\"") == old_label:
        return token.replace(old_label, new_label)
    if command in _KERNEL_COMMANDS:
        return replace_label(token, old_label, new_label)
    return token


def _tokenize(line: str) -> list[str]:
    return _TOKEN.findall(line)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")
