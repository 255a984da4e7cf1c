"""Derive content for systems that upstream's content does not recognize.

Upstream's rules first check for their system, RHEL by the package ``redhat-release``. Without a
change every rule is ``notapplicable`` on a rebuild or relative. Added are: one CPE name per system,
an inventory definition that checks for it, and one platform line. The content does not claim to be
RHEL, no rule is changed, every reference stays.
"""

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.derived_systems import (
    SYSTEMS,
    DerivedSystem,
    PackageCheck,
)
from hardpan.scanners.content.scap_xml import (
    CATALOG,
    CPE_DICT,
    DS,
    OVAL,
    OVAL_SYSTEM,
    XCCDF,
    XLINK,
    Element,
    remove_element,
)
from hardpan.scanners.content.scap_xml import find_benchmark as find_benchmark

LINUX = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#linux}"
INDEPENDENT = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#independent}"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
NOTICE_ID = "hardpan_derived_content"
_NOTICE = (
    "hardpan derived this content: it also applies to {names}. It was not reviewed, certified or "
    "endorsed for them by DISA, by the vendor or by the ComplianceAsCode project."
)
_SECTIONS = ("definitions", "tests", "objects", "states")


def derive(root: Element, name: str) -> tuple[str, ...]:
    """Change the tree in place; return the additions, one line each.

    Content that is for none of the known systems, or that has no CPE dictionary to extend, is
    unchanged: empty tuple.

    Raises:
        InputError: the CPE dictionary refers to OVAL definitions that do not exist.
    """
    bench = find_benchmark(root, name)
    platforms = [p.get("idref", "") for p in bench.findall(XCCDF + "platform")]
    upstream = next((p for p in platforms if _to_uri(p) in SYSTEMS), None)
    item = None if upstream is None else _find_dictionary_item(root, upstream)
    if upstream is None or item is None:
        return ()
    oval = _find_component(root, item, name)
    systems = [s for s in SYSTEMS[_to_uri(upstream)] if s.cpe not in platforms]
    added: list[str] = []
    for system in systems:
        added.append(_add_definition(oval, system))
        added.append(_add_item(item, system))
        added.append(_add_platform(bench, upstream, system))
    if added:
        added.append(_add_notice(bench, systems))
    return tuple(added)


def remove_dangling_conflicts(root: Element, name: str) -> tuple[str, ...]:
    """Remove conflicts with items that do not exist; return one line for each.

    They change no verdict, but Debian's oscap aborts on them: upstream's content for OL 10,
    SLE 16 and Amazon Linux has some (ComplianceAsCode/content#11909, #12718).
    """
    bench = find_benchmark(root, name)
    items = list(bench.iter(XCCDF + "Rule", XCCDF + "Group"))
    ids = {i.get("id") for i in items}
    lines = []
    for item in items:
        for conflict in item.findall(XCCDF + "conflicts"):
            if conflict.get("idref") not in ids:
                remove_element(conflict)
                lines.append(f"the conflict of {item.get('id')} with {conflict.get('idref')}")
    return tuple(lines)


def remove_signatures(root: Element) -> bool:
    """Remove the XML signatures of a collection; return True if it has any.

    oscap refuses content that does not match its signature. Source: SCAP 1.3, section 3.11.
    """
    signatures = root.findall(SIGNATURE)
    for signature in signatures:
        remove_element(signature)
    return bool(signatures)


def _to_uri(cpe: str) -> str:
    """Return the URI binding of a CPE name, as far as ``SYSTEMS`` has names."""
    fields = cpe.removeprefix("cpe:2.3:").split(":")
    if not cpe.startswith("cpe:2.3:") or len(fields) < 4:
        return cpe
    return f"cpe:/{':'.join(fields[:4])}"


def _find_dictionary_item(root: Element, cpe: str) -> Element | None:
    for item in root.iter(CPE_DICT + "cpe-item"):
        if (
            _to_uri(item.get("name", "")) == _to_uri(cpe)
            and item.find(CPE_DICT + "check") is not None
        ):
            return item
    return None


def _find_component(root: Element, item: Element, name: str) -> Element:
    """Return the OVAL definitions that an item of the CPE dictionary is checked with."""
    check = item.find(CPE_DICT + "check")
    href = "" if check is None else check.get("href", "")
    uris = {u.get("name"): u.get("uri", "") for u in root.iter(CATALOG + "uri")}
    reference = uris.get(href, "").removeprefix("#")
    for ref in root.iter(DS + "component-ref"):
        if ref.get("id") == reference:
            component_id = ref.get(XLINK + "href", "").removeprefix("#")
            for component in root.iterchildren(DS + "component"):
                if component.get("id") == component_id and len(component):
                    return component[0]
    raise InputError(f"{name}: its CPE dictionary points to {href!r}, which does not exist")


def _add_definition(oval: Element, system: DerivedSystem) -> str:
    """Add the inventory definition of a system to the OVAL definitions of the dictionary."""
    definition_id = _definition_id(system)
    definition = _build_definition(system, definition_id)
    criteria = etree.SubElement(definition, OVAL + "criteria", {"operator": "AND"})
    tests = _build_tests(system)
    for test in tests["tests"]:
        attributes = {"comment": test.get("comment", ""), "test_ref": test.get("id", "")}
        etree.SubElement(criteria, OVAL + "criterion", attributes)
    for section, elements in {"definitions": [definition], **tests}.items():
        for element in elements:
            _append(_provide_section(oval, section), element)
    return f"OVAL definition {definition_id}: {system.check}"


def _provide_section(oval: Element, section: str) -> Element:
    """Return a section of OVAL definitions; create it in the order of the schema."""
    existing = oval.find(OVAL + section)
    if existing is not None:
        return existing
    created = etree.Element(OVAL + section)
    created.text = created.tail = "\n"
    previous = [
        e for s in _SECTIONS[: _SECTIONS.index(section)] if (e := oval.find(OVAL + s)) is not None
    ]
    if previous:
        previous[-1].addnext(created)
    else:
        oval.insert(1, created)  # after the generator
    return created


def _definition_id(system: DerivedSystem) -> str:
    return f"oval:hardpan-{system.key}:def:1"


def _build_definition(system: DerivedSystem, definition_id: str) -> Element:
    definition = etree.Element(
        OVAL + "definition", {"id": definition_id, "version": "1", "class": "inventory"}
    )
    metadata = etree.SubElement(definition, OVAL + "metadata")
    etree.SubElement(metadata, OVAL + "title").text = system.title
    affected = etree.SubElement(metadata, OVAL + "affected", {"family": "unix"})
    etree.SubElement(affected, OVAL + "platform").text = system.title
    etree.SubElement(metadata, OVAL + "reference", {"ref_id": system.cpe, "source": "CPE"})
    etree.SubElement(
        metadata, OVAL + "description"
    ).text = f"The operating system installed on the system is {system.title}"
    return definition


def _build_tests(system: DerivedSystem) -> dict[str, list[Element]]:
    """Return section -> elements of a system's tests."""
    if isinstance(system.check, PackageCheck):
        return _build_package_test(system.key, system.check)
    sections: dict[str, list[Element]] = {"tests": [], "objects": []}
    for number, pattern in enumerate(system.check.patterns, 1):
        test_id, object_id = (f"oval:hardpan-{system.key}:{k}:{number}" for k in ("tst", "obj"))
        comment = f"a line of /etc/os-release matches {pattern}"
        test = _build_test(INDEPENDENT + "textfilecontent54_test", test_id, object_id, comment)
        content = etree.Element(
            INDEPENDENT + "textfilecontent54_object", {"id": object_id, "version": "1"}
        )
        etree.SubElement(content, INDEPENDENT + "filepath").text = "/etc/os-release"
        regex = etree.SubElement(content, INDEPENDENT + "pattern", {"operation": "pattern match"})
        regex.text = pattern
        instance = etree.SubElement(content, INDEPENDENT + "instance", {"datatype": "int"})
        instance.text = "1"
        sections["tests"].append(test)
        sections["objects"].append(content)
    return sections


def _build_package_test(key: str, check: PackageCheck) -> dict[str, list[Element]]:
    test_id, object_id, state_id = (f"oval:hardpan-{key}:{k}:1" for k in ("tst", "obj", "ste"))
    test = _build_test(LINUX + "rpminfo_test", test_id, object_id, str(check))
    etree.SubElement(test, LINUX + "state", {"state_ref": state_id})
    package = etree.Element(LINUX + "rpminfo_object", {"id": object_id, "version": "1"})
    etree.SubElement(package, LINUX + "name").text = check.package
    state = etree.Element(LINUX + "rpminfo_state", {"id": state_id, "version": "1"})
    version = etree.SubElement(state, LINUX + "version", {"operation": "pattern match"})
    version.text = check.version
    return {"tests": [test], "objects": [package], "states": [state]}


def _build_test(tag: str, test_id: str, object_id: str, comment: str) -> Element:
    test = etree.Element(
        tag,
        {
            "id": test_id,
            "version": "1",
            "check": "at least one",
            "check_existence": "at_least_one_exists",
            "comment": comment,
        },
    )
    namespace = etree.QName(test).namespace
    etree.SubElement(test, f"{{{namespace}}}object", {"object_ref": object_id})
    return test


def _add_item(item: Element, system: DerivedSystem) -> str:
    new_item = etree.Element(CPE_DICT + "cpe-item", {"name": system.cpe})
    title = etree.SubElement(new_item, CPE_DICT + "title")
    title.set("{http://www.w3.org/XML/1998/namespace}lang", "en-us")
    title.text = system.title
    upstream_check = item.find(CPE_DICT + "check")
    href = "" if upstream_check is None else upstream_check.get("href", "")
    check = etree.SubElement(new_item, CPE_DICT + "check", {"system": OVAL_SYSTEM, "href": href})
    check.text = _definition_id(system)
    parent = item.getparent()
    if parent is not None:
        _append(parent, new_item)
    return f"CPE dictionary: {system.cpe}, checked by {check.text}"


def _add_platform(bench: Element, upstream: str, system: DerivedSystem) -> str:
    platforms = bench.findall(XCCDF + "platform")
    upstream_platform = next(p for p in platforms if p.get("idref") == upstream)
    platform = etree.Element(XCCDF + "platform", {"idref": system.cpe})
    platform.tail = upstream_platform.tail
    upstream_platform.addnext(platform)
    return f"benchmark platform: {system.cpe}"


def _add_notice(bench: Element, systems: list[DerivedSystem]) -> str:
    notice = etree.Element(XCCDF + "notice", {"id": NOTICE_ID})
    notice.text = _NOTICE.format(names=", ".join(s.title for s in systems))
    anchor = bench.find(XCCDF + "notice")
    if anchor is None:
        anchor = bench.find(XCCDF + "description")
    if anchor is None:
        raise InputError("the benchmark has no description")
    notice.tail = anchor.tail
    anchor.addnext(notice)
    return f"benchmark notice: {notice.text}"


def _append(parent: Element, element: Element) -> None:
    """Append with a newline after it; oscap 1.3.7 crashes on lists without text."""
    etree.indent(element, space="  ")
    element.tail = "\n"
    parent.append(element)
