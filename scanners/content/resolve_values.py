"""Values of a benchmark in a profile."""

from collections.abc import Iterator, Mapping

from hardpan.scanners.content.resolve_items import Item
from hardpan.scanners.content.resolve_profile import ProfileSettings, read_first_text
from hardpan.scanners.content.scap_xml import XCCDF, Element

_BOUNDS = {"match": "string", "lower-bound": "number", "upper-bound": "number"}
"""Child of a Value -> the type of Value for which oscap reads it."""


def resolve_values(items: Mapping[str, Item], settings: ProfileSettings) -> dict[str, str | None]:
    """Return value id -> its value; None for a value that oscap cannot resolve.

    A check that exports such a value is ``unknown``. ``set-complex-value`` and ``complex-value``
    are ignored, as by OpenSCAP 1.3.7 to 1.4.4.
    """
    texts = {s.idref: s.text for s in settings.set_values}
    selectors = {r.idref: r.selector for r in settings.value_refinements}
    values: dict[str, str | None] = {}
    for item in items.values():
        if item.kind == "Value" and not item.is_abstract:
            chosen = choose_value(item, selectors.get(item.item_id, ""))
            text = texts.get(item.item_id)
            values[item.item_id] = chosen if text is None else text
    return values


def choose_value(item: Item, selector: str) -> str | None:
    """Return the text of the value with this selector; None if there is none.

    Without a value that has no selector, the first one is the default (NISTIR 7275r4, table 13).
    """
    instances = read_instances(item)
    if selector in instances:
        return instances[selector]
    if selector:
        return None
    return next(iter(instances.values()), None)


def read_instances(item: Item) -> dict[str, str | None]:
    """Return selector -> text, in the order of creation, with the inherited ones at the end."""
    instances: dict[str, str | None] = {}
    for element in item.lineage:
        for selector, text in _read_element_instances(element).items():
            if instances.get(selector) is None:
                instances[selector] = text
    return instances


def _read_element_instances(value: Element) -> dict[str, str | None]:
    """A ``match``, ``choices`` or ``default`` creates an instance for its selector too."""
    instances: dict[str, str | None] = {}
    for child in _iter_instance_elements(value):
        selector = child.get("selector", "")
        instances.setdefault(selector, None)
        if child.tag == XCCDF + "value":
            instances[selector] = read_first_text(child)
    return instances


def _iter_instance_elements(value: Element) -> Iterator[Element]:
    value_type = value.get("type", "string")
    tags = [t for t, needed_type in _BOUNDS.items() if needed_type == value_type]
    yield from value.iterchildren(*(XCCDF + t for t in ("value", "default", "choices", *tags)))
