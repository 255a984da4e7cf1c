"""Reduce a data stream to some rules of one profile, with unchanged verdicts.

oscap loads 29 MB of RHEL 9 content to evaluate one profile in ten. What no retained rule refers
to is removed: other profiles, rules, fixes, references, OVAL definitions and what they refer to,
questionnaires, scripts. Rules that the profile does not select stay without checks in one part, so
that one that hardpan deselects wrongly is noticed. The profile stays as it is, with the profiles
that it extends: oscap resolves it, and hardpan compares oscap's resolution with its own.
"""

from collections.abc import Collection

from hardpan.scanners.content.benchmark import resolve_profile
from hardpan.scanners.content.components import (
    find_check_hrefs,
    find_local_hrefs,
    remove_unused_components,
)
from hardpan.scanners.content.dependencies import connect_items, merge_groups
from hardpan.scanners.content.oval_variables import connect_by_variables
from hardpan.scanners.content.resolve import ResolvedProfile
from hardpan.scanners.content.scap_xml import (
    OCIL_SYSTEM,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    XCCDF,
    Element,
    find_benchmark,
    remove_element,
)

_DESCRIPTIVE_CHILDREN = ("reference", "rationale", "warning", "fix", "fixtext", "ident")
"""Children of a rule that oscap does not evaluate; descriptions are mandatory."""

_DECISIVE_CHILDREN = tuple(XCCDF + tag for tag in ("title", "requires", "conflicts"))
"""Children of a rule that oscap does not evaluate: its title is printed."""

IdGroups = tuple[tuple[str, ...], ...]
"""Groups of ids of items that decide about one another."""

_MAX_UNSELECTED = 3000
"""Upstream's content has 1,100 rules that a profile does not select; an ARF is limited, too."""


def tailor(
    root: Element,
    profile_id: str,
    name: str,
    *,
    only: Collection[str] | None = None,
    has_unselected: bool = True,
    benchmark_id: str = "",
) -> ResolvedProfile:
    """Reduce the tree in place to the profile, or to ``only`` these of its rules.

    Returns the profile as it was resolved before.

    With ``has_unselected``, the rules that are not expected to be evaluated stay, without checks:
    oscap then reports those that it selects.

    Raises:
        InputError: there is no such profile, or oscap would refuse it.
    """
    bench = find_benchmark(root, name, benchmark_id)
    resolved = resolve_profile(bench, profile_id, name)
    connected = connect_items(resolved.items)
    retained_ids = _find_retained_items(resolved, connected, only)
    unselected_ids = _find_unselected_items(resolved, connected) if has_unselected else set()
    for profile in bench.findall(XCCDF + "Profile"):
        if profile not in resolved.lineage:
            remove_element(profile)
    original_hrefs = find_check_hrefs(bench)
    local_hrefs = find_local_hrefs(root)
    for rule in list(bench.iter(XCCDF + "Rule")):
        if rule.get("id") in retained_ids:
            _reduce_rule(rule, local_hrefs)
        elif rule.get("id") in unselected_ids:
            _strip_rule(rule)
        else:
            remove_element(rule)
    _remove_unused_groups(bench, retained_ids | unselected_ids)
    _remove_dangling_settings(bench, resolved)
    for tag_name in ("reference", "rear-matter"):
        for child in bench.findall(XCCDF + tag_name):
            remove_element(child)
    remove_unused_components(root, bench, original_hrefs)
    return resolved


def connected_rules(root: Element, resolved: ResolvedProfile) -> tuple[tuple[str, ...], ...]:
    """Return groups of evaluated rules that one oscap process must have together."""
    checks_by_rule = {r.item.item_id: r.item.checks() for r in resolved.rules}
    groups = (tuple(i for i in ids if i in checks_by_rule) for ids in connect_items(resolved.items))
    return merge_groups((ids for ids in groups if ids), connect_by_variables(root, checks_by_rule))


def _find_retained_items(
    resolved: ResolvedProfile, connected: IdGroups, only: Collection[str] | None
) -> set[str]:
    """Return the rules to evaluate, and all items that decide whether oscap evaluates them."""
    evaluated = {r.item.item_id for r in resolved.rules}
    requested = evaluated if only is None else evaluated & set(only)
    return {i for ids in connected if not requested.isdisjoint(ids) for i in ids}


def _find_unselected_items(resolved: ResolvedProfile, connected: IdGroups) -> set[str]:
    """Return the items that decide about no rule that is evaluated."""
    evaluated = {r.item.item_id for r in resolved.rules}
    unselected = {i for ids in connected if evaluated.isdisjoint(ids) for i in ids}
    return unselected if len(unselected) <= _MAX_UNSELECTED else set()


def _strip_rule(rule: Element) -> None:
    """Remove what does not decide whether a rule is selected."""
    for child in list(rule):
        if child.tag not in _DECISIVE_CHILDREN:
            remove_element(child)


def _reduce_rule(rule: Element, local_hrefs: Collection[str]) -> None:
    for tag_name in _DESCRIPTIVE_CHILDREN:
        for child in rule.findall(XCCDF + tag_name):
            remove_element(child)
    checks = rule.findall(XCCDF + "check")
    if any(c.get("selector") for c in checks) or rule.get("extends"):
        return  # which checks are candidates depends on the checks that have a selector
    automatic = [c for c in checks if c.get("system") != OCIL_SYSTEM]
    # oscap uses the last check that it has an engine for; it has one for OVAL if it loads any.
    is_oval_last = bool(automatic) and _is_local_oval(automatic[-1], local_hrefs)
    for check in checks:
        is_redundant_script = is_oval_last and check.get("system") == SCE_SYSTEM
        if check.get("system") == OCIL_SYSTEM or is_redundant_script:
            remove_element(check)


def _is_local_oval(check: Element, local_hrefs: Collection[str]) -> bool:
    is_local = any(r.get("href") in local_hrefs for r in check.findall(XCCDF + "check-content-ref"))
    return check.get("system") == OVAL_SYSTEM and is_local


def _remove_unused_groups(bench: Element, retained_ids: set[str]) -> None:
    for group in reversed(list(bench.iter(XCCDF + "Group"))):
        is_used = group.get("id") in retained_ids or any(
            True for _ in group.iterdescendants(XCCDF + "Rule", XCCDF + "Value", XCCDF + "Group")
        )
        if not is_used:
            remove_element(group)
            continue
        # A group that decides about no rule may have values, but what it refers to is removed.
        decisive = () if group.get("id") in retained_ids else ("requires", "conflicts")
        for tag_name in ("rationale", "warning", "reference", *decisive):
            for child in group.findall(XCCDF + tag_name):
                remove_element(child)


def _remove_dangling_settings(bench: Element, resolved: ResolvedProfile) -> None:
    """Remove settings of removed items. Those of clusters, and of nothing, stay."""
    remaining_ids = {e.get("id") for e in bench.iter(XCCDF + "Rule", XCCDF + "Group")}
    for setting in list(bench.iter(XCCDF + "select", XCCDF + "refine-rule")):
        item = resolved.items.get(setting.get("idref", ""))
        if item is not None and item.kind != "Value" and item.item_id not in remaining_ids:
            remove_element(setting)
