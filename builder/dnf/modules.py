"""Read the module streams of a repository (modules.yaml); the file is treated as hostile.

Source: the modulemd-v2 and modulemd-defaults-v1 formats of libmodulemd. dnf hides the packages of
every stream that is neither a default nor enabled.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from hardpan.core.errors import InputError

MAX_MODULES_BYTES = 64 << 20
"""Uncompressed; the streams of Rocky Linux 9 have less than 2 MB."""

_MAX_EVENTS = 3_000_000
_MAX_DEPTH = 16
_MAX_STREAMS = 5_000
_MAX_TEXT_LENGTH = 1 << 20
_LOADER = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.SafeLoader

_Value = dict[str, "_Value"] | list["_Value"] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleStream:
    """A stream of a module."""

    module: str
    stream: str
    profiles: Mapping[str, tuple[str, ...]]
    """Profile -> names of its packages."""

    artifacts: frozenset[str]
    """``name-epoch:version-release.arch`` of its packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleDefaults:
    """The default stream of a module, and the default profiles of each stream."""

    module: str
    stream: str = ""
    """Empty if the module has no default stream, as in EL 9."""

    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """Module streams of one or more repositories."""

    streams: tuple[ModuleStream, ...] = ()
    defaults: Mapping[str, ModuleDefaults] = field(default_factory=dict)
    """Module -> its defaults."""

    def streams_of(self, module: str) -> tuple[ModuleStream, ...]:
        """Return the streams of a module, one for each context."""
        return tuple(s for s in self.streams if s.module == module)


def parse_modules(chunks: Iterable[bytes], source: str) -> Modules:
    """Parse the documents of modules.yaml; ``source`` is its name in messages.

    Raises:
        InputError: it is not YAML, uses aliases, or exceeds a limit.
    """
    streams: list[ModuleStream] = []
    defaults: dict[str, ModuleDefaults] = {}
    for document in _read_documents(b"".join(chunks), source):
        data = _child(document, "data")
        kind = _string(document, "document")
        if kind == "modulemd":
            streams.append(_parse_stream(data))
        elif kind == "modulemd-defaults":
            module = _string(data, "module")
            defaults[module] = _parse_defaults(module, data)
        if len(streams) > _MAX_STREAMS:
            raise InputError(f"{source}: expected at most {_MAX_STREAMS} module streams, got more")
    return Modules(streams=tuple(streams), defaults=defaults)


def merge_modules(lists: Iterable[Modules]) -> Modules:
    """Return the streams of several repositories."""
    streams: list[ModuleStream] = []
    defaults: dict[str, ModuleDefaults] = {}
    for modules in lists:
        streams += modules.streams
        defaults |= modules.defaults
    return Modules(streams=tuple(streams), defaults=defaults)


def _parse_stream(data: _Value) -> ModuleStream:
    profiles = _child(data, "profiles")
    return ModuleStream(
        module=_string(data, "name"),
        stream=_string(data, "stream"),
        profiles={name: _strings(_child(value, "rpms")) for name, value in _items(profiles)},
        artifacts=frozenset(_strings(_child(_child(data, "artifacts"), "rpms"))),
    )


def _parse_defaults(module: str, data: _Value) -> ModuleDefaults:
    profiles = _items(_child(data, "profiles"))
    return ModuleDefaults(
        module=module,
        stream=_string(data, "stream"),
        profiles={name: _strings(value) for name, value in profiles},
    )


def _read_documents(data: bytes, source: str) -> Iterator[_Value]:
    """Yield the documents, with every scalar as text: stream names look like numbers."""
    try:
        yield from _build_documents(yaml.parse(data, Loader=_LOADER), source)
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        problem = str(getattr(e, "problem", None) or "cannot be parsed")
        raise InputError(f"{source}: not YAML: {ascii(problem)[1:200]}") from e


def _build_documents(events: Iterable[yaml.Event], source: str) -> Iterator[_Value]:
    stack: list[tuple[dict[str, _Value] | list[_Value], str | None]] = []
    for count, event in enumerate(events):
        if count > _MAX_EVENTS or len(stack) > _MAX_DEPTH:
            raise InputError(f"{source}: expected fewer or less deeply nested values")
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{source}: has an alias, which module metadata never has")
        if isinstance(event, yaml.MappingStartEvent):
            stack.append(({}, None))
        elif isinstance(event, yaml.SequenceStartEvent):
            stack.append(([], None))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            value = stack.pop()[0]
            if stack:
                _add(stack, value)
            else:
                yield value
        elif isinstance(event, yaml.ScalarEvent) and stack:
            if len(event.value) > _MAX_TEXT_LENGTH:
                raise InputError(f"{source}: expected texts of at most {_MAX_TEXT_LENGTH} bytes")
            _add(stack, event.value)


def _add(stack: list[tuple[dict[str, _Value] | list[_Value], str | None]], value: _Value) -> None:
    """Add a value to the innermost collection; in a map, keys and values alternate."""
    collection, key = stack[-1]
    if isinstance(collection, list):
        collection.append(value)
    elif key is None:
        # A collection as a key has no meaning here.
        stack[-1] = (collection, value if isinstance(value, str) else "")
    else:
        collection[key] = value
        stack[-1] = (collection, None)


def _child(value: _Value, key: str) -> _Value:
    return value.get(key, "") if isinstance(value, dict) else ""


def _string(value: _Value, key: str) -> str:
    child = _child(value, key)
    return child if isinstance(child, str) else ""


def _strings(value: _Value) -> tuple[str, ...]:
    return tuple(x for x in value if isinstance(x, str)) if isinstance(value, list) else ()


def _items(value: _Value) -> Iterable[tuple[str, _Value]]:
    return value.items() if isinstance(value, dict) else ()
