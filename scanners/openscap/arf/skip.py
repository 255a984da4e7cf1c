"""Skip the content of an element: expat reads every byte of it, and calls nothing.

A data stream has 300,000 elements. A call for each end tag, to find the one that ends the data
stream, takes almost as long as expat takes to read it. Calls are needed only in chunks that
contain the element's name again, since every end tag spells it out.
"""

from collections.abc import Callable
from xml.parsers.expat import XMLParserType


class ElementSkipper:
    """Skips one element after another of a stream; malformed XML is refused there, too."""

    def __init__(self, parser: XMLParserType, on_end: Callable[[], None]) -> None:
        self._parser = parser
        self._on_end = on_end
        self._tag = ""
        self._name = b""
        self._tail = b""
        self._chunk = b""
        self._chunk_start = 0

    def start_chunk(self, data: bytes, offset: int) -> None:
        """Note the bytes that the parser gets next, and their offset in the stream."""
        self._chunk, self._chunk_start = data, offset
        if self._name:
            self._search(data)

    def skip(self, tag: str) -> None:
        """Skip the element ``tag`` that has just started; ``on_end`` is called at its end."""
        self._tag = tag
        self._parser.StartElementHandler = self._start_child
        self._parser.EndElementHandler = self._end  # of an element without children as well

    def _start_child(self, _tag: str, _attributes: dict[str, str]) -> None:
        """Stop comparing end tags: the end tag is behind the first child's start."""
        self._parser.StartElementHandler = None
        first = self._parser.CurrentByteIndex - self._chunk_start
        # In UTF-16 a NUL follows or precedes "<", and the name is not found as ASCII. All other
        # encodings that expat reads have the ASCII characters of names as they are.
        if first < 0 or self._chunk[first : first + 1] != b"<":
            return
        if self._chunk[first + 1 : first + 2] in (b"", b"\0"):
            return
        self._name = self._tag.rpartition(" ")[2].encode()
        self._tail = b""
        self._parser.EndElementHandler = None
        self._search(self._chunk[first:])

    def _search(self, data: bytes) -> None:
        """Compare end tags from here on if the name is in ``data`` or begins before it."""
        if self._name in self._tail + data[: len(self._name)] or self._name in data:
            self._parser.EndElementHandler = self._end
            self._name = b""
        else:
            self._tail = (self._tail + data[-len(self._name) :])[-len(self._name) :]

    def _end(self, tag: str) -> None:
        if tag == self._tag:
            self._name = b""
            self._on_end()
