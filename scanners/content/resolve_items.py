"""Rules, groups and values of a benchmark, with what they inherit by ``extends``.

The attributes are read as OpenSCAP 1.3.7 to 1.4.4 read them. Content that they refuse is refused
here with the id of the item; content that ends them with a crash (loops) is refused too.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.scap_xml import XCCDF, Element

ROLES = ("full", "unscored", "unchecked")
XCCDF_SEVERITIES = ("unknown", "info", "low", "medium", "high")

_TRUE = ("true", "True", "TRUE", "yes", "Yes", "YES", "1")
"""Values that oscap reads as true. It does not strip blanks: ``" true "``, which XML Schema allows,
is false."""

WEIGHT_FORM = "a number from 0 with up to 3 digits, e.g. '1.5'"
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_MAX_WEIGHT_DIGITS = 3

_KINDS = (XCCDF + "Rule", XCCDF + "Group", XCCDF + "Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A Rule, Group or Value."""

    item_id: str
    kind: str
    """``Rule``, ``Group`` or ``Value``."""

    element: Element
    lineage: tuple[Element, ...]
    """The element, then the elements that it extends, the nearest first."""

    is_selected: bool
    """Selection without any profile."""

    is_abstract: bool
    """True for an item that exists only to be extended, or is in such a group."""

    def attribute(self, name: str) -> str | None:
        """Return an attribute of the item or of the nearest item that it extends."""
        return next((v for e in self.lineage if (v := e.get(name)) is not None), None)

    def children(self, *tags: str) -> Iterator[Element]:
        """Yield children with these XCCDF tags, those of the most distant parent first."""
        for element in reversed(self.lineage):
            yield from element.iterchildren(*(XCCDF + t for t in tags))

    def checks(self) -> tuple[Element, ...]:
        """Return the checks and complex checks: the rule's own, else those that it inherits."""
        tags = (XCCDF + "check", XCCDF + "complex-check")
        return next((c for e in self.lineage if (c := tuple(e.iterchildren(*tags)))), ())


def read_boolean(text: str | None, *, default: bool = False) -> bool:
    """Return a boolean attribute as oscap reads it."""
    return default if text is None else text in _TRUE


def is_weight(text: str) -> bool:
    """True for a weight as XCCDF's schema has it."""
    if not _DECIMAL.fullmatch(text.strip()):
        return False
    value = Decimal(text.strip())
    _, digits, exponent = value.normalize().as_tuple()
    decimals = -int(exponent)
    return value >= 0 and max(decimals, len(digits) - min(decimals, 0)) <= _MAX_WEIGHT_DIGITS


def read_weight(element: Element, name: str) -> float | None:
    """Return the ``weight`` of an item or refine-rule as oscap reports it; None if it has none.

    oscap stores it with single precision and prints six decimals.

    Raises:
        InputError: it is not of the form that XCCDF's schema has.
    """
    text = element.get("weight")
    if text is None:
        return None
    if not is_weight(text):
        raise InputError(
            f"{name}: weight of {describe(element)}: expected {WEIGHT_FORM}, got {text!r}"
        )
    weight: float = struct.unpack("f", struct.pack("f", float(text)))[0]
    return round(weight, 6)


def read_choice(element: Element, attribute: str, choices: tuple[str, ...], name: str) -> str:
    """Return an attribute that must be one of ``choices``; empty if it is absent.

    Raises:
        InputError: it is something else.
    """
    text = element.get(attribute, "").strip()
    if text in choices or element.get(attribute) is None:
        return text
    raise InputError(
        f"{name}: {attribute} of {describe(element)}: expected one of {', '.join(choices)}, "
        f"got {element.get(attribute)!r}"
    )


def describe(element: Element) -> str:
    """Return the kind and id of an element for a message, e.g. ``Rule xccdf_…_rule_one``."""
    item_id = element.get("id") or element.get("idref", "")
    return f"{etree.QName(element).localname} {item_id}"


def read_items(bench: Element, name: str) -> dict[str, Item]:
    """Return id -> item, in document order.

    Raises:
        InputError: an item has no id or the id of another one, or extends itself or nothing.
    """
    elements: dict[str, Element] = {}
    for element in bench.iter(*_KINDS):
        item_id = element.get("id", "")
        if not item_id or item_id in elements:
            problem = "has no id" if not item_id else "exists twice"
            raise InputError(f"{name}: {describe(element)} {problem}: expected a unique id")
        elements[item_id] = element
    return {item_id: _build_item(item_id, elements, name) for item_id in elements}


def _build_item(item_id: str, elements: Mapping[str, Element], name: str) -> Item:
    element = elements[item_id]
    lineage = _find_lineage(element, elements, name)
    inherited = next((s for e in lineage if (s := e.get("selected")) is not None), None)
    family = [element, *element.iterancestors(XCCDF + "Group")]
    return Item(
        item_id=item_id,
        kind=etree.QName(element).localname,
        element=element,
        lineage=lineage,
        is_selected=read_boolean(inherited, default=True),
        is_abstract=any(read_boolean(e.get("abstract")) for e in family),
    )


def _find_lineage(
    element: Element, elements: Mapping[str, Element], name: str
) -> tuple[Element, ...]:
    """Follow ``extends``. It is obsolete for groups in XCCDF 1.2, and oscap ignores it there."""
    lineage = [element]
    while parent_id := lineage[-1].get("extends"):
        parent = elements.get(parent_id)
        if parent is None or parent.tag != element.tag:
            kind = etree.QName(element).localname
            raise InputError(
                f"{name}: {describe(lineage[-1])} extends {parent_id}: expected the id of a {kind}"
            )
        if parent in lineage:
            raise InputError(f"{name}: {describe(element)} extends itself in a loop")
        lineage.append(parent)
    return (element,) if element.tag == XCCDF + "Group" else tuple(lineage)
