"""Cuts a data stream down to some rules of one profile; verdicts stay the same.

oscap loads 29 MB of RHEL 9 content to evaluate one profile in ten. What no kept
rule refers to is left out: other profiles, rules, fixes, references, OVAL
definitions and all that hangs on them, questionnaires, scripts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator

from hardpan.scanners.content.benchmark import idrefs, profile, selected
from hardpan.scanners.content.xml import (
    CATALOG,
    DS,
    OCIL_SYSTEM,
    OVAL,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    XCCDF,
    XLINK,
    Element,
    benchmark,
    remove,
)

_OVAL_LISTS = ("definitions", "tests", "objects", "states", "variables")
_WORDS_ONLY = ("reference", "rationale", "warning", "fix", "fixtext", "ident")
"""Children of a rule that oscap does not need to judge it; descriptions are mandatory."""


def slim(root: Element, profile_id: str, name: str, *, only: Collection[str] | None = None) -> None:
    """Cut the tree in place down to the profile, or to ``only`` these of its rules.

    Raises:
        InputError: there is no such profile.
    """
    bench = benchmark(root, name)
    chosen = profile(bench, profile_id, name)
    kept = _kept(bench, chosen, only)
    _cut_profiles(bench, chosen, kept)
    for rule in list(bench.iter(XCCDF + "Rule")):
        if rule.get("id") in kept:
            _cut_rule(rule, kept)
        else:
            remove(rule)
    _cut_groups(bench, kept)
    _cut_front(bench)
    names = {r.get("name", "") for r in bench.iter(XCCDF + "check-content-ref")}
    names |= {e.get("export-name", "") for e in bench.iter(XCCDF + "check-export")}
    _cut_components(root, {r.get("href", "") for r in bench.iter(XCCDF + "check-content-ref")})
    for component in oval_components(root):
        _cut_oval(component, names)


def together(root: Element, profile_id: str, name: str) -> tuple[tuple[str, ...], ...]:
    """Rule ids that must stay in one data stream, for one requires or rules out another."""
    bench = benchmark(root, name)
    rules = {r.get("id", ""): r for r in selected(bench, profile(bench, profile_id, name))}
    group = {rule_id: rule_id for rule_id in rules}

    def top(rule_id: str) -> str:
        while group[rule_id] != rule_id:
            rule_id = group[rule_id]
        return rule_id

    for rule_id, rule in rules.items():
        for other in idrefs(rule, "requires", "conflicts"):
            if other in group:
                group[top(rule_id)] = top(other)
    found: dict[str, list[str]] = defaultdict(list)
    for rule_id in rules:
        found[top(rule_id)].append(rule_id)
    return tuple(tuple(ids) for ids in found.values())


def _kept(bench: Element, chosen: Element, only: Collection[str] | None) -> set[str]:
    rules = {r.get("id", ""): r for r in bench.iter(XCCDF + "Rule")}
    wanted = {r.get("id", "") for r in selected(bench, chosen)}
    kept = wanted if only is None else wanted & set(only)
    # A rule that is required but not selected must be there to be found not selected.
    fresh = set(kept)
    while fresh:
        fresh = {i for k in fresh for i in idrefs(rules[k], "requires") if i in rules} - kept
        kept |= fresh
    return kept


def _cut_profiles(bench: Element, chosen: Element, kept: set[str]) -> None:
    for other in bench.findall(XCCDF + "Profile"):
        if other is not chosen:
            remove(other)
    if "extends" in chosen.attrib:
        del chosen.attrib["extends"]  # the content is resolved: it says everything itself
    groups = {g.get("id") for g in bench.iter(XCCDF + "Group")}
    for line in chosen.findall(XCCDF + "select"):
        if line.get("idref") not in kept | groups:
            remove(line)
    for line in chosen.findall(XCCDF + "refine-rule"):
        if line.get("idref") not in kept | groups:
            remove(line)


def _cut_rule(rule: Element, kept: set[str]) -> None:
    for word in _WORDS_ONLY:
        for child in rule.findall(XCCDF + word):
            remove(child)
    for kind in ("requires", "conflicts"):
        for link in rule.findall(XCCDF + kind):
            # What is left out is not selected, and a conflict with that is none.
            if not any(i in kept for i in link.get("idref", "").split()):
                remove(link)
    checks = rule.findall(XCCDF + "check")
    systems = {c.get("system") for c in checks}
    for check in checks:
        # oscap takes the last check it has an engine for: OVAL, where there is one.
        scripted = check.get("system") == SCE_SYSTEM and OVAL_SYSTEM in systems
        if check.get("system") == OCIL_SYSTEM or scripted:
            remove(check)


def _cut_groups(bench: Element, kept: set[str]) -> None:
    for group in reversed(list(bench.iter(XCCDF + "Group"))):
        if not any(r.get("id") in kept for r in group.iter(XCCDF + "Rule")) and not any(
            True for _ in group.iter(XCCDF + "Value")
        ):
            remove(group)
        else:
            for word in ("rationale", "warning", "reference"):
                for child in group.findall(XCCDF + word):
                    remove(child)
    there = {e.get("id") for kind in ("Rule", "Group") for e in bench.iter(XCCDF + kind)}
    for line in list(bench.iter(XCCDF + "select", XCCDF + "refine-rule")):
        if line.get("idref") not in there:
            remove(line)


def _cut_front(bench: Element) -> None:
    for word in ("reference", "rear-matter"):
        for child in bench.findall(XCCDF + word):
            remove(child)


def _cut_components(root: Element, hrefs: set[str]) -> None:
    """Drop the components that nothing refers to any more, and what points to them."""
    wanted = set()
    for uri in list(root.iter(CATALOG + "uri")):
        owner = _owner(uri)
        if uri.get("name") in hrefs or owner == "dictionaries":
            wanted.add(uri.get("uri", "").removeprefix("#"))
        else:
            remove(uri)
    targets = set()
    for ref in list(root.iter(DS + "component-ref")):
        if ref.get("id") in wanted or _owner(ref) != "checks":
            targets.add(ref.get(XLINK + "href", "").removeprefix("#"))
        else:
            remove(ref)
    for kind in ("component", "extended-component"):
        for component in root.findall(DS + kind):
            if component.get("id") not in targets:
                remove(component)


def _owner(element: Element) -> str:
    for above in element.iterancestors():
        for kind in ("checks", "checklists", "dictionaries"):
            if above.tag == DS + kind:
                return kind
    return ""


def oval_components(root: Element) -> Iterator[Element]:
    """The OVAL documents of the checklist's rules, without those of the CPE dictionary."""
    refs = {r.get("id"): r.get(XLINK + "href", "") for r in root.iter(DS + "component-ref")}
    ids: dict[bool, set[str]] = {True: set(), False: set()}
    for uri in root.iter(CATALOG + "uri"):
        target = refs.get(uri.get("uri", "").removeprefix("#"), "").removeprefix("#")
        ids[_owner(uri) == "dictionaries"].add(target)
    for component in root.iterchildren(DS + "component"):
        if component.get("id") in ids[False] - ids[True] and len(component):
            yield component[0]


def _cut_oval(oval: Element, names: set[str]) -> None:
    parts = [p for p in (oval.find(OVAL + k) for k in _OVAL_LISTS) if p is not None]
    elements = {e.get("id", ""): e for part in parts for e in part.iterchildren("{*}*")}
    kept: set[str] = set()
    fresh = [n for n in names if n in elements]
    while fresh:
        kept.update(fresh)
        fresh = [i for f in fresh for i in _mentions(elements[f], elements) if i not in kept]
        fresh = list(dict.fromkeys(fresh))
    for element_id, element in elements.items():
        if element_id not in kept:
            remove(element)
    for part in parts:
        if not len(part):
            remove(part)


def _mentions(element: Element, known: Collection[str]) -> Iterator[str]:
    """Ids of the same component that an element refers to, by attribute or by text."""
    for e in element.iter("{*}*"):
        for value in (*e.attrib.values(), (e.text or "").strip()):
            if value in known:
                yield str(value)
