"""Components of a data stream: which ones its benchmark uses, and which parts of them."""

from collections.abc import Collection, Iterator, Mapping

from hardpan.scanners.content.scap_xml import (
    CATALOG,
    DS,
    OVAL,
    XCCDF,
    XLINK,
    Element,
    element_text,
    remove_element,
)

_OVAL_LISTS = ("definitions", "tests", "objects", "states", "variables")


def find_check_hrefs(bench: Element) -> frozenset[str]:
    """Return the hrefs that checks of the benchmark refer to."""
    return frozenset(r.get("href", "") for r in bench.iter(XCCDF + "check-content-ref"))


def remove_unused_components(
    root: Element, bench: Element, original_hrefs: Collection[str]
) -> None:
    """Remove what no check of the benchmark refers to, in place.

    ``original_hrefs`` are those of the checks before any were removed. A script that was never the
    script of a check may be loaded by one that remains, under a name that it computes. The OVAL
    component of a reference without a name stays complete: the reference means all of
    its definitions.
    """
    refs = list(bench.iter(XCCDF + "check-content-ref"))
    _remove_unreferenced(root, {r.get("href", "") for r in refs}, original_hrefs)
    names = {r.get("name", "") for r in refs}
    names |= {e.get("export-name", "") for e in bench.iter(XCCDF + "check-export")}
    complete_ids = {
        component_id
        for component_id, hrefs in _find_hrefs(root).items()
        if any(r.get("name") is None and r.get("href") in hrefs for r in refs)
    }
    for component in list(_iter_oval_components(root)):
        if component.get("id") not in complete_ids:
            _remove_unused_oval(component[0], names)


def oval_components(root: Element) -> Iterator[Element]:
    """Yield the OVAL documents of the checklist's rules, without those of the CPE dictionary."""
    yield from (component[0] for component in _iter_oval_components(root))


def iter_oval_with_hrefs(root: Element) -> Iterator[tuple[Element, set[str]]]:
    """Yield the OVAL documents of the checklist's rules with the hrefs that mean them."""
    hrefs = _find_hrefs(root)
    for component in _iter_oval_components(root):
        yield component[0], hrefs.get(component.get("id", ""), set())


def find_local_hrefs(root: Element) -> frozenset[str]:
    """Return the hrefs of checks that mean a component of the collection, not a remote one."""
    component_ids = _components_by_id(root)
    return frozenset(
        href for key, hrefs in _find_hrefs(root).items() if key in component_ids for href in hrefs
    )


def _iter_index(root: Element, tag: str) -> Iterator[Element]:
    """Yield elements of the data streams, which refer to the components."""
    for data_stream in root.iterchildren(DS + "data-stream"):
        yield from data_stream.iter(tag)


def _components_by_id(root: Element) -> dict[str, Element]:
    kinds = (DS + "component", DS + "extended-component")
    return {c.get("id", ""): c for c in root.iterchildren(*kinds)}


def _find_hrefs(root: Element) -> Mapping[str, set[str]]:
    """Return component id -> hrefs by which the checklist's checks refer to it."""
    targets = {
        r.get("id", ""): r.get(XLINK + "href", "").removeprefix("#")
        for r in _iter_index(root, DS + "component-ref")
    }
    hrefs: dict[str, set[str]] = {}
    for uri in _iter_index(root, CATALOG + "uri"):
        target = targets.get(uri.get("uri", "").removeprefix("#"), "")
        if _catalog_kind(uri) != "dictionaries":
            hrefs.setdefault(target, set()).add(uri.get("name", ""))
    return hrefs


def _iter_oval_components(root: Element) -> Iterator[Element]:
    refs = {r.get("id"): r.get(XLINK + "href", "") for r in _iter_index(root, DS + "component-ref")}
    ids: dict[bool, set[str]] = {True: set(), False: set()}
    for uri in _iter_index(root, CATALOG + "uri"):
        target = refs.get(uri.get("uri", "").removeprefix("#"), "").removeprefix("#")
        ids[_catalog_kind(uri) == "dictionaries"].add(target)
    for component in root.iterchildren(DS + "component"):
        is_oval = len(component) > 0 and component[0].tag == OVAL + "oval_definitions"
        if is_oval and component.get("id") in ids[False] - ids[True]:
            yield component


def _remove_unreferenced(root: Element, hrefs: set[str], original_hrefs: Collection[str]) -> None:
    """Remove components that no href means, and the references to them."""
    hrefs = _add_script_references(root, hrefs, original_hrefs)
    retained_refs = set()
    for uri in list(_iter_index(root, CATALOG + "uri")):
        if uri.get("name") in hrefs or _catalog_kind(uri) != "checklists":
            retained_refs.add(uri.get("uri", "").removeprefix("#"))
        else:
            remove_element(uri)
    targets = set()
    for ref in list(_iter_index(root, DS + "component-ref")):
        if ref.get("id") in retained_refs or _catalog_kind(ref) != "checks":
            targets.add(ref.get(XLINK + "href", "").removeprefix("#"))
        else:
            remove_element(ref)
    for component_id, component in _components_by_id(root).items():
        if component_id not in targets:
            remove_element(component)


def _add_script_references(
    root: Element, hrefs: set[str], original_hrefs: Collection[str]
) -> set[str]:
    """Add the scripts that a script may load: oscap writes all into one folder.

    These are the scripts that it names, and those that are not a check's.
    """
    hrefs_by_id = _find_hrefs(root)
    scripts = {
        href: element_text(component)
        for component in root.iterchildren(DS + "extended-component")
        for href in hrefs_by_id.get(component.get("id", ""), ())
    }
    pending = [h for h in hrefs if h in scripts]
    if not pending:
        return hrefs
    pending += [h for h in scripts if h not in original_hrefs]
    complete = {*hrefs, *pending}
    while pending:
        text = scripts[pending.pop()]
        new = {h for h in scripts if h not in complete and h.rpartition("/")[2] in text}
        complete |= new
        pending += new
    return complete


def _catalog_kind(element: Element) -> str:
    for ancestor in element.iterancestors():
        for kind in ("checks", "checklists", "dictionaries"):
            if ancestor.tag == DS + kind:
                return kind
    return ""


def _remove_unused_oval(oval: Element, names: set[str]) -> None:
    elements = {e.get("id", ""): e for e in iter_elements(oval)}
    retained_ids: set[str] = set()
    pending = [n for n in names if n in elements]
    while pending:
        retained_ids.update(pending)
        pending = [
            i
            for f in pending
            for i in iter_references(elements[f], elements)
            if i not in retained_ids
        ]
        pending = list(dict.fromkeys(pending))
    for element_id, element in elements.items():
        if element_id not in retained_ids:
            remove_element(element)
    for part in _iter_lists(oval):
        if not len(part):
            remove_element(part)


def iter_elements(oval: Element) -> Iterator[Element]:
    """Yield the definitions, tests, objects, states and variables of an OVAL document."""
    for part in _iter_lists(oval):
        yield from part.iterchildren("{*}*")


def _iter_lists(oval: Element) -> Iterator[Element]:
    parts = [oval.find(OVAL + kind) for kind in _OVAL_LISTS]
    yield from (part for part in parts if part is not None)


def iter_references(element: Element, candidates: Collection[str]) -> Iterator[str]:
    """Yield ids of the same component that an element refers to, by attribute or by text."""
    for e in element.iter("{*}*"):
        for value in (*e.attrib.values(), (e.text or "").strip()):
            if value in candidates:
                yield str(value)


def index_references(oval: Element) -> dict[str, list[Element]]:
    """Return id -> elements of an OVAL document that refer to it, in document order."""
    ids = {e.get("id", "") for e in iter_elements(oval)}
    references: dict[str, list[Element]] = {}
    for element in oval.iter("{*}*"):
        values = {str(v) for name, v in element.attrib.items() if name != "id"}
        for value in (values | {(element.text or "").strip()}) & ids:
            references.setdefault(value, []).append(element)
    return references
