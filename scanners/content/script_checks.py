"""Evaluate rules that search all file systems by the content's script checks (SCE).

OVAL lists every file of all local file systems and builds an item for each, which is most of a
scan's time. The content has a script with ``find`` for the same rules. Without
``OSCAP_PREFERRED_ENGINE``, oscap evaluates the last check of a rule that it has an engine for
(``xccdf_policy.c``), so leaving out the OVAL check selects the script.

A script is another implementation of the rule: ``docs/scan.md`` lists the differences.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum

from hardpan.scanners.content.components import (
    find_local_hrefs,
    iter_elements,
    iter_oval_with_hrefs,
    iter_references,
)
from hardpan.scanners.content.oval_lists import UNIX
from hardpan.scanners.content.oval_optimize import searches_file_systems
from hardpan.scanners.content.scap_xml import (
    OVAL_SYSTEM,
    SCE_SYSTEM,
    XCCDF,
    Element,
    remove_element,
)


class CheckEngine(StrEnum):
    """What evaluates the rules that search all file systems and have both kinds of checks."""

    OVAL = "oval"
    SCE = "sce"


def select_script_checks(
    root: Element, bench: Element, rule_ids: Collection[str]
) -> tuple[str, ...]:
    """Remove the OVAL check of rules that search all file systems and have a script check.

    Changes the tree in place; returns which of ``rule_ids`` were changed, in the order of the
    benchmark. Rules whose check depends on a selector, on another rule or on a combination of
    checks are not changed.
    """
    searching_checks = _find_searching_checks(root)
    local_hrefs = find_local_hrefs(root)
    changed_ids = []
    for rule in bench.iter(XCCDF + "Rule"):
        rule_id = rule.get("id", "")
        check = _find_replaceable_check(rule, local_hrefs) if rule_id in rule_ids else None
        if check is not None and not searching_checks.isdisjoint(_references(check)):
            remove_element(check)
            changed_ids.append(rule_id)
    return tuple(changed_ids)


def _find_replaceable_check(rule: Element, local_hrefs: Collection[str]) -> Element | None:
    """Return the OVAL check if oscap evaluates it, and would evaluate a script without it."""
    checks = rule.findall(XCCDF + "check")
    is_plain = rule.find(XCCDF + "complex-check") is None and not rule.get("extends")
    if not is_plain or any(c.get("selector") for c in checks):
        return None
    automatic = [c for c in checks if c.get("system") in (OVAL_SYSTEM, SCE_SYSTEM)]
    if [c.get("system") for c in automatic] != [SCE_SYSTEM, OVAL_SYSTEM]:
        return None
    is_local = all(
        any(href in local_hrefs for href, _ in _references(check)) for check in automatic
    )
    return automatic[-1] if is_local else None


def _references(check: Element) -> frozenset[tuple[str, str]]:
    references = check.findall(XCCDF + "check-content-ref")
    return frozenset((r.get("href", ""), r.get("name", "")) for r in references)


def _find_searching_checks(root: Element) -> frozenset[tuple[str, str]]:
    """Return href and definition of the checks that search all local file systems."""
    return frozenset(
        (href, definition_id)
        for oval, hrefs in iter_oval_with_hrefs(root)
        for definition_id in _find_searching_definitions(oval)
        for href in hrefs
    )


def _find_searching_definitions(oval: Element) -> Iterator[str]:
    """Yield the definitions that refer, directly or not, to an object with such a search."""
    elements = {e.get("id", ""): e for e in iter_elements(oval)}
    users: dict[str, list[str]] = {}
    for element_id, element in elements.items():
        for used_id in iter_references(element, elements):
            users.setdefault(used_id, []).append(element_id)
    pending = [
        element_id
        for element_id, element in elements.items()
        if element.tag == UNIX + "file_object" and searches_file_systems(element)
    ]
    visited = set(pending)
    while pending:
        new_ids = [i for i in users.get(pending.pop(), ()) if i not in visited]
        visited.update(new_ids)
        pending += new_ids
    yield from (i for i in visited if elements[i].tag.endswith("}definition"))
