"""Which cryptographic libraries an ELF file carries inside, read as a stream.

A library that the file asks the system for is the system's own, and no finding: only what is
defined in the file, or written in its bytes, counts.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from hardpan.builder.wheels import elf
from hardpan.builder.wheels.model import BrokenError
from hardpan.builder.wheels.signatures import SIGNATURES, Signature

Read = Callable[[Sequence[elf.Span]], list[bytes]]
"""Gives pieces of the file, in one pass over it."""

_OVERLAP = 512
"""More than the longest text; what two chunks share."""

_TRIES = 50_000
"""Places of one name that are looked at; linkers write it once, a hostile table for ever."""

_TOLD = 5
_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One library inside of a file."""

    library: str
    """Its name."""

    version: str
    """Its version, or nothing."""

    evidence: tuple[str, ...]
    """What it was recognised by."""

    only_text: bool
    """True when nothing but a text speaks for it."""

    needed: tuple[str, ...]
    """The library's own names that the file asks the loader for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """What one ELF file tells."""

    carried: tuple[Carried, ...]
    """The libraries in it."""

    problems: tuple[str, ...]
    """What of it could not be read."""


@dataclass(slots=True)
class _Trace:
    version: str = ""
    evidence: list[str] = field(default_factory=list)
    only_text: bool = True


class Stream:
    """Takes an ELF file chunk by chunk; ``end`` tells what it carries."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0
        self._tail = b""
        self._head: elf.Header | None = None
        self._sections = bytearray()
        self._problems: list[str] = []
        self._texts: dict[tuple[int, int], tuple[int, re.Match[bytes]]] = {}
        self._backed: set[int] = set()

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; the first chunk holds the whole header."""
        if self._at == 0:
            try:
                self._head = elf.header(chunk[: elf.HEADER_BYTES], self._size)
            except BrokenError as e:
                self._problems.append(str(e))
        if self._head and self._head.sections:
            self._sections += _cut(self._head.sections, self._at, chunk)
        window = self._tail + chunk
        for number, signature in enumerate(SIGNATURES):
            self._search(number, signature, window)
        self._at += len(chunk)
        self._tail = window[-_OVERLAP:]

    def end(self, read: Read, table_bytes: int) -> Native:
        """What the file carries; ``read`` gives its symbol tables."""
        traces: dict[str, _Trace] = {}
        for (number, _), (at, match) in sorted(self._texts.items(), key=lambda item: item[1][0]):
            signature = SIGNATURES[number]
            if signature.needs is None or number in self._backed:
                trace = traces.setdefault(signature.library, _Trace())
                trace.version = trace.version or _version(match)
                trace.evidence.append(f"byte {at}: {_shown(match[0])!r}")
        links = self._symbols(traces, read, table_bytes)
        if (
            "AWS-LC" in traces
            and traces.get("BoringSSL", _Trace(only_text=True)).only_text is False
        ):
            # AWS-LC grew out of BoringSSL and kept the names of its functions.
            del traces["BoringSSL"]
        return Native(
            carried=tuple(
                Carried(
                    library=s.library,
                    version=traces[s.library].version,
                    evidence=tuple(traces[s.library].evidence[:_TOLD]),
                    only_text=traces[s.library].only_text,
                    needed=_own(s, links.needed),
                )
                for s in SIGNATURES
                if s.library in traces
            ),
            problems=tuple(self._problems),
        )

    def _search(self, number: int, signature: Signature, window: bytes) -> None:
        base = self._at - len(self._tail)
        for place, pattern in enumerate(signature.texts):
            if (number, place) not in self._texts:
                match = pattern.search(window)
                if match:
                    self._texts[number, place] = (base + match.start(), match)
        if signature.needs and number not in self._backed and signature.needs.search(window):
            self._backed.add(number)

    def _symbols(self, traces: dict[str, _Trace], read: Read, table_bytes: int) -> elf.Linked:
        links = elf.Linked()
        if self._head is None:
            return links
        if self._head.sections is None:
            self._problems.append("no table of sections: only its texts were read")
            return links
        found, problems = elf.tables(self._head, bytes(self._sections), self._size, table_bytes)
        self._problems += problems
        for table in found:
            entries, names = read((table.entries, table.names))
            if elf.is_dynamic(table):
                links = elf.linked(self._head, entries, names)
                _add_soname(traces, links.soname)
            else:
                self._defined(traces, entries, names)
        return links

    def _defined(self, traces: dict[str, _Trace], entries: bytes, names: bytes) -> None:
        assert self._head is not None  # noqa: S101
        places: dict[int, tuple[str, str, str]] = {}
        for signature in SIGNATURES:
            for symbol in signature.symbols:
                told = (signature.library, symbol.decode(), "")
                found = tuple(islice(_all(names, symbol + b"\0"), _TRIES))
                places |= dict.fromkeys(found, told)
                if len(found) == _TRIES:
                    self._problems.append(f"symbol {symbol.decode()}: named {_TRIES} times")
            for family in signature.families:
                for match in islice(family.finditer(names), _TRIES):
                    name = _shown(match[0])
                    places[match.start()] = (signature.library, name, _version(match))
        for at in sorted(elf.defined(self._head, entries, set(places))) if places else ():
            library, named, version = places[at]
            trace = traces.setdefault(library, _Trace())
            trace.version = trace.version or version
            trace.only_text = False
            trace.evidence.append(f"symbol {named}")


def pieces(spans: Sequence[elf.Span], chunks: Iterable[bytes]) -> list[bytes]:
    """The bytes of each span, from one pass over the file's chunks."""
    made = [bytearray() for _ in spans]
    at = 0
    for chunk in chunks:
        for span, into in zip(spans, made, strict=True):
            into.extend(_cut(span, at, chunk))
        at += len(chunk)
    return [bytes(m) for m in made]


def _cut(span: elf.Span, at: int, chunk: bytes) -> bytes:
    """The part of ``chunk``, which begins at byte ``at``, that lies in ``span``."""
    return chunk[max(span.at - at, 0) : max(span.at + span.size - at, 0)]


def _add_soname(traces: dict[str, _Trace], soname: str) -> None:
    for signature in SIGNATURES:
        if signature.soname and signature.soname.fullmatch(soname):
            trace = traces.setdefault(signature.library, _Trace())
            trace.only_text = False
            trace.evidence.append(f"SONAME {soname}")


def _own(signature: Signature, needed: Iterable[str]) -> tuple[str, ...]:
    pattern = signature.soname
    return tuple(n for n in needed if pattern and pattern.fullmatch(n))


def _all(names: bytes, wanted: bytes) -> Iterable[int]:
    at = names.find(wanted)
    while at >= 0:
        yield at
        at = names.find(wanted, at + 1)


def _version(match: re.Match[bytes]) -> str:
    found = match.groupdict().get("v")
    return found.decode("ascii", "replace").replace("_", ".") if found else ""


def _shown(text: bytes) -> str:
    kept = text[:_SHOWN].decode("ascii", "replace").rstrip("\0")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in kept)
