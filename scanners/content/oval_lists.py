"""Lists of known users and groups in OVAL: variables with the values of collected items."""

import copy

from lxml import etree

from hardpan.scanners.content.scap_xml import OVAL, Element

INDEPENDENT = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#independent}"

_GROUP_FILE = "/etc/group"
_GROUP_PATTERN = r"^[^:]+:[^:]*:([\d]+):[^:]*$"
"""Upstream's pattern of all groups; the subexpression is the id."""

_COMMON_GROUP_PATTERN = r"^[^:\n]+:[^:\n]*:(0|100[0-9]):[^:\n]*$"
"""The group 0 and those of the first ten regular users, of which a host has few, while it may have
thousands of others. What it matches is one line with three colons, whose id the pattern of all
groups captures too: its digits have no line end, and its match ends at one."""

_COMMON_GROUPS = "oval:hardpan-common_groups:{}:1"


def read_variable(oval: Element, variable_id: str) -> tuple[str, str]:
    """Return field and object of a variable that has the values of one object's items."""
    for variable in oval.iterfind(f"{OVAL}variables/{OVAL}local_variable"):
        if variable.get("id") == variable_id and len(variable) == 1:
            component = variable[0]
            if component.tag == OVAL + "object_component" and not component.get("record_field"):
                return component.get("item_field", ""), component.get("object_ref", "")
    return "", ""


def read_union(oval: Element, object_id: str) -> list[str]:
    """Return the objects whose items an object has all of: a union without filters."""
    for element in oval.iterfind(f"{OVAL}objects/{{*}}*"):
        sets = element.findall(OVAL + "set")
        if element.get("id") == object_id and len(sets) == 1:
            is_union = sets[0].get("set_operator", "UNION") == "UNION"
            if is_union and all(e.tag == OVAL + "object_reference" for e in sets[0]):
                return [(e.text or "").strip() for e in sets[0]]
    return []


def add_common_groups(oval: Element, variable_id: str) -> str:
    """Add a variable with few values of a list of all groups; return its id.

    Empty if the list is another one.
    """
    field, object_id = read_variable(oval, variable_id)
    object_ids = {object_id, *read_union(oval, object_id)}
    objects, variables = oval.find(OVAL + "objects"), oval.find(OVAL + "variables")
    if field != "subexpression" or objects is None or variables is None:
        return ""
    all_groups = [e for e in objects if e.get("id") in object_ids and _has_all_groups(e)]
    if not all_groups:
        return ""
    common_id = _COMMON_GROUPS.format("var")
    if any(e.get("id") == common_id for e in variables):
        return common_id
    element = copy.deepcopy(all_groups[0])
    element.set("id", _COMMON_GROUPS.format("obj"))
    _require_child(element, "pattern").text = _COMMON_GROUP_PATTERN
    objects.append(element)
    variable = etree.SubElement(
        variables, OVAL + "local_variable", id=common_id, version="1", datatype="int"
    )
    variable.set("comment", "group 0 and the groups of the first regular users")
    etree.SubElement(
        variable,
        OVAL + "object_component",
        item_field=field,
        object_ref=_COMMON_GROUPS.format("obj"),
    )
    return common_id


def _has_all_groups(element: Element) -> bool:
    """True if the object has an item for each line of ``/etc/group``, as upstream writes it."""
    if element.tag != INDEPENDENT + "textfilecontent54_object":
        return False
    children = {str(e.tag): e for e in element.iterchildren("{*}*")}
    expected = {
        "filepath": (_GROUP_FILE, {}),
        "pattern": (_GROUP_PATTERN, {"operation": "pattern match"}),
        "instance": ("1", {"operation": "greater than or equal", "datatype": "int"}),
    }
    return len(element) == len(expected) and all(
        (child := children.get(INDEPENDENT + name)) is not None
        and child.text == text
        and {str(k): str(v) for k, v in child.attrib.items()} == attributes
        for name, (text, attributes) in expected.items()
    )


def _require_child(element: Element, name: str) -> Element:
    child = element.find(INDEPENDENT + name)
    assert child is not None  # noqa: S101 - the caller compared it
    return child
