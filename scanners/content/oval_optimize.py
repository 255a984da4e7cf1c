"""Optimize OVAL objects that select files by owner, with unchanged verdicts.

"Every file belongs to a known group" compares each file's group with each of some sixty known
ones, and nearly every file belongs to group 0 or to that of a regular user. These are filtered out
first, by few comparisons; a separate test checks that 0 is one of the known groups. Only objects
that walk all file systems are optimized: every host has files of user and group 0 there, so without
0 among the known ones the original check fails too. For a list that is not upstream's, only files
of owner 0 are filtered out first.
"""

from collections.abc import Mapping, Sequence

from lxml import etree

from hardpan.scanners.content.components import index_references, oval_components
from hardpan.scanners.content.oval_lists import INDEPENDENT, UNIX, add_common_owners
from hardpan.scanners.content.scap_xml import OVAL, Element

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_EVERY_NAME = (("not equal", "/"), ("pattern match", ".*"))
"""Operation and text of upstream's filenames that mean every file."""

FIRST_STATE_PREFIX = "oval:hardpan-first_"
"""Of the ids of the states that are compared first."""

_OWNER_ENTITIES = (UNIX + "group_id", UNIX + "user_id")


def filter_root_owned_first(root: Element) -> int:
    """Change the tree in place; return how many objects were optimized. Verdicts are unchanged."""
    return sum(_optimize_document(oval) for oval in oval_components(root))


def _optimize_document(oval: Element) -> int:
    owner_states = dict(_find_owner_states(oval))
    references = index_references(oval)
    optimized_count = 0
    for file_object in oval.findall(f"{OVAL}objects/{UNIX}file_object"):
        filters = [f for f in file_object.findall(OVAL + "filter") if f.get("action") == "exclude"]
        states = [t for t in ((f.text or "").strip() for f in filters) if t in owner_states]
        if not states or not _has_every_file(file_object):
            continue
        criteria = find_criteria(oval, file_object.get("id", ""), references)
        if criteria:
            entity, variable = owner_states[states[0]]
            filters[0].addprevious(_build_filter(_add_first_state(oval, entity, variable)))
            guard = _add_guard_test(oval, variable)
            for criterion in criteria:
                _require_guard(criterion, guard)
            optimized_count += 1
    return optimized_count


def _has_every_file(file_object: Element) -> bool:
    """True if upstream's object has all files of ``/``, or of the list of mount points.

    Another object may have none of user and group 0, and then passes without 0 in the list.
    """
    filename = file_object.find(UNIX + "filename")
    if not file_object.get("id", "").startswith("oval:ssg-") or filename is None:
        return False
    name_choice = (filename.get("operation", "equals"), filename.text)
    if filename.get(_NIL) is None and name_choice not in _EVERY_NAME:
        return False
    return searches_file_systems(file_object)


def searches_file_systems(file_object: Element) -> bool:
    """True if the object searches below ``/``, or below each of upstream's local mount points."""
    behaviors = file_object.find(UNIX + "behaviors")
    path = file_object.find(UNIX + "path")
    if behaviors is None or path is None:
        return False
    is_recursive = behaviors.get("recurse_direction") == "down"
    is_unlimited = behaviors.get("max_depth", "-1") == "-1"
    is_root = path.text == "/" and path.get("operation", "equals") == "equals"
    variable = path.get("var_ref", "")
    has_mount_points = variable.startswith("oval:ssg-") and "local_mountpoints" in variable
    return is_recursive and is_unlimited and (is_root or has_mount_points)


def _find_owner_states(oval: Element) -> list[tuple[str, tuple[str, str]]]:
    """Return state -> its only entity and variable, for states "the owner is one of a list"."""
    states = []
    for state in oval.findall(f"{OVAL}states/{UNIX}file_state"):
        parts = state.findall("*")
        if len(parts) == 1 and parts[0].tag in _OWNER_ENTITIES:
            attributes = parts[0].attrib
            is_list_check = (
                attributes.get("var_check") == "at least one" and "var_ref" in attributes
            )
            if is_list_check and attributes.get("operation", "equals") == "equals":
                states.append(
                    (state.get("id", ""), (str(parts[0].tag), str(attributes["var_ref"])))
                )
    return states


def find_criteria(
    oval: Element, object_id: str, references: Mapping[str, Sequence[Element]]
) -> list[Element]:
    """Return the criteria that require no such file; none if the object is used otherwise.

    ``references`` are those of the document, as ``index_references`` returns them.
    """
    tests = oval.find(OVAL + "tests")
    test_ids = set()
    for reference in references.get(object_id, ()):
        test = reference.getparent()
        if reference.tag != UNIX + "object" or test is None or test.getparent() is not tests:
            return []
        has_no_state = test.find(UNIX + "state") is None
        if test.get("check_existence") != "none_exist" or not has_no_state:
            return []
        test_ids.add(test.get("id", ""))
    users = [e for test_id in test_ids for e in references.get(test_id, ())]
    criteria = [e for e in users if e.tag == OVAL + "criterion"]
    return [] if any(c.get("negate") in ("true", "1") for c in criteria) else criteria


def _add_first_state(oval: Element, entity: str, variable: str) -> str:
    """Return a state that most files have: the owner is 0, or one of few that the variable has."""
    name = etree.QName(entity).localname
    common = add_common_owners(oval, variable)
    kind = "common" if common else "zero"
    state_id = f"{FIRST_STATE_PREFIX}{name}_{kind}:ste:1"
    state = _get_or_create(oval, "states", UNIX + "file_state", state_id)
    if len(state):
        return state_id
    value = etree.SubElement(state, entity, datatype="int")
    if common:
        value.set("var_check", "at least one")
        value.set("var_ref", common)
    else:
        value.text = "0"
    return state_id


def _add_guard_test(oval: Element, variable: str) -> str:
    """Return a test: 0 is one of the variable's values."""
    name = variable.split(":")[-3]
    ids = {kind: f"oval:hardpan-{name}_has_zero:{kind}:1" for kind in ("tst", "obj", "ste")}
    test = _get_or_create(oval, "tests", INDEPENDENT + "variable_test", ids["tst"])
    if len(test):
        return ids["tst"]
    test.set("check", "at least one")
    test.set("check_existence", "at_least_one_exists")
    test.set("comment", "0 is one of the known ones")
    etree.SubElement(test, INDEPENDENT + "object", object_ref=ids["obj"])
    etree.SubElement(test, INDEPENDENT + "state", state_ref=ids["ste"])
    variable_object = _get_or_create(oval, "objects", INDEPENDENT + "variable_object", ids["obj"])
    etree.SubElement(variable_object, INDEPENDENT + "var_ref").text = variable
    state = _get_or_create(oval, "states", INDEPENDENT + "variable_state", ids["ste"])
    value = etree.SubElement(state, INDEPENDENT + "value", datatype="int")
    value.set("entity_check", "at least one")  # one item holds all values of the variable
    value.text = "0"
    return ids["tst"]


def _get_or_create(oval: Element, kind: str, tag: str, name: str) -> Element:
    """Return the element called ``name``, created empty if it does not exist."""
    parent = oval.find(OVAL + kind)
    assert parent is not None  # noqa: S101 - an object was found, so there are tests and states
    existing = next((e for e in parent if e.get("id") == name), None)
    return etree.SubElement(parent, tag, id=name, version="1") if existing is None else existing


def _build_filter(state: str) -> Element:
    element = etree.Element(OVAL + "filter", action="exclude")
    element.text = state
    return element


def _require_guard(criterion: Element, guard: str) -> None:
    """Combine a criterion with the guard: both must be true."""
    parent = criterion.getparent()
    assert parent is not None  # noqa: S101 - a criterion is always inside criteria
    conjunction = etree.Element(OVAL + "criteria", operator="AND")
    conjunction.tail, criterion.tail = criterion.tail, None
    parent.replace(criterion, conjunction)
    conjunction.append(criterion)
    etree.SubElement(
        conjunction, OVAL + "criterion", test_ref=guard, comment="0 is one of the known ones"
    )
