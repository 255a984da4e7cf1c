"""Detect cryptographic libraries bundled in an ELF file, which is read as a stream.

A library that the loader takes from the system is not a finding: only symbols defined in the file
and texts in its bytes count.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from hardpan.builder.wheel_audit import elf
from hardpan.builder.wheel_audit.model import MalformedWheelError
from hardpan.builder.wheel_audit.signatures import SIGNATURES, Signature

ReadSpans = Callable[[Sequence[elf.Span]], list[bytes]]
"""Returns the bytes of each span, in one pass over the file."""

_OVERLAP_BYTES = 512
"""Bytes that two windows share; more than the longest text."""

_MAX_MATCHES = 50_000
"""Matches of one name that are examined; a linker writes a name once."""

_MAX_EVIDENCE = 5
_MAX_TEXT_BYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledLibrary:
    """A cryptographic library bundled in a file."""

    library: str
    """Name of the library."""

    version: str
    """Version, or "" if unknown."""

    evidence: tuple[str, ...]
    """Texts, symbols and SONAME that identify it."""

    is_text_only: bool
    """True if only texts identify it."""

    needed: tuple[str, ...]
    """NEEDED entries that name this library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeCode:
    """Result of scanning one ELF file."""

    libraries: tuple[BundledLibrary, ...]
    """The bundled libraries."""

    problems: tuple[str, ...]
    """Parts that could not be read."""


@dataclass(slots=True)
class _Trace:
    version: str = ""
    evidence: list[str] = field(default_factory=list)
    is_text_only: bool = True


class CryptoScanner:
    """Scans an ELF file chunk by chunk; ``finish`` returns the bundled libraries."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._offset = 0
        self._tail = b""
        self._header: elf.ElfHeader | None = None
        self._sections = bytearray()
        self._problems: list[str] = []
        self._text_matches: dict[tuple[int, int], tuple[int, re.Match[bytes]]] = {}
        self._corroborated: set[int] = set()

    def feed(self, chunk: bytes) -> None:
        """Scan the next bytes; the first chunk must contain the complete header."""
        if self._offset == 0:
            try:
                self._header = elf.parse_header(chunk[: elf.HEADER_BYTES], self._size)
            except MalformedWheelError as e:
                self._problems.append(str(e))
        if self._header and self._header.sections:
            self._sections += _slice_span(self._header.sections, self._offset, chunk)
        window = self._tail + chunk
        for number, signature in enumerate(SIGNATURES):
            self._search(number, signature, window)
        self._offset += len(chunk)
        self._tail = window[-_OVERLAP_BYTES:]

    def finish(self, read: ReadSpans, table_bytes: int) -> NativeCode:
        """Return the result; ``read`` returns the bytes of the symbol tables."""
        traces: dict[str, _Trace] = {}
        for (number, _), (offset, match) in sorted(
            self._text_matches.items(), key=lambda item: item[1][0]
        ):
            signature = SIGNATURES[number]
            if signature.required_text is None or number in self._corroborated:
                trace = traces.setdefault(signature.library, _Trace())
                trace.version = trace.version or _extract_version(match)
                trace.evidence.append(f"byte {offset}: {_to_printable(match[0])!r}")
        dynamic = self._scan_symbols(traces, read, table_bytes)
        if (
            "AWS-LC" in traces
            and traces.get("BoringSSL", _Trace(is_text_only=True)).is_text_only is False
        ):
            # AWS-LC is a fork of BoringSSL and has the same function names.
            del traces["BoringSSL"]
        return NativeCode(
            libraries=tuple(
                BundledLibrary(
                    library=s.library,
                    version=traces[s.library].version,
                    evidence=tuple(traces[s.library].evidence[:_MAX_EVIDENCE]),
                    is_text_only=traces[s.library].is_text_only,
                    needed=_matching_sonames(s, dynamic.needed),
                )
                for s in SIGNATURES
                if s.library in traces
            ),
            problems=tuple(self._problems),
        )

    def _search(self, number: int, signature: Signature, window: bytes) -> None:
        base = self._offset - len(self._tail)
        for index, pattern in enumerate(signature.texts):
            if (number, index) not in self._text_matches:
                match = pattern.search(window)
                if match:
                    self._text_matches[number, index] = (base + match.start(), match)
        if (
            signature.required_text
            and number not in self._corroborated
            and signature.required_text.search(window)
        ):
            self._corroborated.add(number)

    def _scan_symbols(
        self, traces: dict[str, _Trace], read: ReadSpans, table_bytes: int
    ) -> elf.DynamicInfo:
        dynamic = elf.DynamicInfo()
        if self._header is None:
            return dynamic
        if self._header.sections is None:
            self._problems.append("no table of sections: only its texts were read")
            return dynamic
        tables, problems = elf.find_tables(
            self._header, bytes(self._sections), self._size, table_bytes
        )
        self._problems += problems
        for table in tables:
            entries, names = read((table.entries, table.names))
            if elf.is_dynamic(table):
                dynamic = elf.parse_dynamic(self._header, entries, names)
                _add_soname(traces, dynamic.soname)
            else:
                self._match_symbols(traces, entries, names)
        return dynamic

    def _match_symbols(self, traces: dict[str, _Trace], entries: bytes, names: bytes) -> None:
        assert self._header is not None  # noqa: S101
        symbol_by_offset: dict[int, tuple[str, str, str]] = {}
        for signature in SIGNATURES:
            for symbol in signature.symbols:
                symbol_entry = (signature.library, symbol.decode(), "")
                offsets = tuple(islice(_find_all(names, symbol + b"\0"), _MAX_MATCHES))
                symbol_by_offset |= dict.fromkeys(offsets, symbol_entry)
                if len(offsets) == _MAX_MATCHES:
                    self._problems.append(f"symbol {symbol.decode()}: named {_MAX_MATCHES} times")
            for family in signature.symbol_patterns:
                for match in islice(family.finditer(names), _MAX_MATCHES):
                    name = _to_printable(match[0])
                    symbol_by_offset[match.start()] = (
                        signature.library,
                        name,
                        _extract_version(match),
                    )
        for offset in (
            sorted(elf.find_defined(self._header, entries, set(symbol_by_offset)))
            if symbol_by_offset
            else ()
        ):
            library, symbol_name, version = symbol_by_offset[offset]
            trace = traces.setdefault(library, _Trace())
            trace.version = trace.version or version
            trace.is_text_only = False
            trace.evidence.append(f"symbol {symbol_name}")


def extract_spans(spans: Sequence[elf.Span], chunks: Iterable[bytes]) -> list[bytes]:
    """Return the bytes of each span, in one pass over the file's chunks."""
    buffers = [bytearray() for _ in spans]
    offset = 0
    for chunk in chunks:
        for span, buffer in zip(spans, buffers, strict=True):
            buffer.extend(_slice_span(span, offset, chunk))
        offset += len(chunk)
    return [bytes(m) for m in buffers]


def _slice_span(span: elf.Span, chunk_offset: int, chunk: bytes) -> bytes:
    """Return the part of ``chunk``, which starts at ``chunk_offset``, that is inside ``span``."""
    return chunk[
        max(span.offset - chunk_offset, 0) : max(span.offset + span.size - chunk_offset, 0)
    ]


def _add_soname(traces: dict[str, _Trace], soname: str) -> None:
    for signature in SIGNATURES:
        if signature.soname and signature.soname.fullmatch(soname):
            trace = traces.setdefault(signature.library, _Trace())
            trace.is_text_only = False
            trace.evidence.append(f"SONAME {soname}")


def _matching_sonames(signature: Signature, needed: Iterable[str]) -> tuple[str, ...]:
    pattern = signature.soname
    return tuple(n for n in needed if pattern and pattern.fullmatch(n))


def _find_all(names: bytes, needle: bytes) -> Iterable[int]:
    offset = names.find(needle)
    while offset >= 0:
        yield offset
        offset = names.find(needle, offset + 1)


def _extract_version(match: re.Match[bytes]) -> str:
    version = match.groupdict().get("v")
    return version.decode("ascii", "replace").replace("_", ".") if version else ""


def _to_printable(text: bytes) -> str:
    decoded = text[:_MAX_TEXT_BYTES].decode("ascii", "replace").rstrip("\0")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in decoded)
