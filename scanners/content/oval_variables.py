"""Rules that must share one oscap process because of external variables of OVAL.

oscap loads each OVAL document once. A variable that one rule's check exports keeps its value for
the checks of later rules, and a definition that was evaluated without it keeps its result
(``src/OVAL/oval_agent.c``). So the result of a check that exports not all variables that its
definitions need depends on the other rules that export some.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from hardpan.scanners.content.components import (
    iter_elements,
    iter_oval_with_hrefs,
    iter_references,
)
from hardpan.scanners.content.scap_xml import OVAL, XCCDF, Element

RuleChecks = Mapping[str, Sequence[Element]]
"""Rule id -> its checks and complex checks."""


def connect_by_variables(root: Element, checks_by_rule: RuleChecks) -> tuple[tuple[str, ...], ...]:
    """Return groups of rule ids: for each OVAL document at most one, in the order of the rules."""
    groups = []
    for oval, hrefs in iter_oval_with_hrefs(root):
        needs = _find_needed_variables(oval)
        if needs:
            dependent_ids, exporting_ids = _classify_rules(checks_by_rule, hrefs, needs)
            if dependent_ids and exporting_ids:
                connected_ids = dependent_ids | exporting_ids
                groups.append(tuple(i for i in checks_by_rule if i in connected_ids))
    return tuple(groups)


def _find_needed_variables(oval: Element) -> dict[str, set[str]]:
    """Return id -> external variables that the element needs, directly or not."""
    elements = {e.get("id", ""): e for e in iter_elements(oval)}
    referrers: dict[str, list[str]] = defaultdict(list)
    for element_id, element in elements.items():
        for referenced_id in iter_references(element, elements):
            referrers[referenced_id].append(element_id)
    needs: dict[str, set[str]] = defaultdict(set)
    for variable in oval.iterfind(f"{OVAL}variables/{OVAL}external_variable"):
        variable_id = variable.get("id", "")
        pending = [variable_id]
        while pending:
            element_id = pending.pop()
            if variable_id not in needs[element_id]:
                needs[element_id].add(variable_id)
                pending += referrers[element_id]
    return needs


def _classify_rules(
    checks_by_rule: RuleChecks, hrefs: set[str], needs: Mapping[str, set[str]]
) -> tuple[set[str], set[str]]:
    """Return the rules that lack a variable, and the rules that export one."""
    all_needs = set().union(*needs.values())
    dependent_ids, exporting_ids = set(), set()
    for rule_id, checks in checks_by_rule.items():
        for check in _iter_checks(checks):
            refs = [
                r for r in check.iterchildren(XCCDF + "check-content-ref") if r.get("href") in hrefs
            ]
            if not refs:
                continue
            exports = {e.get("export-name") for e in check.iterchildren(XCCDF + "check-export")}
            if exports:
                exporting_ids.add(rule_id)
            names = [r.get("name") for r in refs]
            needed = [all_needs if n is None else needs.get(n, set()) for n in names]
            if not set().union(*needed) <= exports:
                dependent_ids.add(rule_id)
    return dependent_ids, exporting_ids


def _iter_checks(checks: Sequence[Element]) -> Iterator[Element]:
    for check in checks:
        yield from check.iter(XCCDF + "check")
