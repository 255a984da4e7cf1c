# SPDX-License-Identifier: GPL-2.0-or-later
"""Kickstart text -> pykickstart's object tree, or every reason why not, at once.

pykickstart knows what each release's installer understands, and which commands were
removed. This installer does less, so what it does not do is refused by name: an option
that were silently dropped would give an image that is not what its profile says.
"""

import shlex
import warnings
from dataclasses import dataclass
from typing import Any

from pykickstart.base import RemovedCommand  # type: ignore[import-untyped]
from pykickstart.errors import KickstartError  # type: ignore[import-untyped]
from pykickstart.parser import KickstartParser  # type: ignore[import-untyped]
from pykickstart.sections import NullSection  # type: ignore[import-untyped]
from pykickstart.version import makeVersion  # type: ignore[import-untyped]

from .plan import InstallerProblem, RefusedKickstartError
from .release import Release

_SIZE_OPTIONS = ("--fstype", "--size", "--grow", "--maxsize", "--fsoptions")
_NO_OPTIONS: frozenset[str] = frozenset()
SUPPORTED_OPTIONS: dict[str, frozenset[str]] = {
    "bootloader": frozenset(
        {"--append", "--iscrypted", "--password", "--boot-drive", "--location", "--timeout"}
    ),
    "cdrom": _NO_OPTIONS,
    "clearpart": frozenset({"--all", "--initlabel", "--drives", "--disklabel"}),
    "cmdline": frozenset({"--non-interactive"}),
    "eula": frozenset({"--agreed"}),
    "firewall": frozenset(
        {"--enabled", "--enable", "--disabled", "--disable", "--ssh", "--http", "--service",
         "--port"}
    ),
    "firstboot": frozenset({"--disable", "--disabled"}),
    "group": frozenset({"--name", "--gid"}),
    "halt": _NO_OPTIONS,
    "harddrive": frozenset({"--partition", "--dir"}),
    "ignoredisk": frozenset({"--only-use", "--drives"}),
    "keyboard": frozenset({"--vckeymap", "--xlayouts"}),
    "lang": _NO_OPTIONS,
    "logvol": frozenset({*_SIZE_OPTIONS, "--name", "--vgname"}),
    "network": frozenset(
        {"--bootproto", "--hostname", "--device", "--onboot", "--activate", "--no-activate"}
    ),
    "nfs": frozenset({"--server", "--dir"}),
    "part": frozenset(
        {*_SIZE_OPTIONS, "--ondisk", "--ondrive", "--asprimary", "--encrypted", "--luks-version",
         "--passphrase", "--pbkdf"}
    ),
    "poweroff": _NO_OPTIONS,
    "reboot": _NO_OPTIONS,
    "repo": frozenset({"--name", "--baseurl"}),
    "reqpart": frozenset({"--add-boot"}),
    "rootpw": frozenset({"--lock", "--iscrypted"}),
    "selinux": frozenset({"--enforcing", "--permissive", "--disabled"}),
    "services": frozenset({"--enabled", "--disabled"}),
    "shutdown": _NO_OPTIONS,
    "skipx": _NO_OPTIONS,
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
    "zerombr": _NO_OPTIONS,
}  # fmt: skip
"""Supported commands and their options. All others are refused."""

SUPPORTED_OPTIONS["partition"] = SUPPORTED_OPTIONS["part"]

_SCRIPT_OPTIONS = frozenset({"--erroronfail", "--interpreter", "--log", "--logfile"})
SUPPORTED_SECTIONS: dict[str, frozenset[str]] = {
    "%pre": _SCRIPT_OPTIONS,
    "%pre-install": _SCRIPT_OPTIONS,
    "%post": _SCRIPT_OPTIONS | {"--nochroot"},
    "%onerror": _SCRIPT_OPTIONS,
    "%traceback": _SCRIPT_OPTIONS,
    "%packages": frozenset(
        {"--exclude-weakdeps", "--excludeWeakdeps", "--excludedocs", "--ignoremissing",
         "--inst-langs", "--instLangs", "--nocore"}
    ),
}  # fmt: skip
"""Supported sections and their options."""

_NO_KDUMP = ["%addon", "com_redhat_kdump", "--disable"]
"""Accepted: the lab has no kdump to disable."""

_SINGLE_COMMANDS = frozenset({"bootloader", "clearpart", "lang", "keyboard", "rootpw", "timezone"})
"""Commands of which EL's installer silently takes the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """One command line and pykickstart's result of parsing it."""

    name: str
    line: int
    data: Any
    """pykickstart's object."""

    options: frozenset[str]
    """The options of the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedKickstart:
    """A kickstart as it was read."""

    commands: tuple[ParsedCommand, ...]
    scripts: tuple[Any, ...]
    """pykickstart's ``Script`` objects."""

    packages: Any
    """pykickstart's ``Packages``."""

    problems: tuple[InstallerProblem, ...]
    warnings: tuple[str, ...]
    text: str
    """The kickstart as pykickstart writes it."""


class _Parser(KickstartParser):  # type: ignore[misc]  # pykickstart is not typed
    """Collects commands and problems instead of stopping at the first."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler, followIncludes=False)
        self.commands: list[ParsedCommand] = []
        self.problems: list[InstallerProblem] = []

    def handleCommand(self, lineno: int, args: list[str]) -> Any:  # noqa: N802  (overrides)
        """One line of the command section."""
        name = args[0]
        if name not in self.handler.commands or name in self.removed:
            # pykickstart's own sentences: an unknown command, or one of an earlier release.
            return self._parse(lineno, args)
        if name not in SUPPORTED_OPTIONS:
            self.problems.append(
                InstallerProblem(
                    line=lineno, text=f"command {name!r} is not implemented by this installer"
                )
            )
            return None
        options = frozenset(a.partition("=")[0] for a in args[1:] if a.startswith("-"))
        unsupported = sorted(options - SUPPORTED_OPTIONS[name])
        self.problems += [
            InstallerProblem(
                line=lineno, text=f"{name}: option {o} is not implemented by this installer"
            )
            for o in unsupported
        ]
        if unsupported:
            return None
        if name in _SINGLE_COMMANDS and any(c.name == name for c in self.commands):
            self.problems.append(
                InstallerProblem(line=lineno, text=f"{name}: given more than once")
            )
            return None
        data = self._parse(lineno, args)
        if data is not None:
            self.commands.append(ParsedCommand(name=name, line=lineno, data=data, options=options))
        return data

    @property
    def removed(self) -> frozenset[str]:
        """Commands that the release has no more."""
        return frozenset(
            n for n, c in self.handler.commands.items() if isinstance(c, RemovedCommand)
        )

    def _parse(self, lineno: int, args: list[str]) -> Any:
        try:
            return super().handleCommand(lineno, args)
        except KickstartError as e:
            self.problems.append(InstallerProblem(line=e.lineno or lineno, text=_format_error(e)))
            return None


class _PreParser(KickstartParser):  # type: ignore[misc]  # pykickstart is not typed
    """Sees the ``%pre`` sections and nothing else, as Anaconda's first pass."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler, missingIncludeIsFatal=False, unknownSectionIsFatal=False)

    def handleCommand(self, lineno: int, args: list[str]) -> Any:  # noqa: N802  (overrides)
        """Commands wait for the second pass."""
        return None

    def setupSections(self) -> None:  # noqa: N802  (overrides)
        """Every other section is skipped."""
        super().setupSections()
        for name in [n for n in self._sections if n != "%pre"]:
            self.registerSection(NullSection(self.handler, sectionOpen=name))


def parse_pre_scripts(text: str, release: Release) -> tuple[Any, ...]:
    """The ``%pre`` scripts, which run before the kickstart is parsed.

    Raises:
        RefusedKickstartError: a section is not complete.
    """
    parser = _PreParser(makeVersion(release.handler))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser.readKickstartFromString(text)
    except KickstartError as e:
        problem = InstallerProblem(line=e.lineno or 0, text=_format_error(e))
        raise RefusedKickstartError((problem,)) from e
    return tuple(parser.handler.scripts)


def parse_kickstart(text: str, release: Release) -> ParsedKickstart:
    """Read a kickstart with the syntax of a release."""
    parser = _Parser(makeVersion(release.handler))
    # Blanked, not removed: the lines after it keep their numbers.
    body, problems = _blank_refused_sections(text)
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        try:
            parser.readKickstartFromString(body)
        except KickstartError as e:
            parser.problems.append(InstallerProblem(line=e.lineno or 0, text=_format_error(e)))
        except ValueError as e:
            parser.problems.append(
                InstallerProblem(line=0, text=f"cannot be split into words: {e}")
            )
    messages = (str(w.message) for w in recorded if w.category.__module__.startswith("pykickstart"))
    return ParsedKickstart(
        commands=tuple(parser.commands),
        scripts=tuple(parser.handler.scripts),
        packages=parser.handler.packages,
        problems=(*problems, *parser.problems),
        warnings=tuple(dict.fromkeys(messages)),
        text="" if problems or parser.problems else str(parser.handler),
    )


def _blank_refused_sections(text: str) -> tuple[str, list[InstallerProblem]]:
    """The text with unknown sections and includes blanked, and why they are refused."""
    lines: list[str] = []
    problems: list[InstallerProblem] = []
    in_section = is_dropping = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        keyword = line.split(maxsplit=1)[0] if line.strip() else ""
        is_copied = not is_dropping
        if in_section:
            if keyword == "%end":
                in_section = is_dropping = False
            elif keyword == "%include":
                problems.append(InstallerProblem(line=number, text="%include is not implemented"))
        elif keyword.startswith("%"):
            section_problems = _check_section(keyword, line, number)
            problems += section_problems
            is_copied = not section_problems
            in_section = keyword not in ("%include", "%ksappend")
            is_dropping = in_section and bool(section_problems)
        lines.append(line if is_copied else "\n")
    return "".join(lines), problems


def _check_section(keyword: str, line: str, number: int) -> list[InstallerProblem]:
    if line.split() == _NO_KDUMP:
        return []
    if keyword not in SUPPORTED_SECTIONS:
        name = " ".join(line.split()[:2]) if keyword == "%addon" else keyword
        return [
            InstallerProblem(
                line=number, text=f"section {name} is not implemented by this installer"
            )
        ]
    try:
        arguments = shlex.split(line, comments=True)[1:]
    except ValueError as e:
        return [InstallerProblem(line=number, text=f"{keyword}: cannot be split into words: {e}")]
    options = {w.partition("=")[0] for w in arguments if w.startswith("-")}
    return [
        InstallerProblem(
            line=number, text=f"{keyword}: option {o} is not implemented by this installer"
        )
        for o in sorted(options - SUPPORTED_SECTIONS[keyword])
    ]


def _format_error(error: KickstartError) -> str:
    return " ".join(str(error.message).split()) or "cannot be read"
