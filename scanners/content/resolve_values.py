"""Values of a benchmark in a profile."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hardpan.core.errors import InputError
from hardpan.scanners.content.resolve_items import Item, describe
from hardpan.scanners.content.resolve_profile import ProfileSettings, read_first_text
from hardpan.scanners.content.scap_xml import XCCDF, Element

_BOUNDS = {"match": "string", "lower-bound": "number", "upper-bound": "number"}
"""Child of a Value -> the type of Value for which oscap reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    """What a Value has for one selector."""

    text: str | None
    has_element: bool
    """True if there is an element ``value`` for the selector, with or without a text."""


def resolve_values(
    items: Mapping[str, Item], settings: ProfileSettings, name: str
) -> dict[str, str | None]:
    """Return value id -> its value; None for a value that oscap cannot resolve.

    A check that exports such a value is ``unknown``. ``set-complex-value`` and ``complex-value``
    are ignored, as by OpenSCAP 1.3.7 to 1.4.4.

    Raises:
        InputError: oscap crashes on a value that extends another one.
    """
    texts = {s.idref: s.text for s in settings.set_values}
    selectors = {r.idref: r.selector for r in settings.value_refinements}
    values: dict[str, str | None] = {}
    for item in items.values():
        if item.kind == "Value" and not item.is_abstract:
            instances = _read_instances(item, name)
            chosen = _choose(instances, selectors.get(item.item_id, ""))
            text = texts.get(item.item_id)
            values[item.item_id] = chosen if text is None else text
    return values


def list_selectors(item: Item, name: str) -> tuple[str, ...]:
    """Return the selectors of a Value's values; the default value has none.

    Raises:
        InputError: oscap crashes on the value, which extends another one.
    """
    return tuple(sorted(s for s in _read_instances(item, name) if s))


def _choose(instances: Mapping[str, _Instance], selector: str) -> str | None:
    """Return the text of the instance with this selector; None if there is none.

    Without a value that has no selector, the first one is the default (NISTIR 7275r4, table 13).
    """
    if selector in instances:
        return instances[selector].text
    first = next(iter(instances.values()), None)
    return None if selector or first is None else first.text


def _read_instances(item: Item, name: str) -> dict[str, _Instance]:
    """Return selector -> instance, in the order of creation, with the inherited ones at the end.

    Raises:
        InputError: the item has a value, but not the default value that it would inherit.
    """
    instances: dict[str, _Instance] = {}
    value_type = ""
    for element in reversed(item.lineage):
        inherited, instances = instances, _read_element_instances(element)
        if instances and "" in inherited and "" not in instances:
            raise InputError(
                f"{name}: {describe(element)} extends {element.get('extends')}: "
                "expected a value without selector, as the other one has"
            )
        for selector, instance in inherited.items():
            if selector in instances and not instances[selector].has_element:
                instances[selector] = replace(instances[selector], text=instance.text)
            elif selector not in instances and value_type == _read_type(element):
                instances[selector] = instance
        value_type = _read_type(element)
    return instances


def _read_type(value: Element) -> str:
    return value.get("type", "string")


def _read_element_instances(value: Element) -> dict[str, _Instance]:
    """A ``match``, ``choices`` or ``default`` creates an instance for its selector too."""
    tags = [t for t, needed_type in _BOUNDS.items() if needed_type == _read_type(value)]
    tags += ["value", "default", "choices"]
    instances: dict[str, _Instance] = {}
    for child in value.iterchildren(*(XCCDF + t for t in tags)):
        selector = child.get("selector", "")
        instances.setdefault(selector, _Instance(text=None, has_element=False))
        if child.tag == XCCDF + "value":
            text = read_first_text(child, "selector")
            instances[selector] = _Instance(text=text, has_element=True)
    return instances
