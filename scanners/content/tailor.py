"""Reduce a data stream to some rules of one profile, with unchanged verdicts.

oscap loads 29 MB of RHEL 9 content to evaluate one profile in ten. Everything that no retained
rule refers to is removed: other profiles, rules, fixes, references, OVAL
definitions and what they refer to, questionnaires, scripts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator

from hardpan.scanners.content.benchmark import find_profile, iter_selected_rules, referenced_ids
from hardpan.scanners.content.scap_xml import (
    CATALOG,
    DS,
    OCIL_SYSTEM,
    OVAL,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    XCCDF,
    XLINK,
    Element,
    find_benchmark,
    remove_element,
)

_OVAL_LISTS = ("definitions", "tests", "objects", "states", "variables")
_DESCRIPTIVE_CHILDREN = ("reference", "rationale", "warning", "fix", "fixtext", "ident")
"""Children of a rule that oscap does not evaluate; descriptions are mandatory."""


def tailor(
    root: Element, profile_id: str, name: str, *, only: Collection[str] | None = None
) -> None:
    """Reduce the tree in place to the profile, or to ``only`` these of its rules.

    Raises:
        InputError: there is no such profile.
    """
    bench = find_benchmark(root, name)
    profile_element = find_profile(bench, profile_id, name)
    retained_ids = _find_retained_rules(bench, profile_element, only)
    _remove_other_profiles(bench, profile_element, retained_ids)
    for rule in list(bench.iter(XCCDF + "Rule")):
        if rule.get("id") in retained_ids:
            _reduce_rule(rule, retained_ids)
        else:
            remove_element(rule)
    _remove_unused_groups(bench, retained_ids)
    _remove_front_matter(bench)
    names = {r.get("name", "") for r in bench.iter(XCCDF + "check-content-ref")}
    names |= {e.get("export-name", "") for e in bench.iter(XCCDF + "check-export")}
    _remove_unused_components(
        root, {r.get("href", "") for r in bench.iter(XCCDF + "check-content-ref")}
    )
    for component in oval_components(root):
        _remove_unused_oval(component, names)


def connected_rules(root: Element, profile_id: str, name: str) -> tuple[tuple[str, ...], ...]:
    """Return groups of rule ids that require or exclude one another."""
    bench = find_benchmark(root, name)
    rules = {
        r.get("id", ""): r
        for r in iter_selected_rules(bench, find_profile(bench, profile_id, name))
    }
    parent_by_id = {rule_id: rule_id for rule_id in rules}

    def find_root(rule_id: str) -> str:
        while parent_by_id[rule_id] != rule_id:
            rule_id = parent_by_id[rule_id]
        return rule_id

    for rule_id, rule in rules.items():
        for related_id in referenced_ids(rule, "requires", "conflicts"):
            if related_id in parent_by_id:
                parent_by_id[find_root(rule_id)] = find_root(related_id)
    groups: dict[str, list[str]] = defaultdict(list)
    for rule_id in rules:
        groups[find_root(rule_id)].append(rule_id)
    return tuple(tuple(ids) for ids in groups.values())


def _find_retained_rules(
    bench: Element, profile_element: Element, only: Collection[str] | None
) -> set[str]:
    rules = {r.get("id", ""): r for r in bench.iter(XCCDF + "Rule")}
    selected_ids = {r.get("id", "") for r in iter_selected_rules(bench, profile_element)}
    retained_ids = selected_ids if only is None else selected_ids & set(only)
    # A rule that is required but not selected must exist for oscap to report it.
    pending = set(retained_ids)
    while pending:
        pending = {
            i for k in pending for i in referenced_ids(rules[k], "requires") if i in rules
        } - retained_ids
        retained_ids |= pending
    return retained_ids


def _remove_other_profiles(
    bench: Element, profile_element: Element, retained_ids: set[str]
) -> None:
    for other_profile in bench.findall(XCCDF + "Profile"):
        if other_profile is not profile_element:
            remove_element(other_profile)
    if "extends" in profile_element.attrib:
        del profile_element.attrib["extends"]  # the content is resolved: nothing is inherited
    groups = {g.get("id") for g in bench.iter(XCCDF + "Group")}
    for selection in profile_element.findall(XCCDF + "select"):
        if selection.get("idref") not in retained_ids | groups:
            remove_element(selection)
    for selection in profile_element.findall(XCCDF + "refine-rule"):
        if selection.get("idref") not in retained_ids | groups:
            remove_element(selection)


def _reduce_rule(rule: Element, retained_ids: set[str]) -> None:
    for tag_name in _DESCRIPTIVE_CHILDREN:
        for child in rule.findall(XCCDF + tag_name):
            remove_element(child)
    for kind in ("requires", "conflicts"):
        for dependency in rule.findall(XCCDF + kind):
            # A removed rule is not selected, so there is no conflict with it.
            if not any(i in retained_ids for i in dependency.get("idref", "").split()):
                remove_element(dependency)
    checks = rule.findall(XCCDF + "check")
    systems = {c.get("system") for c in checks}
    for check in checks:
        # oscap uses the last check that it has an engine for: OVAL, if there is one.
        is_redundant_script = check.get("system") == SCE_SYSTEM and OVAL_SYSTEM in systems
        if check.get("system") == OCIL_SYSTEM or is_redundant_script:
            remove_element(check)


def _remove_unused_groups(bench: Element, retained_ids: set[str]) -> None:
    for group in reversed(list(bench.iter(XCCDF + "Group"))):
        if not any(r.get("id") in retained_ids for r in group.iter(XCCDF + "Rule")) and not any(
            True for _ in group.iter(XCCDF + "Value")
        ):
            remove_element(group)
        else:
            for tag_name in ("rationale", "warning", "reference"):
                for child in group.findall(XCCDF + tag_name):
                    remove_element(child)
    remaining_ids = {e.get("id") for kind in ("Rule", "Group") for e in bench.iter(XCCDF + kind)}
    for selection in list(bench.iter(XCCDF + "select", XCCDF + "refine-rule")):
        if selection.get("idref") not in remaining_ids:
            remove_element(selection)


def _remove_front_matter(bench: Element) -> None:
    for tag_name in ("reference", "rear-matter"):
        for child in bench.findall(XCCDF + tag_name):
            remove_element(child)


def _remove_unused_components(root: Element, hrefs: set[str]) -> None:
    """Remove components without references, and the references to them."""
    retained_refs = set()
    for uri in list(root.iter(CATALOG + "uri")):
        catalog_kind = _catalog_kind(uri)
        if uri.get("name") in hrefs or catalog_kind == "dictionaries":
            retained_refs.add(uri.get("uri", "").removeprefix("#"))
        else:
            remove_element(uri)
    targets = set()
    for ref in list(root.iter(DS + "component-ref")):
        if ref.get("id") in retained_refs or _catalog_kind(ref) != "checks":
            targets.add(ref.get(XLINK + "href", "").removeprefix("#"))
        else:
            remove_element(ref)
    for kind in ("component", "extended-component"):
        for component in root.findall(DS + kind):
            if component.get("id") not in targets:
                remove_element(component)


def _catalog_kind(element: Element) -> str:
    for ancestor in element.iterancestors():
        for kind in ("checks", "checklists", "dictionaries"):
            if ancestor.tag == DS + kind:
                return kind
    return ""


def oval_components(root: Element) -> Iterator[Element]:
    """Yield the OVAL documents of the checklist's rules, without those of the CPE dictionary."""
    refs = {r.get("id"): r.get(XLINK + "href", "") for r in root.iter(DS + "component-ref")}
    ids: dict[bool, set[str]] = {True: set(), False: set()}
    for uri in root.iter(CATALOG + "uri"):
        target = refs.get(uri.get("uri", "").removeprefix("#"), "").removeprefix("#")
        ids[_catalog_kind(uri) == "dictionaries"].add(target)
    for component in root.iterchildren(DS + "component"):
        if component.get("id") in ids[False] - ids[True] and len(component):
            yield component[0]


def _remove_unused_oval(oval: Element, names: set[str]) -> None:
    parts = [p for p in (oval.find(OVAL + k) for k in _OVAL_LISTS) if p is not None]
    elements = {e.get("id", ""): e for part in parts for e in part.iterchildren("{*}*")}
    retained_ids: set[str] = set()
    pending = [n for n in names if n in elements]
    while pending:
        retained_ids.update(pending)
        pending = [
            i
            for f in pending
            for i in _iter_references(elements[f], elements)
            if i not in retained_ids
        ]
        pending = list(dict.fromkeys(pending))
    for element_id, element in elements.items():
        if element_id not in retained_ids:
            remove_element(element)
    for part in parts:
        if not len(part):
            remove_element(part)


def _iter_references(element: Element, candidates: Collection[str]) -> Iterator[str]:
    """Yield ids of the same component that an element refers to, by attribute or by text."""
    for e in element.iter("{*}*"):
        for value in (*e.attrib.values(), (e.text or "").strip()):
            if value in candidates:
                yield str(value)
