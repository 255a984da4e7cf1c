"""A YAML file as values that know their line and column, read with suspicion.

YAML 1.2's plain scalars only: ``no`` and ``on`` are words, ``012`` is refused,
and there are no tags, merges or second documents, and aliases only where a reader
asks for them. What people write is small, so size, depth and the number of values
are limited before anything is built from it.

Profiles, trust policies and the lists that come with hardpan are read here. PyYAML alone is no
reader for them: an alias of what it is part of ends it with a RecursionError, nine lines of aliases
take all memory, a list as a key ends in a TypeError, a later key replaces an earlier one, and
``20261122`` and ``1:30`` become numbers that nobody wrote.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml
from yaml.reader import ReaderError

from hardpan.errors import InputError

MAX_BYTES = 256 * 1024
_DEPTH_MOST = 12
_MAX_VALUES = 10_000
"""Values in a file; the largest list that comes with hardpan has 1,500. Each takes some 1.5 KB."""

_INT = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}", re.ASCII)
_OCTAL = re.compile(r"-?0[0-9]{1,17}", re.ASCII)  # longer ones are digests
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Mark(Protocol):
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is written."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A value and the place it is written at."""

    value: "dict[str, Tree] | list[Tree] | str | int | float | bool | None"
    place: Place

    def plain(self) -> object:
        """The value alone, as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: inner.plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.plain() for inner in self.value]
        return self.value

    def without(self, names: tuple[str, ...]) -> "Tree":
        """A map without these names."""
        if not isinstance(self.value, dict):
            return self
        kept = {key: inner for key, inner in self.value.items() if key not in names}
        return Tree(value=kept, place=self.place)

    def at(self, path: tuple[str | int, ...]) -> Place:
        """The place of what ``path`` leads to, or of the nearest thing above it."""
        here = self
        for step in path:
            if isinstance(here.value, dict) and step in here.value:
                here = here.value[str(step)]
            elif isinstance(here.value, list) and isinstance(step, int):
                here = here.value[step]
            else:
                break
        return here.place


def read(data: bytes, file: str, *, max_bytes: int = MAX_BYTES, aliases: bool = False) -> Tree:
    """The mapping that ``data`` holds; ``file`` names it in every message.

    With ``aliases`` a value may be named and repeated (``&`` and ``*``), as programs write it that
    know one value in two places; each repetition counts as if it were written out.

    Raises:
        InputError: it is too large, not UTF-8, not YAML, or more than plain YAML.
    """
    start = Place(file=file, line=1, column=1)
    if len(data) > max_bytes:
        raise InputError(f"{start}: expected at most {max_bytes} bytes")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{start}: expected plain UTF-8, found a byte-order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        place = _place_of(data[: e.start].decode("utf-8"), file)
        raise InputError(f"{place}: expected UTF-8, found byte 0x{data[e.start]:02x}") from e
    try:
        _check(text, file, aliases=aliases)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        raise InputError(_yaml_problem(e, start)) from e
    except ReaderError as e:
        place = _place_of(text[: e.position], file)
        raise InputError(
            f"{place}: not YAML: found the control character {text[e.position]!a}"
        ) from e
    except yaml.YAMLError as e:
        raise InputError(f"{start}: not YAML: cannot be read") from e
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{start}: expected settings as 'name: value', found none")
    problems: list[str] = []
    tree = _tree(node, file, problems)
    if problems:
        raise InputError("\n".join(problems))
    return tree


def merged(base: Tree, over: Tree) -> Tree:
    """``base`` with ``over`` laid on it: maps merge, everything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    both = dict(base.value)
    for key, inner in over.value.items():
        both[key] = merged(both[key], inner) if key in both else inner
    return Tree(value=both, place=over.place)


class _Outline:
    """Counts what a text leads to, aliases included, event by event: before a node is built."""

    def __init__(self, file: str, *, aliases: bool) -> None:
        self._file = file
        self._aliases = aliases
        self._values = 0
        self._documents = 0
        self._open: list[_Collection] = []
        self._anchored: dict[str, tuple[int, int]] = {}
        """Anchor -> values in what it names, and levels below it."""

    def add(self, event: yaml.Event) -> Place:
        """Count ``event``; its place is the answer.

        Raises:
            InputError: it is not allowed here, or too many or too deep by now.
        """
        place = _place(event.start_mark, self._file)
        self._documents += isinstance(event, yaml.DocumentStartEvent)
        if self._documents > 1:
            raise InputError(f"{place}: expected one document, found a second")
        if isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.NodeEvent):
            self._add_node(event, place)
        return place

    def _add_node(self, event: yaml.NodeEvent, place: Place) -> None:
        if event.anchor is not None and not self._aliases:
            raise InputError(f"{place}: anchors and aliases (& and *) are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise InputError(f"{place}: tags are not allowed, found {tag[:80]!a}")
        values, levels = 1, 0
        if isinstance(event, yaml.AliasEvent):
            if any(c.anchor == event.anchor for c in self._open):
                raise InputError(f"{place}: an alias of what it is part of")
            values, levels = self._anchored.get(str(event.anchor), (1, 0))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Collection(anchor=event.anchor, begins=self._values))
        elif event.anchor is not None:
            self._anchored[event.anchor] = values, levels
        self._values += values
        for level, collection in enumerate(reversed(self._open), 1):
            collection.levels = max(collection.levels, level + levels)
        if len(self._open) + levels > _DEPTH_MOST:
            raise InputError(f"{place}: nested more than {_DEPTH_MOST} deep")
        if self._values > _MAX_VALUES:
            raise InputError(f"{place}: expected at most {_MAX_VALUES} values")

    def _close(self) -> None:
        done = self._open.pop()
        if done.anchor is not None:
            self._anchored[done.anchor] = self._values - done.begins, done.levels


@dataclass(slots=True, kw_only=True)
class _Collection:
    """A map or list that has begun and not ended."""

    anchor: str | None
    begins: int
    """Values before it."""

    levels: int = 0
    """Levels of maps and lists in it, itself included."""


def _check(text: str, file: str, *, aliases: bool) -> None:
    """Walk the events, which cost no memory, before the nodes are built."""
    outline = _Outline(file, aliases=aliases)
    place = Place(file=file, line=1, column=1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            place = outline.add(event)
    except (ValueError, OverflowError) as e:
        # PyYAML converts the numbers of directives and of escapes such as \U0011FFFF unchecked.
        raise InputError(f"{place}: not YAML: after this, a number that means nothing") from e


def _tree(node: yaml.Node, file: str, problems: list[str]) -> Tree:
    place = _place(node.start_mark, file)
    if isinstance(node, yaml.MappingNode):
        return Tree(value=dict(_pairs(node, file, problems)), place=place)
    if isinstance(node, yaml.SequenceNode):
        return Tree(value=[_tree(n, file, problems) for n in node.value], place=place)
    return Tree(value=_scalar(node, place, problems), place=place)


def _pairs(node: yaml.MappingNode, file: str, problems: list[str]) -> Iterator[tuple[str, Tree]]:
    seen: set[str] = set()
    for key, value in node.value:
        place = _place(key.start_mark, file)
        if not isinstance(key, yaml.ScalarNode):
            problems.append(f"{place}: expected a name before the ':'")
            continue
        if _SURROGATE.search(key.value):
            problems.append(f"{place}: expected a name, found half a surrogate pair")
            continue
        if key.value in seen:
            problems.append(f"{place}: {key.value[:80]!a} is set twice")
        seen.add(key.value)
        inner = _tree(value, file, problems)
        # A map, a list or nothing at all begins after its key, often on the next line.
        plain = not isinstance(inner.value, dict | list | None)
        yield key.value, inner if plain else Tree(value=inner.value, place=place)


def _scalar(node: yaml.Node, place: Place, problems: list[str]) -> str | int | float | bool | None:
    text = str(node.value)
    if not text.isascii() and _SURROGATE.search(text):
        problems.append(f"{place}: expected text, found half a surrogate pair")
    if getattr(node, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]  # type: ignore[return-value]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        problems.append(f"{place}: a number with a leading 0 is ambiguous, found {text[:40]}")
    return text


def _place(mark: _Mark | None, file: str) -> Place:
    if mark is None:
        return Place(file=file, line=1, column=1)
    return Place(file=file, line=mark.line + 1, column=mark.column + 1)


def _yaml_problem(e: yaml.MarkedYAMLError, start: Place) -> str:
    mark = e.problem_mark or e.context_mark
    place = _place(mark, start.file) if mark else start
    said = e.problem or e.context or "cannot be read"
    if "\\t" in said:
        said = "found a tab where blanks are expected"
    return f"{place}: not YAML: {said}"


def _place_of(before: str, file: str) -> Place:
    """The place of what comes after ``before``."""
    line = before.rpartition("\n")[2]
    return Place(file=file, line=before.count("\n") + 1, column=len(line) + 1)
