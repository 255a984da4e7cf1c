"""Read the XML of repository metadata as a stream; the text is untrusted.

DOCTYPE, entities and network access are disabled; elements, and bytes between two of the requested
elements, are limited.
"""

import re
from collections.abc import Iterator

from lxml import etree

from hardpan.core.errors import InputError

MAX_ELEMENTS = 500_000
"""Elements per package, or between packages; the kernel's packages have about 20,000."""

MAX_PACKAGE_BYTES = 16 << 20
"""Bytes per package entry, or between two of them."""

_DOCTYPE = b"<!DOCTYPE"
_HEAD_BYTES = 1024
_DECLARATION = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml[^>]{0,500}?(?:encoding\s*=\s*[\"'](?P<encoding>[^\"'>]{1,40})[\"']"
    rb"[^>]{0,200})?\?>"
)
_ENCODINGS = (b"utf-8", b"us-ascii", b"ascii")


def iterate_elements(
    chunks: Iterator[bytes], source: str, tags: tuple[str, ...]
) -> Iterator[etree._Element]:
    """Yield the complete elements with one of ``tags`` while the document is read.

    Only these elements become Python objects: the package list of a DVD has 800,000 elements.
    Others are counted in the bytes, which are UTF-8 for this reason.

    Raises:
        InputError: it is not XML in UTF-8, has a DOCTYPE, or exceeds a limit.
    """
    parser = etree.XMLPullParser(
        events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False
    )
    previous, element_count, byte_count = b"", 0, 0
    try:
        for chunk in _require_utf8(chunks, source):
            if _DOCTYPE in previous[-len(_DOCTYPE) :] + chunk:
                raise InputError(f"{source}: has a DOCTYPE, which metadata never has")
            # Elements, comments and processing instructions have a "<" each.
            chunk_elements = chunk.count(b"<")
            element_count += chunk_elements
            byte_count += len(chunk)
            if element_count > MAX_ELEMENTS:
                raise InputError(f"{source}: expected packages, got too many other elements")
            parser.feed(chunk)
            for _, element in parser.read_events():
                if isinstance(element, etree._Element):
                    element_count, byte_count = chunk_elements, 0
                    yield element
            if byte_count > MAX_PACKAGE_BYTES:
                raise InputError(
                    f"{source}: expected a package within {MAX_PACKAGE_BYTES} bytes, got none"
                )
            previous = chunk
        parser.close()
    except etree.XMLSyntaxError as e:
        raise InputError(f"{source}: invalid XML: {to_ascii(str(e.msg))}") from e


def _require_utf8(chunks: Iterator[bytes], source: str) -> Iterator[bytes]:
    """Yield the chunks of a document in UTF-8.

    Raises:
        InputError: its first bytes or its XML declaration announce another encoding.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    declaration = _DECLARATION.match(head)
    encoding = declaration["encoding"] if declaration else None
    has_unread_declaration = declaration is None and head.startswith(b"<?xml")
    if (
        b"\0" in head[:4]
        or head[:2] in (b"\xfe\xff", b"\xff\xfe", b"\x4c\x6f")
        or has_unread_declaration
        or (encoding or b"utf-8").lower() not in _ENCODINGS
    ):
        raise InputError(f"{source}: invalid XML: expected UTF-8, got another encoding")
    yield head
    yield from chunks


def release_element(element: etree._Element) -> None:
    """Free an element that was read, and those before it: they accumulate below the root."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]  # type: ignore[union-attr]


def to_ascii(text: str) -> str:
    """Return repository text in a form that is safe in messages."""
    return text[:200].encode("ascii", "backslashreplace").decode("ascii")
