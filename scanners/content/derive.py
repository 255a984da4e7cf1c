"""Derive content for EL systems that are not RHEL from RHEL content.

Upstream's rules first check for RHEL through the package ``redhat-release``. Without a change
every rule is ``notapplicable`` elsewhere. Added are: one CPE name per system, an inventory
definition that checks for that system's release package, and one platform line. The content does
not claim to be RHEL, no rule is changed, every reference stays.
"""

from dataclasses import dataclass

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.scap_xml import (
    CATALOG,
    CPE_DICT,
    DS,
    OVAL,
    OVAL_SYSTEM,
    XCCDF,
    XLINK,
    Element,
)
from hardpan.scanners.content.scap_xml import find_benchmark as find_benchmark

LINUX = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#linux}"
NOTICE_ID = "hardpan_derived_content"
_NOTICE = (
    "hardpan derived this content: it also applies to {names}. It was not reviewed, certified or "
    "endorsed for them by DISA, by Red Hat or by the ComplianceAsCode project."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedSystem:
    """One EL system that the content is extended to."""

    key: str
    """Part of the generated ids."""

    title: str
    cpe: str
    package: str
    """Release package that identifies the system."""

    version: str
    """Pattern for that package's version."""


def _rocky_system(major: int) -> DerivedSystem:
    return DerivedSystem(
        key=f"rocky{major}",
        title=f"Rocky Linux {major}",
        cpe=f"cpe:/o:rocky:rocky:{major}",
        package="rocky-release",
        version=rf"^{major}(\..*)?$",
    )


def _lab_system(major: int) -> DerivedSystem:
    return DerivedSystem(
        key=f"hardpan_lab{major}",
        title=f"hardpan lab {major}",
        cpe=f"cpe:/o:hardpan:lab:{major}",
        package="hardpan-lab-release",
        version=rf"^{major}(\..*)?$",
    )


SYSTEMS = {
    "cpe:/o:redhat:enterprise_linux:9": (_rocky_system(9), _lab_system(9)),
    "cpe:/o:redhat:enterprise_linux:10": (_rocky_system(10), _lab_system(10)),
}
"""CPE of upstream's content -> systems that it is extended to."""


def derive(root: Element, name: str) -> tuple[str, ...]:
    """Change the tree in place; return the additions, one line each.

    Content that is for none of the known systems is unchanged: empty tuple.

    Raises:
        InputError: the content is for RHEL, but has no CPE dictionary to extend.
    """
    bench = find_benchmark(root, name)
    platforms = [p.get("idref", "") for p in bench.findall(XCCDF + "platform")]
    upstream = next((p for p in platforms if p in SYSTEMS), None)
    if upstream is None:
        return ()
    systems = [s for s in SYSTEMS[upstream] if s.cpe not in platforms]
    item, oval = _dictionary_item(root, upstream, name)
    added: list[str] = []
    for system in systems:
        added += _add_definition(oval, system)
        added.append(_add_item(item, system))
        added.append(_add_platform(bench, upstream, system))
    if added:
        added.append(_add_notice(bench, systems))
    return tuple(added)


def _dictionary_item(root: Element, cpe: str, name: str) -> tuple[Element, Element]:
    item = next((i for i in root.iter(CPE_DICT + "cpe-item") if i.get("name") == cpe), None)
    check = None if item is None else item.find(CPE_DICT + "check")
    if item is None or check is None:
        raise InputError(f"{name}: its CPE dictionary has no {cpe}")
    return item, _find_component(root, check.get("href", ""), name)


def _find_component(root: Element, href: str, name: str) -> Element:
    """Return the OVAL definitions that ``href`` refers to through the dictionary's catalogue."""
    uris = {u.get("name"): u.get("uri", "") for u in root.iter(CATALOG + "uri")}
    reference = uris.get(href, "").removeprefix("#")
    for ref in root.iter(DS + "component-ref"):
        if ref.get("id") == reference:
            component_id = ref.get(XLINK + "href", "").removeprefix("#")
            for component in root.iterchildren(DS + "component"):
                if component.get("id") == component_id and len(component):
                    return component[0]
    raise InputError(f"{name}: its CPE dictionary points to {href!r}, which does not exist")


def _add_definition(oval: Element, system: DerivedSystem) -> list[str]:
    ids = {k: f"oval:hardpan-{system.key}:{k}:1" for k in ("def", "tst", "obj", "ste")}
    parts = {
        "definitions": _build_definition(system, ids),
        "tests": _build_test(system, ids),
        "objects": _build_object(system, ids),
        "states": _build_state(system, ids),
    }
    lines = []
    for section, element in parts.items():
        parent = oval.find(OVAL + section)
        if parent is None:
            raise InputError(f"the CPE component has no <{section}>")
        _append(parent, element)
        lines.append(f"{section}: {element.get('id')} ({system.package} {system.version})")
    return lines


def _build_definition(system: DerivedSystem, ids: dict[str, str]) -> Element:
    definition = etree.Element(
        OVAL + "definition", {"id": ids["def"], "version": "1", "class": "inventory"}
    )
    metadata = etree.SubElement(definition, OVAL + "metadata")
    etree.SubElement(metadata, OVAL + "title").text = system.title
    affected = etree.SubElement(metadata, OVAL + "affected", {"family": "unix"})
    etree.SubElement(affected, OVAL + "platform").text = system.title
    etree.SubElement(metadata, OVAL + "reference", {"ref_id": system.cpe, "source": "CPE"})
    etree.SubElement(
        metadata, OVAL + "description"
    ).text = f"The operating system installed on the system is {system.title}"
    criteria = etree.SubElement(definition, OVAL + "criteria", {"operator": "AND"})
    attributes = {"comment": f"{system.package} is installed", "test_ref": ids["tst"]}
    etree.SubElement(criteria, OVAL + "criterion", attributes)
    return definition


def _build_test(system: DerivedSystem, ids: dict[str, str]) -> Element:
    test = etree.Element(
        LINUX + "rpminfo_test",
        {
            "id": ids["tst"],
            "version": "1",
            "check": "at least one",
            "check_existence": "at_least_one_exists",
            "comment": f"{system.package} has a version like {system.version}",
        },
    )
    etree.SubElement(test, LINUX + "object", {"object_ref": ids["obj"]})
    etree.SubElement(test, LINUX + "state", {"state_ref": ids["ste"]})
    return test


def _build_object(system: DerivedSystem, ids: dict[str, str]) -> Element:
    element = etree.Element(LINUX + "rpminfo_object", {"id": ids["obj"], "version": "1"})
    etree.SubElement(element, LINUX + "name").text = system.package
    return element


def _build_state(system: DerivedSystem, ids: dict[str, str]) -> Element:
    state = etree.Element(LINUX + "rpminfo_state", {"id": ids["ste"], "version": "1"})
    pattern = {"operation": "pattern match"}
    etree.SubElement(state, LINUX + "version", pattern).text = system.version
    return state


def _add_item(item: Element, system: DerivedSystem) -> str:
    new_item = etree.Element(CPE_DICT + "cpe-item", {"name": system.cpe})
    title = etree.SubElement(new_item, CPE_DICT + "title")
    title.set("{http://www.w3.org/XML/1998/namespace}lang", "en-us")
    title.text = system.title
    upstream_check = item.find(CPE_DICT + "check")
    href = "" if upstream_check is None else upstream_check.get("href", "")
    check = etree.SubElement(new_item, CPE_DICT + "check", {"system": OVAL_SYSTEM, "href": href})
    check.text = f"oval:hardpan-{system.key}:def:1"
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
    notice.text = _NOTICE.format(names=" and ".join(s.title for s in systems))
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
