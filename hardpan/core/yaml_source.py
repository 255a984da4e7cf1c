"""Parse untrusted YAML files into values with line and column.

Plain scalars follow YAML 1.2: ``no`` and ``on`` are text, ``012`` is rejected. Tags, merge keys
and further documents are not allowed, aliases only on request. Size, depth and the number of values
are limited before nodes are built.

Profiles, trust policies and shipped lists are read here. PyYAML alone is not sufficient: a
recursive alias raises RecursionError, nine lines of aliases exhaust the memory, a list as a key
raises TypeError, a duplicate key replaces the earlier one, and ``20261122`` and ``1:30`` become
numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml
from yaml.reader import ReaderError

from hardpan.core.errors import InputError
from hardpan.core.limits import MAX_YAML_BYTES

_MAX_DEPTH = 12
_MAX_VALUES = 10_000
"""Values in a file; the largest shipped list has 1,500. Each uses about 1.5 KB of memory."""

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
    """A location in a file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlNode:
    """A value with its location."""

    value: "dict[str, YamlNode] | list[YamlNode] | str | int | float | bool | None"
    location: SourceLocation

    def to_plain(self) -> object:
        """Return the value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: inner.to_plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.to_plain() for inner in self.value]
        return self.value

    def without(self, names: tuple[str, ...]) -> "YamlNode":
        """Return the map without these keys."""
        if not isinstance(self.value, dict):
            return self
        remaining = {key: inner for key, inner in self.value.items() if key not in names}
        return YamlNode(value=remaining, location=self.location)

    def locate(self, path: tuple[str | int, ...]) -> SourceLocation:
        """Return the location of ``path``, or of its nearest existing parent."""
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
    """Parse the mapping in ``data``; ``file`` is its name in messages.

    ``aliases`` allows anchors and aliases (``&`` and ``*``); each alias counts as a copy of its
    value.

    Raises:
        InputError: it is too large, not UTF-8, not YAML, or uses a forbidden feature.
    """
    start = SourceLocation(file=file, line=1, column=1)
    if len(data) > max_bytes:
        raise InputError(f"{start}: expected at most {max_bytes} bytes")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{start}: expected plain UTF-8, got a byte-order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        location = _location_after(data[: e.start].decode("utf-8"), file)
        raise InputError(f"{location}: expected UTF-8, got byte 0x{data[e.start]:02x}") from e
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
        raise InputError(f"{start}: not YAML: cannot be parsed") from e
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{start}: expected settings as 'name: value', got none")
    problems: list[str] = []
    tree = _build_node(node, file, problems)
    if problems:
        raise InputError("\n".join(problems))
    return tree


def merge(base: YamlNode, override: YamlNode) -> YamlNode:
    """Merge ``override`` into ``base``: maps are merged, other values replaced."""
    if not (isinstance(base.value, dict) and isinstance(override.value, dict)):
        return override
    merged = dict(base.value)
    for key, inner in override.value.items():
        merged[key] = merge(merged[key], inner) if key in merged else inner
    return YamlNode(value=merged, location=override.location)


class _NodeCounter:
    """Counts values and depth event by event, including aliases, before nodes are built."""

    def __init__(self, file: str, *, aliases: bool) -> None:
        self._file = file
        self._allow_aliases = aliases
        self._value_count = 0
        self._document_count = 0
        self._open_collections: list[_OpenCollection] = []
        self._anchor_sizes: dict[str, tuple[int, int]] = {}
        """Anchor -> number of values and levels of its node."""

    def count(self, event: yaml.Event) -> SourceLocation:
        """Count ``event`` and return its location.

        Raises:
            InputError: it is not allowed, or a limit is exceeded.
        """
        location = _mark_location(event.start_mark, self._file)
        self._document_count += isinstance(event, yaml.DocumentStartEvent)
        if self._document_count > 1:
            raise InputError(f"{location}: expected one document, got a second")
        if isinstance(event, yaml.CollectionEndEvent):
            self._close_collection()
        elif isinstance(event, yaml.NodeEvent):
            self._count_node(event, location)
        return location

    def _count_node(self, event: yaml.NodeEvent, location: SourceLocation) -> None:
        if event.anchor is not None and not self._allow_aliases:
            raise InputError(f"{location}: anchors and aliases (& and *) are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise InputError(f"{location}: tags are not allowed, got {tag[:80]!a}")
        values, levels = 1, 0
        if isinstance(event, yaml.AliasEvent):
            if any(c.anchor == event.anchor for c in self._open_collections):
                raise InputError(f"{location}: a recursive alias")
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
    """A map or list that is not complete yet."""

    anchor: str | None
    values_before: int
    """Number of values before it."""

    levels: int = 0
    """Levels of maps and lists, including itself."""


def _check_limits(text: str, file: str, *, aliases: bool) -> None:
    """Check the limits on events, which need no memory, before nodes are built."""
    counter = _NodeCounter(file, aliases=aliases)
    location = SourceLocation(file=file, line=1, column=1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            location = counter.count(event)
    except (ValueError, OverflowError) as e:
        # PyYAML converts the numbers of directives and of escapes such as \U0011FFFF unchecked.
        raise InputError(f"{location}: not YAML: an invalid number follows") from e


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
            problems.append(f"{location}: expected a name, got half a surrogate pair")
            continue
        if key.value in keys:
            problems.append(f"{location}: {key.value[:80]!a} is set twice")
        keys.add(key.value)
        inner = _build_node(value, file, problems)
        # A map, a list or an empty value starts after its key, often on the next line.
        is_scalar = not isinstance(inner.value, dict | list | None)
        yield key.value, inner if is_scalar else YamlNode(value=inner.value, location=location)


def _parse_scalar(
    node: yaml.Node, location: SourceLocation, problems: list[str]
) -> str | int | float | bool | None:
    text = str(node.value)
    if not text.isascii() and _SURROGATE.search(text):
        problems.append(f"{location}: expected text, got half a surrogate pair")
    if getattr(node, "style", None) is not None:
        return text
    if text in _KEYWORDS:
        return _KEYWORDS[text]  # type: ignore[return-value]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        problems.append(f"{location}: a number with a leading 0 is ambiguous, got {text[:40]}")
    return text


def _mark_location(mark: _Mark | None, file: str) -> SourceLocation:
    if mark is None:
        return SourceLocation(file=file, line=1, column=1)
    return SourceLocation(file=file, line=mark.line + 1, column=mark.column + 1)


def _format_yaml_error(e: yaml.MarkedYAMLError, start: SourceLocation) -> str:
    mark = e.problem_mark or e.context_mark
    location = _mark_location(mark, start.file) if mark else start
    problem = e.problem or e.context or "cannot be parsed"
    if "\\t" in problem:
        problem = "found a tab where blanks are expected"
    return f"{location}: not YAML: {problem}"


def _location_after(prefix: str, file: str) -> SourceLocation:
    """Return the location after ``prefix``."""
    line = prefix.rpartition("\n")[2]
    return SourceLocation(file=file, line=prefix.count("\n") + 1, column=len(line) + 1)
