"""Parse a kickstart into commands and sections, as far as the linter needs it.

Written from the kickstart documentation, not from pykickstart, which is GPL-licensed; hardpan runs
``ksvalidator`` as a program and never imports it.
"""

import shlex
from dataclasses import dataclass

SCRIPT_SECTIONS = ("%pre", "%pre-install", "%post", "%onerror", "%traceback")
_SECTIONS = (*SCRIPT_SECTIONS, "%packages", "%addon", "%anaconda", "%certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class LintProblem:
    """A problem in a kickstart."""

    line: int
    """Line number, from 1; 0 if something is missing."""

    text: str
    """Expected and actual text."""

    def __str__(self) -> str:
        """Return ``line N: text``, or the text alone."""
        return f"line {self.line}: {self.text}" if self.line else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class KickstartCommand:
    """A command line outside of sections."""

    line: int
    name: str
    arguments: tuple[str, ...]
    """Arguments that are not options."""

    options: dict[str, str]
    """``--size=1`` is ``size`` -> ``1``; a bare ``--grow`` is ``grow`` -> ``''``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KickstartSection:
    """A section ``%name ... %end``."""

    line: int
    name: str
    arguments: tuple[str, ...]
    """Arguments on the section's first line."""

    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KickstartDocument:
    """A parsed kickstart."""

    commands: tuple[KickstartCommand, ...]
    sections: tuple[KickstartSection, ...]
    problems: tuple[LintProblem, ...]
    """Syntax problems."""

    def commands_named(self, *names: str) -> tuple[KickstartCommand, ...]:
        """Return the commands with these names, in order."""
        return tuple(c for c in self.commands if c.name in names)

    def scripts(self, *names: str) -> tuple[KickstartSection, ...]:
        """Return the script sections, all or those with these names."""
        return tuple(s for s in self.sections if s.name in (names or SCRIPT_SECTIONS))


def parse_kickstart(text: str) -> KickstartDocument:
    """Parse ``text``; never raises."""
    commands: list[KickstartCommand] = []
    sections: list[KickstartSection] = []
    problems: list[LintProblem] = []
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line, number = lines[index], index + 1
        index += 1
        if line.startswith("%"):
            end = next((i for i in range(index, len(lines)) if lines[i].rstrip() == "%end"), None)
            body = lines[index : end if end is not None else len(lines)]
            section = _parse_section(line, number, body, problems)
            sections.append(section)
            if end is None:
                problems.append(LintProblem(line=number, text=f"{section.name} has no %end"))
            index = end + 1 if end is not None else len(lines)
        elif tokens := _split_line(line, number, problems):
            commands.append(_build_command(tokens, number))
    return KickstartDocument(
        commands=tuple(commands), sections=tuple(sections), problems=tuple(problems)
    )


def _parse_section(
    line: str, number: int, body: list[str], problems: list[LintProblem]
) -> KickstartSection:
    name, *arguments = _split_line(line, number, problems) or [line]
    if name not in _SECTIONS:
        problems.append(LintProblem(line=number, text=f"unknown section {name!a}"))
    return KickstartSection(
        line=number, name=name, arguments=tuple(arguments), body="\n".join(body) + "\n"
    )


def _split_line(line: str, number: int, problems: list[LintProblem]) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as e:
        problems.append(LintProblem(line=number, text=f"invalid syntax: {e}"))
        return []


def _build_command(tokens: list[str], number: int) -> KickstartCommand:
    arguments: list[str] = []
    options: dict[str, str] = {}
    for token in tokens[1:]:
        if token.startswith("--"):
            name, _, value = token[2:].partition("=")
            options[name] = value
        else:
            arguments.append(token)
    return KickstartCommand(
        line=number, name=tokens[0], arguments=tuple(arguments), options=options
    )
