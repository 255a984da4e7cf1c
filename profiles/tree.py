"""A YAML file as values that know their line and column, read with suspicion.

YAML 1.2's plain scalars only: ``no`` and ``on`` are words, ``012`` is refused,
and there are no tags, anchors, merges or second documents. A profile is a small
file, so size and depth are limited before anything is built from it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml

from hardpan.errors import InputError

_BYTES_MOST = 256 * 1024
_DEPTH_MOST = 12
_INT = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}", re.ASCII)
_OCTAL = re.compile(r"-?0[0-9]+", re.ASCII)
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = tuple(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "seq", "map")
)


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


def read(data: bytes, file: str) -> Tree:
    """The mapping that ``data`` holds; ``file`` names it in every message.

    Raises:
        InputError: it is too large, not UTF-8, not YAML, or more than plain YAML.
    """
    start = Place(file=file, line=1, column=1)
    if len(data) > _BYTES_MOST:
        raise InputError(f"{start}: expected at most {_BYTES_MOST} bytes, found {len(data)}")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{start}: expected plain UTF-8, found a byte-order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"{start}: expected UTF-8, found byte 0x{data[e.start]:02x}") from e
    try:
        _check(text, file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        raise InputError(_yaml_problem(e, start)) from e
    except yaml.YAMLError as e:
        raise InputError(f"{start}: not YAML: {_control(text)}") from e
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


def _check(text: str, file: str) -> None:
    """Walk the events, which cost no memory, before the nodes are built."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = _place(event.start_mark, file)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InputError(f"{place}: anchors and aliases (& and *) are not allowed in a profile")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH_MOST:
            raise InputError(f"{place}: nested more than {_DEPTH_MOST} deep")
        if documents > 1:
            raise InputError(f"{place}: expected one document, found a second")


def _tree(node: yaml.Node, file: str, problems: list[str]) -> Tree:
    place = _place(node.start_mark, file)
    if node.tag not in _TAGS:
        problems.append(f"{place}: tags are not allowed in a profile, found {node.tag!a}")
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
        if key.value in seen:
            problems.append(f"{place}: {key.value!a} is set twice")
        seen.add(key.value)
        inner = _tree(value, file, problems)
        # A map, a list or nothing at all begins after its key, often on the next line.
        plain = not isinstance(inner.value, dict | list | None)
        yield key.value, inner if plain else Tree(value=inner.value, place=place)


def _scalar(node: yaml.Node, place: Place, problems: list[str]) -> str | int | float | bool | None:
    text = str(node.value)
    if getattr(node, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]  # type: ignore[return-value]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        problems.append(f"{place}: a number with a leading 0 is ambiguous, found {text}")
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


def _control(text: str) -> str:
    odd = next((c for c in text if not c.isprintable() and c not in "\r\n\t"), "")
    return f"found the control character {odd!a}" if odd else "cannot be read"
