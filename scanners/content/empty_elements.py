"""Retain the difference between ``<value></value>`` and ``<value/>``.

XML and lxml know none, but oscap reads the first as an empty text, and the second as no text, or as
the white space after it (``oscap_element_string_copy``, OpenSCAP 1.3.7 to 1.4.4).
"""

import re
from xml.parsers import expat

from lxml import etree

_PAIR = re.compile(rb"<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?></\1\s*>")


def retain_empty_pairs(root: etree._Element, data: bytes) -> None:
    """Give elements that are an empty pair of tags in ``data`` an empty text, in place.

    ``root`` is the tree of ``data``. lxml writes an element with an empty text as a pair of tags.
    """
    if _PAIR.search(data) is None:
        return
    positions = _find_empty_pairs(data)
    for position, element in enumerate(root.iter("{*}*")):
        if position in positions:
            element.text = ""


def _find_empty_pairs(data: bytes) -> set[int]:
    """Return the positions of the elements, counted in document order from 0."""
    parser = expat.ParserCreate()
    pairs: set[int] = set()
    count = 0
    is_empty = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count, is_empty
        count += 1
        is_empty = True

    def end(name: str) -> None:
        nonlocal is_empty
        index = parser.CurrentByteIndex
        if is_empty and data[index : index + 2] == b"</":
            pairs.add(count - 1)
        is_empty = False

    def other(*arguments: str) -> None:
        nonlocal is_empty
        is_empty = False

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = other
    parser.CommentHandler = other
    parser.ProcessingInstructionHandler = other
    parser.Parse(data, True)
    return pairs
