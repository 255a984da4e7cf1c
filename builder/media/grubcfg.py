"""A GRUB menu edited token by token: the install entries get the arguments, nothing else does."""

import itertools
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

MAX_SUBMENUS = 8
"""One in another; install media have one level."""

_KERNEL = ("linux", "linuxefi", "linux16")
# A word of GRUB's script: quoted parts and escapes belong to it, a stray quote too.
_WORD = re.compile(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s'\"\\]|['\"\\])+")
_SETTING = re.compile(r"\bset\s+(?P<name>default|timeout|timeout_style)=(?:\"[^\"]*\"|[^\s;]*)")
_ONE_LINER = re.compile(r"[{;]\s*linux(?:efi|16)?\s")


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One ``menuentry`` and where its kernel lines are."""

    head: int
    """Its first line."""

    place: str
    """What ``default`` calls it: ``0``, or ``2>1`` inside a submenu."""

    kernels: list[int] = field(default_factory=list)


def edited(text: str, arguments: Sequence[str], *, relabel: tuple[str, str] | None = None) -> str:
    """The menu with ``arguments`` on every install entry, the first of them the default.

    Arguments that an entry has already are taken out first (``inst.ks``,
    ``console``, and every one that is given), and so is the media check. Rescue
    entries are left as they are. ``relabel`` is the volume's old and new label.

    Raises:
        InputError: the menu has no install entry, has one in a form that is not
            understood, or nests its submenus too deeply.
    """
    lines = list(_logical(text))
    if relabel is not None:
        lines = [_with_label(x, *relabel) for x in lines]
    if any(_ONE_LINER.search(x) for x in lines if not _is_comment(x)):
        raise InputError("the boot menu has an entry on one line, which is not understood")
    found = _install_entries(lines)
    if not found:
        raise InputError("the boot menu has no install entry")
    for entry in found:
        lines[entry.head] = _with_warning(lines[entry.head])
        for n in entry.kernels:
            lines[n] = _with_arguments(lines[n], arguments)
    return "\n".join(_with_settings(lines, found[0].place)) + "\n"


def names_kickstart(text: str, arguments: Sequence[str]) -> bool:
    """True when every install entry of the menu carries every argument."""
    lines = list(_logical(text))
    found = [_words(lines[n]) for e in _install_entries(lines) for n in e.kernels]
    return bool(found) and all(set(arguments) <= set(words) for words in found)


def _logical(text: str) -> Iterator[str]:
    """The lines, those that end in a backslash joined with the next as GRUB does."""
    parts: list[str] = []
    start = ""
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        # The joined line is a comment when its first part that is not blank begins one.
        if line.endswith("\\") and not _is_comment(start or line):
            parts.append(line[:-1])
            start = start or line[:-1].strip()
            continue
        yield "".join([*parts, line])
        parts, start = [], ""
    if parts:
        yield "".join(parts)


def _install_entries(lines: Sequence[str]) -> list[_Entry]:
    """Entries with a kernel line that starts the installer, and not its rescue mode."""
    return [
        e
        for e in _entries(lines)
        if any(installs(_words(lines[n])[1:]) for n in e.kernels) and not is_rescue(lines[e.head])
    ]


def _entries(lines: Sequence[str]) -> list[_Entry]:
    found: list[_Entry] = []
    counts = [0]
    blocks: list[str] = []
    for n, line in enumerate(lines):
        words = _words(line)
        first = words[0] if words and not _is_comment(line) else ""
        if first in ("menuentry", "submenu"):
            place = ">".join(str(c - 1) for c in counts[:-1])
            found_at = f"{place}>{counts[-1]}" if place else str(counts[-1])
            counts[-1] += 1
            if first == "submenu":
                if len(counts) > MAX_SUBMENUS:
                    raise InputError(
                        f"the boot menu: expected at most {MAX_SUBMENUS} submenus one in another,"
                        " found more"
                    )
                counts.append(0)
            else:
                found.append(_Entry(head=n, place=found_at))
            blocks.append(first)
        elif first == "function":
            blocks.append(first)
        elif first in _KERNEL and "menuentry" in blocks[-1:]:
            found[-1].kernels.append(n)
        elif first == "}" and blocks and blocks.pop() == "submenu":
            counts.pop()
    return found


def _with_arguments(line: str, arguments: Sequence[str]) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return indent + " ".join(with_arguments(_words(line), arguments))


def _with_warning(line: str) -> str:
    title = next(itertools.islice(_WORD.finditer(line), 1, None), None)
    if title is None or title[0].startswith("{"):
        raise InputError("the boot menu has an install entry without a title")
    shown = title[0]
    if WARNING in shown:
        return line
    if shown[0] in "'\"" and shown[-1] == shown[0] and len(shown) > 1:
        shown = f"{shown[:-1]}{WARNING}{shown[-1]}"
    else:
        shown += f"'{WARNING}'"
    return line[: title.start()] + shown + line[title.end() :]


def _with_settings(lines: Sequence[str], default: str) -> list[str]:
    # In a script, an unquoted > would be no part of the value.
    shown = f'"{default}"' if ">" in default else default
    values = {"default": shown, "timeout": str(TIMEOUT_S), "timeout_style": "menu"}
    seen: set[str] = set()

    def put(found: re.Match[str]) -> str:
        seen.add(found["name"])
        return f"set {found['name']}={values[found['name']]}"

    out = [x if _is_comment(x) else _SETTING.sub(put, x) for x in lines]
    # Without a timeout the menu would wait for ever for somebody to press Enter.
    missing = [f"set {n}={values[n]}" for n in ("default", "timeout") if n not in seen]
    return [*missing, *out]


def _with_label(line: str, old: str, new: str) -> str:
    words = list(_WORD.finditer(line))
    if not words or _is_comment(line):
        return line
    out, at = "", 0
    for word in words:
        out += line[at : word.start()] + _relabelled(word[0], old, new, words[0][0])
        at = word.end()
    return out + line[at:]


def _relabelled(word: str, old: str, new: str, command: str) -> str:
    if command == "search" and word.strip("'\"") == old:
        return word.replace(old, new)
    if command in _KERNEL:
        return relabelled(word, old, new)
    return word


def _words(line: str) -> list[str]:
    return _WORD.findall(line)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")
