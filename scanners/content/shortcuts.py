"""Spares oscap the long way where a short one gives the same answer.

"Every file belongs to a known group" compares each file's group with each of some sixty
known ones, and nearly every file belongs to group 0. What belongs to 0 is left out first,
by one comparison; that 0 is one of the known ones is then a test of its own.
"""

from lxml import etree

from hardpan.scanners.content.slim import oval_components
from hardpan.scanners.content.xml import OVAL, Element

UNIX = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#unix}"
INDEPENDENT = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#independent}"
_OWNERS = (UNIX + "group_id", UNIX + "user_id")


def shorten(root: Element) -> int:
    """Change the tree in place; how many objects look at less now. Verdicts stay the same."""
    return sum(_shorten(oval) for oval in oval_components(root))


def _shorten(oval: Element) -> int:
    known = dict(_known(oval))
    done = 0
    for found in oval.findall(f"{OVAL}objects/{UNIX}file_object"):
        filters = [f for f in found.findall(OVAL + "filter") if f.get("action") == "exclude"]
        states = [t for t in ((f.text or "").strip() for f in filters) if t in known]
        criteria = _criteria_of(oval, found.get("id", ""))
        if states and criteria:
            entity, variable = known[states[0]]
            filters[0].addprevious(_filter(_zero(oval, entity)))
            guard = _guard(oval, variable)
            for criterion in criteria:
                _guarded(criterion, guard)
            done += 1
    return done


def _known(oval: Element) -> list[tuple[str, tuple[str, str]]]:
    """State -> its one entity and variable, where it says: the owner is one of a list."""
    made = []
    for state in oval.findall(f"{OVAL}states/{UNIX}file_state"):
        parts = state.findall("*")
        if len(parts) == 1 and parts[0].tag in _OWNERS:
            said = parts[0].attrib
            listed = said.get("var_check") == "at least one" and "var_ref" in said
            if listed and said.get("operation", "equals") == "equals":
                made.append((state.get("id", ""), (str(parts[0].tag), str(said["var_ref"]))))
    return made


def _criteria_of(oval: Element, object_id: str) -> list[Element]:
    """The criteria that say "there is no such file"; none where it is used in another way."""
    users = [e for e in oval.iter("{*}*") if object_id in (*e.attrib.values(), (e.text or ""))]
    users = [e for e in users if e.get("id") != object_id]
    tests = {t.get("id", ""): t for t in oval.findall(f"{OVAL}tests/{UNIX}file_test")}
    asked = set()
    for user in users:
        test = user.getparent()
        name = "" if test is None else test.get("id", "")
        if name not in tests or user.tag != UNIX + "object":
            return []
        plain = tests[name].find(UNIX + "state") is None
        if tests[name].get("check_existence") != "none_exist" or not plain:
            return []
        asked.add(name)
    made = [c for c in oval.iter(OVAL + "criterion") if c.get("test_ref") in asked]
    return [] if any(c.get("negate") in ("true", "1") for c in made) else made


def _zero(oval: Element, entity: str) -> str:
    """A state: the owner is 0."""
    name = etree.QName(entity).localname
    made = _added(oval, "states", UNIX + "file_state", f"oval:hardpan-{name}_zero:ste:1")
    if not len(made):
        etree.SubElement(made, entity, datatype="int").text = "0"
    return made.get("id", "")


def _guard(oval: Element, variable: str) -> str:
    """A test: 0 is one of the variable's values."""
    name = variable.split(":")[-3]
    ids = {kind: f"oval:hardpan-{name}_has_zero:{kind}:1" for kind in ("tst", "obj", "ste")}
    test = _added(oval, "tests", INDEPENDENT + "variable_test", ids["tst"])
    if len(test):
        return ids["tst"]
    test.set("check", "at least one")
    test.set("check_existence", "at_least_one_exists")
    test.set("comment", "0 is one of the known ones")
    etree.SubElement(test, INDEPENDENT + "object", object_ref=ids["obj"])
    etree.SubElement(test, INDEPENDENT + "state", state_ref=ids["ste"])
    found = _added(oval, "objects", INDEPENDENT + "variable_object", ids["obj"])
    etree.SubElement(found, INDEPENDENT + "var_ref").text = variable
    state = _added(oval, "states", INDEPENDENT + "variable_state", ids["ste"])
    value = etree.SubElement(state, INDEPENDENT + "value", datatype="int")
    value.set("entity_check", "at least one")  # one item holds all values of the variable
    value.text = "0"
    return ids["tst"]


def _added(oval: Element, kind: str, tag: str, name: str) -> Element:
    """The element called ``name``, made empty where it is not there."""
    parent = oval.find(OVAL + kind)
    assert parent is not None  # noqa: S101 - an object was found, so there are tests and states
    there = next((e for e in parent if e.get("id") == name), None)
    return etree.SubElement(parent, tag, id=name, version="1") if there is None else there


def _filter(state: str) -> Element:
    made = etree.Element(OVAL + "filter", action="exclude")
    made.text = state
    return made


def _guarded(criterion: Element, guard: str) -> None:
    """Put the guard beside a criterion: both must hold."""
    parent = criterion.getparent()
    assert parent is not None  # noqa: S101 - a criterion lies in criteria
    both = etree.Element(OVAL + "criteria", operator="AND")
    both.tail, criterion.tail = criterion.tail, None
    parent.replace(criterion, both)
    both.append(criterion)
    etree.SubElement(both, OVAL + "criterion", test_ref=guard, comment="0 is one of the known ones")
