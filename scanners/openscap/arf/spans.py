"""Raw bytes of the elements of an ARF, read from a stream with bounded memory.

A merged ARF copies elements unchanged. Expat reports where an element begins and ends in the
stream; only the bytes of the elements that are copied are retained, and a long one is passed on in
pieces.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol
from xml.parsers import expat

from hardpan.core.xml_text import quote_attribute
from hardpan.scanners.openscap.arf.state import invalid_arf

MAX_ELEMENT_BYTES = 16 << 20
"""Bytes of one element that is retained."""

_MAX_DECLARATIONS = 200
"""Namespace prefixes in scope of one element: each retained element has a copy of them."""

_START_TAG = re.compile(rb"<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>")
_TAG_NAME = re.compile(rb"<[^\s/>]+")
_CHUNK = 1 << 18
_PATH_LENGTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One element of an ARF."""

    tag: str
    """Namespace and local name, separated by a blank, as the ARF parser names elements."""

    attributes: dict[str, str]
    declarations: dict[str, str]
    """Prefix -> namespace, of what is in scope and not declared on the element itself."""

    data: bytes = b""
    """The element as it is in the ARF; empty while it is passed on in pieces."""

    def to_bytes(self, standard_declarations: dict[str, str]) -> bytes:
        """Return the element for a place where only ``standard_declarations`` are in scope."""
        text = format_declarations(self.declarations, standard_declarations)
        return _TAG_NAME.sub(lambda m: m[0] + text, self.data, count=1) if text else self.data


class Consumer(Protocol):
    """Selects elements of an ARF, and gets them."""

    def select(self, path: list[str], attributes: dict[str, str]) -> bool:
        """Return whether the element at the end of ``path``, its parents first, is selected."""

    def open_stream(self, span: Span) -> Callable[[bytes], None] | None:
        """Return a function for the content of a selected element; None to get it as a whole."""

    def take(self, span: Span) -> None:
        """Handle the end of a selected element; without ``data`` if it was passed on in pieces."""


@dataclass(slots=True)
class _OpenElement:
    tag: str
    declared: dict[str, str] = field(default_factory=dict)


class SpanReader:
    """Passes the selected elements of one ARF to a consumer.

    Elements inside a selected one are not offered to the consumer.
    """

    def __init__(self, name: str, consumer: Consumer) -> None:
        self._name = name
        self._consumer = consumer
        self._buffer = bytearray()
        self._buffer_start = 0
        self._elements: list[_OpenElement] = []
        self._declared: dict[str, str] = {}
        self._selected: Span | None = None
        self._selected_start = 0
        self._empty_end = 0
        self._nested_count = 0
        self._stream: Callable[[bytes], None] | None = None
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartNamespaceDeclHandler = self._declare
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def read(self, chunks: Iterable[bytes]) -> Iterator[None]:
        """Read an ARF from its bytes in order; yield after each piece.

        Raises:
            ToolError: it is not well-formed, or a selected element is too long.
        """
        try:
            for chunk in chunks:
                for offset in range(0, len(chunk), _CHUNK):
                    self._feed(chunk[offset : offset + _CHUNK])
                    yield
            self._parser.Parse(b"", True)
            yield
        except expat.ExpatError as e:
            raise invalid_arf(self._name, f"is cut short or is not XML: {e}") from e
        finally:
            self._parser.StartElementHandler = self._parser.EndElementHandler = None
            self._parser.StartNamespaceDeclHandler = self._parser.StartDoctypeDeclHandler = None

    def _feed(self, data: bytes) -> None:
        self._buffer += data
        self._parser.Parse(data, False)
        if self._stream is not None:
            self._pass_on(self._parser.CurrentByteIndex)
        elif self._selected is None:
            self._drop(self._parser.CurrentByteIndex)
        if len(self._buffer) > MAX_ELEMENT_BYTES:
            raise invalid_arf(
                self._name, f"has an element of more than {MAX_ELEMENT_BYTES >> 20} MiB"
            )

    def _pass_on(self, end: int) -> None:
        assert self._stream is not None  # noqa: S101 - the caller asked
        self._stream(bytes(self._buffer[: end - self._buffer_start]))
        self._drop(end)

    def _drop(self, end: int) -> None:
        count = end - self._buffer_start
        if count > 0:
            del self._buffer[:count]
            self._buffer_start = end

    def _doctype(self, *_: object) -> None:
        raise invalid_arf(self._name, "declares entities, which an ARF never does")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix or ""] = uri or ""

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements.append(_OpenElement(tag, self._declared))
        self._declared = {}
        path = [e.tag for e in self._elements[-_PATH_LENGTH:]]
        if not self._consumer.select(path, attributes):
            return
        span = Span(tag=tag, attributes=attributes, declarations=self._in_scope())
        self._selected, self._selected_start = span, self._parser.CurrentByteIndex
        tag_end = self._end_of_tag(self._selected_start)
        last = self._buffer[tag_end - self._buffer_start - 2 : tag_end - self._buffer_start]
        self._empty_end = tag_end if last == b"/>" else 0
        self._stream = self._consumer.open_stream(span)
        if self._stream is not None:
            self._drop(tag_end)
        self._nested_count = 0
        self._parser.StartElementHandler = self._start_nested
        self._parser.EndElementHandler = self._end_nested

    def _end(self, _tag: str) -> None:
        self._elements.pop()

    def _start_nested(self, _tag: str, _attributes: dict[str, str]) -> None:
        self._nested_count += 1

    def _end_nested(self, tag: str) -> None:
        if self._nested_count:
            self._nested_count -= 1
            return
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._declared = {}
        self._end_selected()
        self._end(tag)

    def _end_selected(self) -> None:
        span, self._selected = self._selected, None
        assert span is not None  # noqa: S101 - the handler is set only then
        start = self._parser.CurrentByteIndex
        if self._stream is not None:
            if start > self._buffer_start:
                self._pass_on(start)
            self._stream = None
            self._consumer.take(span)
            return
        first = self._selected_start - self._buffer_start
        end = self._empty_end or self._end_of_tag(start)
        data = bytes(self._buffer[first : end - self._buffer_start])
        self._consumer.take(replace(span, data=data))

    def _in_scope(self) -> dict[str, str]:
        """Return what is declared above the current element and not on it."""
        declarations: dict[str, str] = {}
        for element in self._elements[:-1]:
            declarations |= element.declared
            if len(declarations) > _MAX_DECLARATIONS:
                raise invalid_arf(
                    self._name, f"declares more than {_MAX_DECLARATIONS} namespace prefixes"
                )
        declared_here = self._elements[-1].declared
        return {p: uri for p, uri in declarations.items() if p not in declared_here}

    def _end_of_tag(self, start: int) -> int:
        """Return the offset behind the tag at ``start``."""
        first = start - self._buffer_start
        if self._buffer[first : first + 2] == b"</":
            return self._buffer_start + self._buffer.index(b">", first) + 1
        match = _START_TAG.match(self._buffer, first)
        if match is None:
            raise invalid_arf(self._name, "has a tag that cannot be copied")
        return self._buffer_start + match.end()


def format_declarations(declarations: dict[str, str], standard: dict[str, str]) -> bytes:
    """Return the attributes that declare what ``standard`` does not declare, with a blank first."""
    texts = [
        f" xmlns{':' if prefix else ''}{prefix}={quote_attribute(uri)}"
        for prefix, uri in declarations.items()
        if standard.get(prefix) != uri and (prefix or uri)
    ]
    return "".join(texts).encode()
