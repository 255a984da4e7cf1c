"""Makes one of OVAL elements that say the same, so that oscap collects each thing once.

oscap keeps what it collected by the id of the object. The content asks for the
dependencies of multi-user.target eighteen times under eighteen ids, and every
time oscap walks the whole tree of systemd's units again.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator

from lxml import etree

from hardpan.scanners.content.slim import oval_components
from hardpan.scanners.content.xml import OVAL, Element, remove

_KINDS = ("variables", "states", "objects")
_OWN = ("id", "version", "comment")
"""What may differ between twins: it names an element and says nothing about the system."""


def merge_twins(root: Element) -> int:
    """Merge in place; how many elements went. Every test keeps what it looks at.

    External variables stay: the benchmark sets each by its id.
    """
    return sum(_merge(oval) for oval in oval_components(root))


def _merge(oval: Element) -> int:
    gone = 0
    # Objects that differed only by a merged variable or state are twins in the next round.
    while twins := dict(_twins(oval)):
        for element in list(oval.iter("{*}*")):
            if element.get("id") in twins:
                remove(element)
                continue
            for name, value in element.attrib.items():
                if value in twins:
                    element.set(name, twins[value])
            text = (element.text or "").strip()
            if text in twins:
                element.text = twins[text]
        gone += len(twins)
    return gone


def _twins(oval: Element) -> Iterator[tuple[str, str]]:
    """Id of an element that may go -> id of the one that says the same."""
    for kind in _KINDS:
        groups: dict[bytes, list[str]] = defaultdict(list)
        for element in oval.iterfind(f"{OVAL}{kind}/*"):
            if element.tag != OVAL + "external_variable":
                groups[_said(element)].append(element.get("id", ""))
        for first, *others in groups.values():
            yield from ((other, first) for other in others)


def _said(element: Element) -> bytes:
    """What an element says, whoever it is."""
    bare = copy.deepcopy(element)
    for name in set(_OWN) & set(bare.attrib):
        del bare.attrib[name]
    for part in bare.iter("{*}*"):
        part.tail = None
        if part.text is not None and not part.text.strip():
            part.text = None
    return etree.tostring(bare, method="c14n", with_comments=False)
