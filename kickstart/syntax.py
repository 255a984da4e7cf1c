"""A kickstart as commands and sections: just enough of its syntax for the linter.

Written from the kickstart documentation, not from pykickstart, whose licence is
the GPL; hardpan runs ``ksvalidator`` as a program and never imports it.
"""

import shlex
from dataclasses import dataclass

SCRIPTS = ("%pre", "%pre-install", "%post", "%onerror", "%traceback")
_SECTIONS = (*SCRIPTS, "%packages", "%addon", "%anaconda", "%certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something in a kickstart that has to be mended."""

    line: int
    """Line in the kickstart, from 1; 0 when something is missing altogether."""

    text: str
    """What was expected and what was found."""

    def __str__(self) -> str:
        """``line N: text``, or the text alone."""
        return f"line {self.line}: {self.text}" if self.line else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line outside of the sections."""

    line: int
    name: str
    words: tuple[str, ...]
    """What follows the name and is no option."""

    options: dict[str, str]
    """``--size=1`` is ``size`` -> ``1``; a bare ``--grow`` is ``grow`` -> ``''``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One ``%name ... %end``."""

    line: int
    name: str
    words: tuple[str, ...]
    """What follows the name on its line."""

    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A kickstart, taken apart."""

    commands: tuple[Command, ...]
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]
    """What could not be taken apart."""

    def named(self, *names: str) -> tuple[Command, ...]:
        """The commands of these names, in order."""
        return tuple(c for c in self.commands if c.name in names)

    def scripts(self, *names: str) -> tuple[Section, ...]:
        """The sections that hold a script; all of them, or those of these names."""
        return tuple(s for s in self.sections if s.name in (names or SCRIPTS))


def parse(text: str) -> Document:
    """The commands and sections of ``text``; never raises."""
    commands: list[Command] = []
    sections: list[Section] = []
    problems: list[Problem] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if line.startswith("%"):
            end = next((i for i in range(at, len(lines)) if lines[i].rstrip() == "%end"), None)
            body = lines[at : end if end is not None else len(lines)]
            section = _section(line, number, body, problems)
            sections.append(section)
            if end is None:
                problems.append(Problem(line=number, text=f"{section.name} has no %end"))
            at = end + 1 if end is not None else len(lines)
        elif words := _split(line, number, problems):
            commands.append(_command(words, number))
    return Document(commands=tuple(commands), sections=tuple(sections), problems=tuple(problems))


def _section(line: str, number: int, body: list[str], problems: list[Problem]) -> Section:
    name, *words = _split(line, number, problems) or [line]
    if name not in _SECTIONS:
        problems.append(Problem(line=number, text=f"unknown section {name!a}"))
    return Section(line=number, name=name, words=tuple(words), body="\n".join(body) + "\n")


def _split(line: str, number: int, problems: list[Problem]) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as e:
        problems.append(Problem(line=number, text=f"cannot be read: {e}"))
        return []


def _command(split: list[str], number: int) -> Command:
    words: list[str] = []
    options: dict[str, str] = {}
    for word in split[1:]:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        else:
            words.append(word)
    return Command(line=number, name=split[0], words=tuple(words), options=options)
