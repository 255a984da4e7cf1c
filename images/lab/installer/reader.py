# SPDX-License-Identifier: GPL-2.0-or-later
"""Kickstart text -> pykickstart's object tree, or every reason why not, at once.

pykickstart knows what RHEL 9's installer understands. This installer does less,
so what it does not do is refused by name: an option that were silently dropped
would give an image that is not what its profile says.
"""

import shlex
import warnings
from dataclasses import dataclass
from typing import Any

from pykickstart.errors import KickstartError  # type: ignore[import-untyped]
from pykickstart.parser import KickstartParser  # type: ignore[import-untyped]
from pykickstart.version import makeVersion  # type: ignore[import-untyped]

from .plan import Problem

_SIZES = ("--fstype", "--size", "--grow", "--maxsize", "--fsoptions")
_END: frozenset[str] = frozenset()
OPTIONS: dict[str, frozenset[str]] = {
    "bootloader": frozenset(
        {"--append", "--iscrypted", "--password", "--boot-drive", "--location", "--timeout"}
    ),
    "cdrom": _END,
    "clearpart": frozenset({"--all", "--initlabel", "--drives", "--disklabel"}),
    "cmdline": frozenset({"--non-interactive"}),
    "eula": frozenset({"--agreed"}),
    "firewall": frozenset(
        {"--enabled", "--enable", "--disabled", "--disable", "--ssh", "--http", "--service",
         "--port"}
    ),
    "firstboot": frozenset({"--disable", "--disabled"}),
    "group": frozenset({"--name", "--gid"}),
    "halt": _END,
    "ignoredisk": frozenset({"--only-use", "--drives"}),
    "keyboard": frozenset({"--vckeymap", "--xlayouts"}),
    "lang": _END,
    "logvol": frozenset({*_SIZES, "--name", "--vgname"}),
    "network": frozenset(
        {"--bootproto", "--hostname", "--device", "--onboot", "--activate", "--no-activate"}
    ),
    "part": frozenset(
        {*_SIZES, "--ondisk", "--ondrive", "--asprimary", "--encrypted", "--luks-version",
         "--passphrase", "--pbkdf"}
    ),
    "poweroff": _END,
    "reboot": _END,
    "reqpart": frozenset({"--add-boot"}),
    "rootpw": frozenset({"--lock", "--iscrypted"}),
    "selinux": frozenset({"--enforcing", "--permissive", "--disabled"}),
    "services": frozenset({"--enabled", "--disabled"}),
    "shutdown": _END,
    "skipx": _END,
    "sshkey": frozenset({"--username"}),
    "text": frozenset({"--non-interactive"}),
    "timesource": frozenset({"--ntp-server", "--ntp-pool", "--ntp-disable"}),
    "timezone": frozenset({"--utc", "--isUtc"}),
    "url": frozenset({"--url"}),
    "user": frozenset(
        {"--name", "--groups", "--password", "--iscrypted", "--lock", "--uid", "--gid", "--gecos",
         "--homedir", "--shell"}
    ),
    "volgroup": frozenset({"--pesize"}),
    "zerombr": _END,
}  # fmt: skip
"""Every command that is obeyed, and its options. All else is refused."""

OPTIONS["partition"] = OPTIONS["part"]

_SCRIPT = frozenset({"--erroronfail", "--interpreter", "--log", "--logfile"})
SECTIONS: dict[str, frozenset[str]] = {
    "%pre": _SCRIPT,
    "%pre-install": _SCRIPT,
    "%post": _SCRIPT | {"--nochroot"},
    "%onerror": _SCRIPT,
    "%traceback": _SCRIPT,
    "%packages": frozenset(
        {"--exclude-weakdeps", "--excludeWeakdeps", "--excludedocs", "--ignoremissing",
         "--inst-langs", "--instLangs"}
    ),
}  # fmt: skip
"""Every section that is obeyed, and its options."""

_NO_KDUMP = ["%addon", "com_redhat_kdump", "--disable"]
"""Obeyed by doing nothing: the lab has no kdump."""

_ONCE = frozenset({"bootloader", "clearpart", "lang", "keyboard", "rootpw", "timezone"})
"""Commands of which EL's installer silently takes the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command line and what pykickstart made of it."""

    name: str
    line: int
    data: Any
    """pykickstart's object."""

    given: frozenset[str]
    """The options that stand in the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A kickstart as it was read."""

    commands: tuple[Command, ...]
    scripts: tuple[Any, ...]
    """pykickstart's ``Script`` objects."""

    packages: Any
    """pykickstart's ``Packages``."""

    problems: tuple[Problem, ...]


class _Parser(KickstartParser):  # type: ignore[misc]  # pykickstart is not typed
    """Collects commands and problems instead of stopping at the first."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler, followIncludes=False)
        self.commands: list[Command] = []
        self.problems: list[Problem] = []

    def handleCommand(self, lineno: int, args: list[str]) -> Any:  # noqa: N802  (overrides)
        """One line of the command section."""
        name = args[0]
        if name not in OPTIONS:
            known = name in self.handler.commands
            why = "is not implemented by this installer" if known else "is not a kickstart command"
            self.problems.append(Problem(line=lineno, text=f"command {name!r} {why}"))
            return None
        given = frozenset(a.partition("=")[0] for a in args[1:] if a.startswith("-"))
        refused = sorted(given - OPTIONS[name])
        self.problems += [
            Problem(line=lineno, text=f"{name}: option {o} is not implemented by this installer")
            for o in refused
        ]
        if refused:
            return None
        if name in _ONCE and any(c.name == name for c in self.commands):
            self.problems.append(Problem(line=lineno, text=f"{name}: given more than once"))
            return None
        try:
            data = super().handleCommand(lineno, args)
        except KickstartError as e:
            self.problems.append(Problem(line=e.lineno or lineno, text=f"{name}: {_told(e)}"))
            return None
        self.commands.append(Command(name=name, line=lineno, data=data, given=given))
        return data


def read(text: str, *, strict: bool) -> Read:
    """Read a kickstart. With ``strict`` (inst.ksstrict) warnings are problems too."""
    parser = _Parser(makeVersion("RHEL9"))
    # Blanked, not removed: the lines after it keep their numbers.
    body, problems = _without_refused_sections(text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            parser.readKickstartFromString(body)
        except KickstartError as e:
            parser.problems.append(Problem(line=e.lineno or 0, text=_told(e)))
        except ValueError as e:
            parser.problems.append(Problem(line=0, text=f"cannot be split into words: {e}"))
    if strict:
        told = (str(w.message) for w in caught if w.category.__module__.startswith("pykickstart"))
        parser.problems += [Problem(line=0, text=t) for t in told]
    return Read(
        commands=tuple(parser.commands),
        scripts=tuple(parser.handler.scripts),
        packages=parser.handler.packages,
        problems=(*problems, *parser.problems),
    )


def _without_refused_sections(text: str) -> tuple[str, list[Problem]]:
    """The text with unknown sections and includes blanked, and why they are refused."""
    out: list[str] = []
    problems: list[Problem] = []
    inside = dropping = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        keep = not dropping
        if inside:
            if word == "%end":
                inside = dropping = False
            elif word == "%include":
                problems.append(Problem(line=number, text="%include is not implemented"))
        elif word.startswith("%"):
            found = _section_problems(word, line, number)
            problems += found
            keep = not found
            inside = word not in ("%include", "%ksappend")
            dropping = inside and bool(found)
        out.append(line if keep else "\n")
    return "".join(out), problems


def _section_problems(word: str, line: str, number: int) -> list[Problem]:
    if line.split() == _NO_KDUMP:
        return []
    if word not in SECTIONS:
        name = " ".join(line.split()[:2]) if word == "%addon" else word
        return [Problem(line=number, text=f"section {name} is not implemented by this installer")]
    try:
        words = shlex.split(line, comments=True)[1:]
    except ValueError as e:
        return [Problem(line=number, text=f"{word}: cannot be split into words: {e}")]
    given = {w.partition("=")[0] for w in words if w.startswith("-")}
    return [
        Problem(line=number, text=f"{word}: option {o} is not implemented by this installer")
        for o in sorted(given - SECTIONS[word])
    ]


def _told(error: KickstartError) -> str:
    return " ".join(str(error.message).split()) or "cannot be read"
