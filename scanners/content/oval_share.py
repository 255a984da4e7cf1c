"""Let OVAL tests that search the same files share one search, with unchanged results.

oscap needs a tenth of a millisecond for each file that a search finds, because it builds an item
before it applies the filters. Three objects that list the files without a known owner or group
search all file systems three times, and keep next to nothing. Here one object searches once and
keeps what at least one of them keeps.

A test that requires that its object has no file ("none_exist") then requires that each file of
the shared object matches one of the states that its own object excludes. A file that its object
keeps matches none of them, and the shared object has it too: it excludes only what all exclude.
Sets of the shared object with filters would be shorter, but oscap 1.3.7 filters too much of them.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from hardpan.scanners.content.components import index_references, iter_elements, oval_components
from hardpan.scanners.content.oval_dedup import canonical_form
from hardpan.scanners.content.oval_lists import UNIX, read_union, read_variable
from hardpan.scanners.content.oval_optimize import (
    FIRST_STATE_PREFIX,
    find_criteria,
    searches_file_systems,
)
from hardpan.scanners.content.scap_xml import OVAL, Element

_ATTRIBUTES = tuple(
    UNIX + name
    for name in (
        *("type", "group_id", "user_id", "suid", "sgid", "sticky"),
        *(who + bit for who in "ugo" for bit in ("read", "write", "exec")),
        "has_extended_acl",
    )
)
"""Entities of a state that are properties of a file, not its name, in the schema's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSearch:
    """One search that several objects share."""

    definition_ids: tuple[str, ...]
    """The definitions whose tests use these objects."""

    object_count: int


@dataclass(frozen=True, slots=True)
class _FileObject:
    element: Element
    filters: tuple[str, ...]
    """Ids of the states of its filters; all exclude."""


def share_searches(root: Element, *, by_property: bool = False) -> tuple[SharedSearch, ...]:
    """Change the tree in place; return the shared searches. Collected items are unchanged.

    With ``by_property``, objects that search all file systems share only with objects that filter
    by the same properties of a file, such as its owner. Each further property is compared for
    every file, so two processes that search at the same time take less time than one for both.
    """
    return tuple(shared for oval in oval_components(root) for shared in _share(oval, by_property))


def _share(oval: Element, by_property: bool) -> Iterator[SharedSearch]:
    states = {s.get("id", ""): s for s in oval.findall(f"{OVAL}states/{UNIX}file_state")}
    references = index_references(oval)
    searches: dict[tuple[bytes, frozenset[str]], list[_FileObject]] = {}
    for element in oval.findall(f"{OVAL}objects/{UNIX}file_object"):
        file_object = _read_object(element, states)
        if file_object and find_criteria(oval, element.get("id", ""), references):
            is_separate = by_property and searches_file_systems(element)
            properties = _list_properties(file_object, states) if is_separate else frozenset()
            key = (_describe_search(element), properties)
            searches.setdefault(key, []).append(file_object)
    groups = [g for objects in searches.values() for g in _group_objects(oval, objects, states)]
    for number, (group, filters) in enumerate(groups):
        shared_id = _add_search(oval, group, filters, f"hardpan-search_{number}")
        common = _find_common(group)
        for file_object in group:
            remaining_ids = [i for i in file_object.filters if i not in common]
            for test in _find_tests(file_object, references):
                _require_states(test, shared_id, remaining_ids)
        ids = [o.element.get("id", "") for o in group]
        yield SharedSearch(
            definition_ids=_find_definitions(oval, ids, references), object_count=len(group)
        )


def _read_object(element: Element, states: Mapping[str, Element]) -> _FileObject | None:
    """Return an object that can share its search; None for any other."""
    filters = element.findall(OVAL + "filter")
    texts = [(f.text or "").strip() for f in filters]
    behaviors = element.find(UNIX + "behaviors")
    if behaviors is None or behaviors.get("recurse_direction") != "down":
        return None  # the search is short
    if element.find(OVAL + "set") is not None or not set(texts) <= states.keys():
        return None
    if any(f.get("action", "exclude") != "exclude" for f in filters):
        return None
    return _FileObject(element, tuple(dict.fromkeys(texts)))


def _is_about_attributes(state: Element) -> bool:
    """True if the state is true where all of its entities are, and these are properties."""
    tags = [e.tag for e in state.iterchildren("{*}*")]
    is_conjunction = state.get("operator", "AND") == "AND"
    return (
        is_conjunction
        and bool(tags)
        and len(set(tags)) == len(tags)
        and set(tags) <= set(_ATTRIBUTES)
    )


def _list_properties(file_object: _FileObject, states: Mapping[str, Element]) -> frozenset[str]:
    """Return the properties of a file that the object's filters compare."""
    tags = {str(e.tag) for i in file_object.filters for e in states[i].iterchildren("{*}*")}
    return frozenset(tags & set(_ATTRIBUTES))


def _is_about_name(state: Element) -> bool:
    return {e.tag for e in state.iterchildren("{*}*")} == {UNIX + "filepath"}


def _describe_search(element: Element) -> bytes:
    """Return what is equal for objects that search the same files."""
    parts = (e for e in element.iterchildren("{*}*") if e.tag != OVAL + "filter")
    return b"\0".join(canonical_form(e) for e in parts)


def _group_objects(
    oval: Element, file_objects: Sequence[_FileObject], states: Mapping[str, Element]
) -> Iterator[tuple[list[_FileObject], list[Element]]]:
    """Yield objects of one search that can share it, with the filters that all of them imply."""
    remaining = list(file_objects)
    while remaining:
        group, filters = [remaining.pop(0)], []
        for file_object in tuple(remaining):
            candidate = [*group, file_object]
            combined = _combine_filters(oval, candidate, states)
            if combined:
                group, filters = candidate, combined
                remaining.remove(file_object)
        if filters:
            yield group, filters


def _combine_filters(
    oval: Element, group: Sequence[_FileObject], states: Mapping[str, Element]
) -> list[Element]:
    """Return filters that keep what one of the objects keeps; none if they cannot share a search.

    A file that the n-th filter by attributes of each object excludes is excluded by all of them.
    """
    common = _find_common(group)
    distinct = [[i for i in o.filters if i not in common] for o in group]
    if not all(
        _is_about_attributes(states[i]) or _is_about_name(states[i])
        for ids in distinct
        for i in ids
    ):
        return []
    attribute_filters = [[i for i in ids if _is_about_attributes(states[i])] for ids in distinct]
    if len({len(ids) for ids in attribute_filters}) > 1 or not attribute_filters[0]:
        return []
    filters = []
    for row in zip(*attribute_filters, strict=True):
        entities = _conjoin(oval, [e for i in row for e in states[i].iterchildren("{*}*")])
        if not entities:
            return []
        filters.append(_build_filter(_build_state(entities)))
    # oscap compares a file with one filter after the other until one excludes it. The states that
    # were added for it exclude most files by few comparisons, a list of owners nearly all others.
    first = [i for i in common if i.startswith(FIRST_STATE_PREFIX)]
    last = [i for i in common if i not in first]
    return [
        *(_build_filter(states[i]) for i in first),
        *filters,
        *(_build_filter(states[i]) for i in last),
    ]


def _find_common(group: Sequence[_FileObject]) -> list[str]:
    return [i for i in group[0].filters if all(i in o.filters for o in group)]


def _build_filter(state: Element) -> Element:
    """Return a filter that has a copy of its state inside."""
    element = etree.Element(OVAL + "filter", action="exclude")
    element.append(_copy(state))
    return element


def _build_state(entities: Iterable[Element]) -> Element:
    state = etree.Element(UNIX + "file_state", version="1", operator="AND")
    state.extend(_copy(e) for e in entities)
    return state


def _copy(element: Element) -> Element:
    copied = copy.deepcopy(element)
    copied.tail = None
    return copied


def _conjoin(oval: Element, entities: Sequence[Element]) -> list[Element]:
    """Return entities that are all true only where all of ``entities`` are; none if impossible.

    A state has at most one entity of a name. Of two list checks, the one whose list is a part
    of the other implies both.
    """
    by_tag: dict[str, Element] = {}
    for entity in entities:
        tag = str(entity.tag)
        other = by_tag.setdefault(tag, entity)
        if canonical_form(other) == canonical_form(entity) or _is_part(oval, other, entity):
            continue
        if not _is_part(oval, entity, other):
            return []
        by_tag[tag] = entity
    return sorted(by_tag.values(), key=lambda e: _ATTRIBUTES.index(str(e.tag)))


def _is_part(oval: Element, small: Element, large: Element) -> bool:
    """True if a file whose property is in the list of ``small`` is in that of ``large`` too."""
    lists = [dict(e.attrib) for e in (small, large)]
    variables = [str(attributes.pop("var_ref", "")) for attributes in lists]
    is_list_check = lists[0].get("var_check") == "at least one" and all(variables)
    if not is_list_check or lists[0] != lists[1] or lists[0].get("operation", "equals") != "equals":
        return False
    fields, object_ids = zip(*(read_variable(oval, v) for v in variables), strict=True)
    return (
        "" not in object_ids
        and fields[0] == fields[1]
        and object_ids[0] in read_union(oval, object_ids[1])
    )


def _add_search(
    oval: Element, group: Sequence[_FileObject], filters: Sequence[Element], name: str
) -> str:
    """Add the object that searches; return its id."""
    objects, states = oval.find(OVAL + "objects"), oval.find(OVAL + "states")
    assert objects is not None and states is not None  # noqa: S101,PT018 - the group is in them
    first = group[0].element
    shared = etree.Element(UNIX + "file_object", id=f"oval:{name}:obj:1", version="1")
    shared.extend(_copy(e) for e in first.iterchildren("{*}*") if e.tag != OVAL + "filter")
    for number, filter_element in enumerate(filters):
        (state,) = filter_element
        state.set("id", f"oval:{name}_{number}:ste:1")
        states.append(state)
        filter_element.text = state.get("id")
        shared.append(filter_element)
    objects.insert(objects.index(first), shared)
    return f"oval:{name}:obj:1"


def _find_tests(
    file_object: _FileObject, references: Mapping[str, Sequence[Element]]
) -> list[Element]:
    parents = (r.getparent() for r in references[file_object.element.get("id", "")])
    return [test for test in parents if test is not None]


def _require_states(test: Element, object_id: str, state_ids: Sequence[str]) -> None:
    """Require that each item of the object matches one of the states."""
    for reference in test.findall(UNIX + "object"):
        reference.set("object_ref", object_id)
    test.set("check_existence", "any_exist")
    test.set("check", "all")
    test.set("state_operator", "OR")
    for state_id in state_ids:
        etree.SubElement(test, UNIX + "state", state_ref=state_id)


def _find_definitions(
    oval: Element, object_ids: Sequence[str], references: Mapping[str, Sequence[Element]]
) -> tuple[str, ...]:
    """Return the ids of the definitions that need one of the objects."""
    elements = {e.get("id", ""): e for e in iter_elements(oval)}
    pending, dependents = list(object_ids), set(object_ids)
    while pending:
        owners = (_find_owner(e, elements) for e in references.get(pending.pop(), ()))
        new = [i for i in dict.fromkeys(owners) if i not in dependents]
        dependents.update(new)
        pending += new
    return tuple(i for i, e in elements.items() if i in dependents and e.tag == OVAL + "definition")


def _find_owner(element: Element, elements: Mapping[str, Element]) -> str:
    """Return the id of the definition, test, object, state or variable of a reference."""
    for ancestor in (element, *element.iterancestors()):
        if ancestor.get("id", "") in elements:
            return ancestor.get("id", "")
    return ""
