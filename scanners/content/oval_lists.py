"""Lists of known users and groups in OVAL: variables with the values of collected items.

A host may have thousands of users and groups, but most of its files belong to owner 0 or to one of
the first regular users. The variables that are added here have only these, as far as the host has
them: their values are always values of the complete list too.
"""

import copy

from lxml import etree

from hardpan.scanners.content.scap_xml import OVAL, Element

UNIX = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#unix}"
INDEPENDENT = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#independent}"

_GROUP_FILE = "/etc/group"
_GROUP_PATTERN = r"^[^:]+:[^:]*:([\d]+):[^:]*$"
"""Upstream's pattern of all groups; the subexpression is the id."""

_COMMON_GROUP_PATTERN = r"^[^:\n]+:[^:\n]*:(0|100[0-9]):[^:\n]*$"
"""The group 0 and those of the first ten regular users, of which a host has few, while it may have
thousands of others. What it matches is one line with three colons, whose id the pattern of all
groups captures too: its digits have no line end, and its match ends at one."""

_REGULAR_USERS = (("greater than or equal", "1000"), ("less than or equal", "1009"))


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


def add_common_owners(oval: Element, variable_id: str) -> str:
    """Add a variable with few values of a list of all users or groups; return its id.

    Empty if the list is none that upstream's content has.
    """
    field, object_id = read_variable(oval, variable_id)
    objects, variables = oval.find(OVAL + "objects"), oval.find(OVAL + "variables")
    if objects is None or variables is None:
        return ""
    source_ids = (object_id, *read_union(oval, object_id))
    sources = [e for e in objects if e.get("id") in source_ids]
    for name, expected_field, is_complete, add in (
        ("groups", "subexpression", _has_all_groups, _add_common_groups),
        ("users", "user_id", _has_all_users, _add_common_users),
    ):
        complete = [e for e in sources if is_complete(e)]
        if field == expected_field and complete:
            common_id = f"oval:hardpan-common_{name}:var:1"
            if all(e.get("id") != common_id for e in variables):
                common_object = add(oval, complete[0])
                _add_variable(variables, common_id, field, common_object)
            return common_id
    return ""


def _add_variable(variables: Element, variable_id: str, field: str, object_id: str) -> None:
    variable = etree.SubElement(
        variables, OVAL + "local_variable", id=variable_id, version="1", datatype="int"
    )
    variable.set("comment", "0, and those of the first regular users")
    etree.SubElement(variable, OVAL + "object_component", item_field=field, object_ref=object_id)


def _add_common_groups(_oval: Element, all_groups: Element) -> str:
    common = _add_copy(all_groups, "common_groups")
    pattern = common.find(INDEPENDENT + "pattern")
    assert pattern is not None  # noqa: S101 - it was compared
    pattern.text = _COMMON_GROUP_PATTERN
    return common.get("id", "")


def _add_common_users(oval: Element, all_users: Element) -> str:
    """Add the union of user 0 and of the users 1000 to 1009."""
    states = oval.find(OVAL + "states")
    assert states is not None  # noqa: S101 - the list is the value of one
    limits = {"root": (("equals", "0"),), "regular": _REGULAR_USERS}
    for name, conditions in limits.items():
        users = _add_copy(all_users, f"common_users_{name}")
        for number, (operation, value) in enumerate(conditions):
            state_id = f"oval:hardpan-common_users_{name}_{number}:ste:1"
            state = etree.SubElement(states, UNIX + "password_state", id=state_id, version="1")
            entity = etree.SubElement(state, UNIX + "user_id", datatype="int", operation=operation)
            entity.text = value
            etree.SubElement(users, OVAL + "filter", action="include").text = state_id
    union = _add_copy(all_users, "common_users")
    union[:] = []
    members = etree.SubElement(union, OVAL + "set")
    for name in limits:
        reference = etree.SubElement(members, OVAL + "object_reference")
        reference.text = f"oval:hardpan-common_users_{name}:obj:1"
    return union.get("id", "")


def _add_copy(element: Element, name: str) -> Element:
    copied = copy.deepcopy(element)
    copied.set("id", f"oval:hardpan-{name}:obj:1")
    element.addnext(copied)
    return copied


def _has_all_users(element: Element) -> bool:
    """True if the object has an item for each user, or for each of a part of them."""
    return element.tag == UNIX + "password_object" and [e.tag for e in element] == [
        UNIX + "username"
    ]


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
