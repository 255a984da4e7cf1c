"""Constraints of XCCDF 1.2's schema on what decides about an evaluation.

``oscap xccdf eval`` validates a data stream and ends with exit code 1 if it is invalid. hardpan
uploads content that oscap does not validate again, so what an invalid attribute, element or
reference would be read as is nobody's intention: it is refused here. Texts, notes and the patterns
of ids are not checked. Source: ``xccdf_1.2.xsd`` (NISTIR 7275r4).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.resolve_items import (
    ROLES,
    WEIGHT_FORM,
    XCCDF_SEVERITIES,
    is_weight,
)
from hardpan.scanners.content.scap_xml import XCCDF, Element


@dataclass(frozen=True, slots=True)
class _Type:
    """A type of attribute."""

    expected: str
    pattern: re.Pattern[str]


def _choice(*values: str) -> _Type:
    return _Type(f"one of {', '.join(values)}", re.compile("|".join(map(re.escape, values))))


_TEXT = _Type("a text", re.compile(r".*", re.DOTALL))
_NAME = _Type("an id", re.compile(r"\s*[^\W\d][\w.-]*\s*"))
_NAMES = _Type("ids", re.compile(r"[\w.:\s-]*"))
_BOOLEAN = _Type("true, false, 1 or 0", re.compile(r"\s*(true|false|1|0)\s*"))
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*")
_OPERATOR = _choice(
    "equals",
    "not equal",
    "greater than",
    "less than",
    "greater than or equal",
    "less than or equal",
    "pattern match",
)
_SEVERITY = _choice(*XCCDF_SEVERITIES)
_ROLE = _choice(*ROLES)

_ITEM: dict[str, _Type] = {
    "abstract": _BOOLEAN,
    "cluster-id": _NAME,
    "extends": _NAME,
    "hidden": _BOOLEAN,
    "prohibitChanges": _BOOLEAN,
}
_SELECTABLE = _ITEM | {"selected": _BOOLEAN}

_ATTRIBUTES: dict[str, dict[str, _Type]] = {
    "Group": _SELECTABLE,
    "Rule": _SELECTABLE | {"role": _ROLE, "severity": _SEVERITY, "multiple": _BOOLEAN},
    "Value": _ITEM | {"type": _choice("number", "string", "boolean"), "operator": _OPERATOR},
    "Profile": {"abstract": _BOOLEAN, "extends": _NAME, "prohibitChanges": _BOOLEAN},
    "select": {"idref": _NAME, "selected": _BOOLEAN},
    "set-value": {"idref": _NAME},
    "refine-value": {"idref": _NAME, "selector": _TEXT, "operator": _OPERATOR},
    "refine-rule": {"idref": _NAME, "severity": _SEVERITY, "role": _ROLE},
    "check": {"system": _TEXT, "negate": _BOOLEAN, "multi-check": _BOOLEAN, "selector": _TEXT},
    "complex-check": {"operator": _choice("AND", "OR"), "negate": _BOOLEAN},
    "check-export": {"value-id": _NAME, "export-name": _TEXT},
    "check-content-ref": {"href": _TEXT, "name": _TEXT},
    "platform": {"idref": _TEXT, "override": _BOOLEAN},
    "requires": {"idref": _NAMES},
    "conflicts": {"idref": _NAME},
    "sub": {"idref": _NAME},
}
"""Element -> its attributes that oscap reads."""

_REQUIRED = {
    **dict.fromkeys(("Benchmark", "Group", "Rule", "Value", "Profile"), ("id",)),
    **dict.fromkeys(("set-value", "refine-value", "refine-rule"), ("idref",)),
    **dict.fromkeys(("platform", "requires", "conflicts", "sub"), ("idref",)),
    "select": ("idref", "selected"),
    "check": ("system",),
    "complex-check": ("operator",),
    "check-export": ("value-id", "export-name"),
    "check-content-ref": ("href",),
}
"""Element -> attributes that it must have."""

_HEAD = "status dc-status version title description warning question reference metadata"
_SETTINGS = "select|set-complex-value|set-value|refine-value|refine-rule"
_ORDER = {
    "Benchmark": "status dc-status title description notice front-matter rear-matter reference "
    "plain-text platform-specification platform version metadata model Profile Value Group|Rule "
    "TestResult signature",
    "Group": f"{_HEAD} rationale platform requires conflicts Value Group|Rule signature",
    "Rule": f"{_HEAD} rationale platform requires conflicts ident impact-metric profile-note "
    "fixtext fix check complex-check signature",
    "Value": f"{_HEAD} value|complex-value default|complex-default match lower-bound upper-bound "
    "choices source signature",
    "Profile": f"status dc-status version title description reference platform {_SETTINGS} "
    "metadata signature",
    "complex-check": "check|complex-check",
}
"""Element -> its children in their order; a bar separates those that may be mixed."""

_RANKS = {
    parent: {tag: n for n, tags in enumerate(order.split()) for tag in tags.split("|")}
    for parent, order in _ORDER.items()
}
_NEEDED_CHILDREN = {
    "Benchmark": (("status",), ("version",)),
    "Profile": (("title",),),
    "Value": (("value", "complex-value"),),
    "complex-check": (("check", "complex-check"),),
}
_UNIQUE = {
    "Value": (("value|complex-value", "selector"), ("default", "selector"), ("match", "selector")),
    "Rule": (("check", "selector", "system"), ("complex-check",)),
    "Profile": tuple((tag, "idref") for tag in _SETTINGS.split("|")),
    "Benchmark": (("Profile", "id"), ("version",)),
}
"""Element -> children, and their attributes that together must be unique."""
_CHECKED_TAGS = tuple(
    XCCDF + tag
    for tag in {**_ATTRIBUTES, **_REQUIRED, **_RANKS, "lower-bound": None, "upper-bound": None}
)


def check_schema(bench: Element, name: str) -> None:
    """Check a benchmark, with the profiles of a tailoring in it.

    Raises:
        InputError: oscap would refuse it; the message names the element and the expected form.
    """
    for problem in _iter_problems(bench):
        raise InputError(f"{name}: {problem}")


def _iter_problems(bench: Element) -> Iterator[str]:
    value_ids = {e.get("id") for e in bench.iter(XCCDF + "Value")}
    text_ids = value_ids | {e.get("id") for e in bench.iter(XCCDF + "plain-text")}
    for element in bench.iter(*_CHECKED_TAGS):
        tag = etree.QName(element).localname
        for problem in (*_check_attributes(element, tag), *_check_children(element, tag)):
            yield f"{_locate(element)}: {problem}"
        if tag == "check-export" and element.get("value-id") not in value_ids:
            yield f"{_locate(element)}: expected the id of a Value, got {element.get('value-id')!r}"
        if tag == "sub" and element.get("idref") not in text_ids:
            yield f"{_locate(element)}: expected the id of a Value, got {element.get('idref')!r}"


def _locate(element: Element) -> str:
    """Return the element and the item that has it, e.g. ``select of Profile xccdf_…``."""
    tag = etree.QName(element).localname
    if element.get("id") and tag in _RANKS:
        return f"{tag} {element.get('id')}"
    owners = (e for e in element.iterancestors() if e.get("id"))
    owner = next(owners, None)
    if owner is None:
        return tag
    return f"{tag} of {etree.QName(owner).localname} {owner.get('id')}"


def _check_attributes(element: Element, tag: str) -> Iterator[str]:
    for attribute in _REQUIRED.get(tag, ()):
        if element.get(attribute) is None:
            yield f"expected an attribute {attribute}, got none"
    for attribute, attribute_type in _ATTRIBUTES.get(tag, {}).items():
        text = element.get(attribute)
        if text is not None and not attribute_type.pattern.fullmatch(text):
            yield f"{attribute}: expected {attribute_type.expected}, got {text!r}"
    if tag in ("Group", "Rule", "refine-rule") and not is_weight(element.get("weight", "1")):
        yield f"weight: expected {WEIGHT_FORM}, got {element.get('weight')!r}"
    if tag in ("lower-bound", "upper-bound") and not _DECIMAL.fullmatch(element.text or ""):
        yield f"expected a number, got {element.text!r}"


def _check_children(element: Element, tag: str) -> Iterator[str]:
    ranks = _RANKS.get(tag)
    if ranks is None:
        return
    children = [etree.QName(c).localname for c in element.iterchildren("{*}*")]
    highest = 0
    for child in children:
        rank = ranks.get(child, -1)
        if rank < highest:
            yield f"did not expect {child} here"
            return
        highest = rank
    for alternatives in _NEEDED_CHILDREN.get(tag, ()):
        if not set(alternatives) & set(children):
            yield f"expected {' or '.join(alternatives)}, got none"
    if "check" in children and "complex-check" in children and tag == "Rule":
        yield "expected checks or a complex-check, got both"
    for tags, *attributes in _UNIQUE.get(tag, ()):
        yield from _check_unique(element, tags, attributes)


def _check_unique(element: Element, tags: str, attributes: list[str]) -> Iterator[str]:
    seen: set[tuple[str, ...]] = set()
    for child in element.iterchildren(*(XCCDF + t for t in tags.split("|"))):
        key = tuple(child.get(a, "") for a in attributes)
        if key in seen:
            detail = " and ".join(f"{a} {v!r}" for a, v in zip(attributes, key, strict=True))
            yield f"expected one {tags.partition('|')[0]} {detail}, got two".replace("  ", " ")
        seen.add(key)
