"""Merge equal OVAL elements, so that oscap collects each object once.

oscap caches collected items by the id of the object. The content collects the
dependencies of multi-user.target eighteen times under eighteen ids, and every
time oscap walks the whole tree of systemd's units again.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator

from lxml import etree

from hardpan.scanners.content.components import oval_components
from hardpan.scanners.content.scap_xml import OVAL, Element, remove_element

_KINDS = ("variables", "states", "objects")
_IDENTITY_ATTRIBUTES = ("id", "version", "comment")
"""Attributes that may differ between duplicates: they only identify an element."""


def merge_duplicates(root: Element) -> int:
    """Merge in place; return how many elements were removed. Tests are unchanged.

    External variables stay: the benchmark sets each by its id.
    """
    return sum(_merge_document(oval) for oval in oval_components(root))


def _merge_document(oval: Element) -> int:
    removed_count = 0
    # Objects that differed only by a merged variable or state are equal in the next round.
    while duplicates := dict(_find_duplicates(oval)):
        for element in list(oval.iter("{*}*")):
            if element.get("id") in duplicates:
                remove_element(element)
                continue
            for name, value in element.attrib.items():
                if value in duplicates:
                    element.set(name, duplicates[value])
            text = (element.text or "").strip()
            if text in duplicates:
                element.text = duplicates[text]
        removed_count += len(duplicates)
    return removed_count


def _find_duplicates(oval: Element) -> Iterator[tuple[str, str]]:
    """Yield id of a duplicate -> id of the element that replaces it."""
    for kind in _KINDS:
        groups: dict[bytes, list[str]] = defaultdict(list)
        for element in oval.iterfind(f"{OVAL}{kind}/*"):
            if element.tag != OVAL + "external_variable":
                groups[canonical_form(element)].append(element.get("id", ""))
        for first, *duplicate_ids in groups.values():
            yield from ((duplicate_id, first) for duplicate_id in duplicate_ids)


def canonical_form(element: Element) -> bytes:
    """Return an element's content without its identity.

    Comments and CDATA sections count: oscap reads a text only up to them.
    """
    stripped = copy.deepcopy(element)
    for name in set(_IDENTITY_ATTRIBUTES) & set(stripped.attrib):
        del stripped.attrib[name]
    for part in stripped.iter("{*}*"):
        part.tail = None
        if part.text is not None and not part.text.strip():
            part.text = None
    return etree.tostring(stripped)
