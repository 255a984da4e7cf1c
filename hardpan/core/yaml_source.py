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

from hardpan.core.errors import InputError

MAX_YAML_BYTES = 256 * 1024
_MAX_DEPTH = 12
_MAX_VALUES = 10_000
"""Values in a file; the largest list that comes with hardpan has 1,500. Each takes some 1.5 KB."""

_INT = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}", re.ASCII)
_OCTAL = re.compile(r"-?0[0-9]{1,17}", re.ASCII)  # longer ones are digests
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYWORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Mark(Protocol):
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLocation:
    """Where something is written."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlNode:
    """A value and the place it is written at."""

    value: "dict[str, YamlNode] | list[YamlNode] | str | int | float | bool | None"
    location: SourceLocation

    def to_plain(self) -> object:
        """The value alone, as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: inner.to_plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.to_plain() for inner in self.value]
        return self.value

    def without(self, names: tuple[str, ...]) -> "YamlNode":
        """A map without these names."""
        if not isinstance(self.value, dict):
            return self
        remaining = {key: inner for key, inner in self.value.items() if key not in names}
        return YamlNode(value=remaining, location=self.location)

    def locate(self, path: tuple[str | int, ...]) -> SourceLocation:
        """The place of what ``path`` leads to, or of the nearest thing above it."""
        node = self
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                node = node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int):
                node = node.value[step]
            else:
                break
        return node.location


def read_yaml(
    data: bytes, file: str, *, max_bytes: int = MAX_YAML_BYTES, aliases: bool = False
) -> YamlNode:
    """The mapping that ``data`` holds; ``file`` names it in every message.

    With ``aliases`` a value may be named and repeated (``&`` and ``*``), as programs write it that
    know one value in two places; each repetition counts as if it were written out.

    Raises:
        InputError: it is too large, not UTF-8, not YAML, or more than plain YAML.
    """
    start = SourceLocation(file=file, line=1, column=1)
    if len(data) > max_bytes:
        raise InputError(f"{start}: expected at most {max_bytes} bytes")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{start}: expected plain UTF-8, found a byte-order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        location = _location_after(data[: e.start].decode("utf-8"), file)
        raise InputError(f"{location}: expected UTF-8, found byte 0x{data[e.start]:02x}") from e
    try:
        _check_limits(text, file, aliases=aliases)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        raise InputError(_format_yaml_error(e, start)) from e
    except ReaderError as e:
        location = _location_after(text[: e.position], file)
        raise InputError(
            f"{location}: not YAML: found the control character {text[e.position]!a}"
        ) from e
    except yaml.YAMLError as e:
        raise InputError(f"{start}: not YAML: cannot be read") from e
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{start}: expected settings as 'name: value', found none")
    problems: list[str] = []
    tree = _build_node(node, file, problems)
    if problems:
        raise InputError("\n".join(problems))
    return tree


def merge(base: YamlNode, override: YamlNode) -> YamlNode:
    """``base`` with ``over`` laid on it: maps merge, everything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(override.value, dict)):
        return override
    merged = dict(base.value)
    for key, inner in override.value.items():
        merged[key] = merge(merged[key], inner) if key in merged else inner
    return YamlNode(value=merged, location=override.location)


class _NodeCounter:
    """Counts what a text leads to, aliases included, event by event: before a node is built."""

    def __init__(self, file: str, *, aliases: bool) -> None:
        self._file = file
        self._allow_aliases = aliases
        self._value_count = 0
        self._document_count = 0
        self._open_collections: list[_OpenCollection] = []
        self._anchor_sizes: dict[str, tuple[int, int]] = {}
        """Anchor -> values in what it names, and levels below it."""

    def count(self, event: yaml.Event) -> SourceLocation:
        """Count ``event``; its place is the answer.

        Raises:
            InputError: it is not allowed here, or too many or too deep by now.
        """
        location = _mark_location(event.start_mark, self._file)
        self._document_count += isinstance(event, yaml.DocumentStartEvent)
        if self._document_count > 1:
            raise InputError(f"{location}: expected one document, found a second")
        if isinstance(event, yaml.CollectionEndEvent):
            self._close_collection()
        elif isinstance(event, yaml.NodeEvent):
            self._count_node(event, location)
        return location

    def _count_node(self, event: yaml.NodeEvent, location: SourceLocation) -> None:
        if event.anchor is not None and not self._allow_aliases:
            raise InputError(f"{location}: anchors and aliases (& and *) are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise InputError(f"{location}: tags are not allowed, found {tag[:80]!a}")
        values, levels = 1, 0
        if isinstance(event, yaml.AliasEvent):
            if any(c.anchor == event.anchor for c in self._open_collections):
                raise InputError(f"{location}: an alias of what it is part of")
            values, levels = self._anchor_sizes.get(str(event.anchor), (1, 0))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open_collections.append(
                _OpenCollection(anchor=event.anchor, values_before=self._value_count)
            )
        elif event.anchor is not None:
            self._anchor_sizes[event.anchor] = values, levels
        self._value_count += values
        for level, collection in enumerate(reversed(self._open_collections), 1):
            collection.levels = max(collection.levels, level + levels)
        if len(self._open_collections) + levels > _MAX_DEPTH:
            raise InputError(f"{location}: nested more than {_MAX_DEPTH} deep")
        if self._value_count > _MAX_VALUES:
            raise InputError(f"{location}: expected at most {_MAX_VALUES} values")

    def _close_collection(self) -> None:
        collection = self._open_collections.pop()
        if collection.anchor is not None:
            self._anchor_sizes[collection.anchor] = (
                self._value_count - collection.values_before,
                collection.levels,
            )


@dataclass(slots=True, kw_only=True)
class _OpenCollection:
    """A map or list that has begun and not ended."""

    anchor: str | None
    values_before: int
    """Values before it."""

    levels: int = 0
    """Levels of maps and lists in it, itself included."""


def _check_limits(text: str, file: str, *, aliases: bool) -> None:
    """Walk the events, which cost no memory, before the nodes are built."""
    counter = _NodeCounter(file, aliases=aliases)
    location = SourceLocation(file=file, line=1, column=1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            location = counter.count(event)
    except (ValueError, OverflowError) as e:
        # PyYAML converts the numbers of directives and of escapes such as \U0011FFFF unchecked.
        raise InputError(f"{location}: not YAML: after this, a number that means nothing") from e


def _build_node(node: yaml.Node, file: str, problems: list[str]) -> YamlNode:
    location = _mark_location(node.start_mark, file)
    if isinstance(node, yaml.MappingNode):
        return YamlNode(value=dict(_build_pairs(node, file, problems)), location=location)
    if isinstance(node, yaml.SequenceNode):
        return YamlNode(
            value=[_build_node(n, file, problems) for n in node.value], location=location
        )
    return YamlNode(value=_parse_scalar(node, location, problems), location=location)


def _build_pairs(
    node: yaml.MappingNode, file: str, problems: list[str]
) -> Iterator[tuple[str, YamlNode]]:
    keys: set[str] = set()
    for key, value in node.value:
        location = _mark_location(key.start_mark, file)
        if not isinstance(key, yaml.ScalarNode):
            problems.append(f"{location}: expected a name before the ':'")
            continue
        if _SURROGATE.search(key.value):
            problems.append(f"{location}: expected a name, found half a surrogate pair")
            continue
        if key.value in keys:
            problems.append(f"{location}: {key.value[:80]!a} is set twice")
        keys.add(key.value)
        inner = _build_node(value, file, problems)
        # A map, a list or nothing at all begins after its key, often on the next line.
        is_scalar = not isinstance(inner.value, dict | list | None)
        yield key.value, inner if is_scalar else YamlNode(value=inner.value, location=location)


def _parse_scalar(
    node: yaml.Node, location: SourceLocation, problems: list[str]
) -> str | int | float | bool | None:
    text = str(node.value)
    if not text.isascii() and _SURROGATE.search(text):
        problems.append(f"{location}: expected text, found half a surrogate pair")
    if getattr(node, "style", None) is not None:
        return text
    if text in _KEYWORDS:
        return _KEYWORDS[text]  # type: ignore[return-value]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        problems.append(f"{location}: a number with a leading 0 is ambiguous, found {text[:40]}")
    return text


def _mark_location(mark: _Mark | None, file: str) -> SourceLocation:
    if mark is None:
        return SourceLocation(file=file, line=1, column=1)
    return SourceLocation(file=file, line=mark.line + 1, column=mark.column + 1)


def _format_yaml_error(e: yaml.MarkedYAMLError, start: SourceLocation) -> str:
    mark = e.problem_mark or e.context_mark
    location = _mark_location(mark, start.file) if mark else start
    problem = e.problem or e.context or "cannot be read"
    if "\\t" in problem:
        problem = "found a tab where blanks are expected"
    return f"{location}: not YAML: {problem}"


def _location_after(prefix: str, file: str) -> SourceLocation:
    """The place of what comes after ``before``."""
    line = prefix.rpartition("\n")[2]
    return SourceLocation(file=file, line=prefix.count("\n") + 1, column=len(line) + 1)
