"""Items of a benchmark that decide about one another: one oscap process must have them all."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from hardpan.scanners.content.resolve import read_conflicts, read_requires
from hardpan.scanners.content.resolve_items import Item
from hardpan.scanners.content.scap_xml import XCCDF


def connect_items(items: Mapping[str, Item]) -> tuple[tuple[str, ...], ...]:
    """Return groups of ids of rules and groups, each in document order.

    Items are connected by ``requires``, ``conflicts`` and ``extends``. A group that has
    ``requires`` or ``conflicts`` is connected to everything below it, because oscap deselects
    all that together.
    """
    parent_by_id = {i: i for i, item in items.items() if item.kind != "Value"}

    def find_root(item_id: str) -> str:
        while parent_by_id[item_id] != item_id:
            parent_by_id[item_id] = parent_by_id[parent_by_id[item_id]]
            item_id = parent_by_id[item_id]
        return item_id

    for item_id in parent_by_id:
        for related_id in _iter_related_ids(items[item_id]):
            if related_id in parent_by_id:
                parent_by_id[find_root(item_id)] = find_root(related_id)
    groups: dict[str, list[str]] = defaultdict(list)
    for item_id in parent_by_id:
        groups[find_root(item_id)].append(item_id)
    return tuple(tuple(ids) for ids in groups.values())


def _iter_related_ids(item: Item) -> Iterator[str]:
    decisive_ids = (*(i for ids in read_requires(item) for i in ids), *read_conflicts(item))
    yield from decisive_ids
    yield from (e.get("id", "") for e in item.lineage)
    if decisive_ids and item.kind == "Group":
        for element in item.element.iterdescendants(XCCDF + "Rule", XCCDF + "Group"):
            yield element.get("id", "")


def merge_groups(
    groups: Iterable[tuple[str, ...]], connections: Iterable[tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    """Return disjoint groups, with those merged that a connection has ids of."""
    merged = list(groups)
    for ids in connections:
        connected = [g for g in merged if not set(ids).isdisjoint(g)]
        others = [g for g in merged if set(ids).isdisjoint(g)]
        merged = [*others, tuple(i for g in connected for i in g)]
    return tuple(merged)
