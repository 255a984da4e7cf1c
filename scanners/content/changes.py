"""What changed between two data streams, rule by rule.

A rule's check is compared with everything that it refers to: upstream changes an OVAL
test far more often than the definition that a rule names. What hardpan does not use is
left out: OCIL questions, and fixes in other languages than bash.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.content.benchmark import full_profile_id, idrefs, profile, selected
from hardpan.scanners.content.remedies import BASH, resolved
from hardpan.scanners.content.xml import (
    CATALOG,
    DS,
    OCIL_SYSTEM,
    OVAL,
    XCCDF,
    XLINK,
    Element,
    benchmark,
    text,
)

WORDING = frozenset({"title", "description", "references"})
"""Aspects that no verdict depends on."""

_PROSE = ("description", "rationale", "warning", "fixtext")
_SAID_ONLY = frozenset({OVAL + "metadata"})
_SAID_ONLY_ATTRIBUTES = frozenset({"comment", "version"})

Aspects = dict[str, object]
"""Name of an aspect of a rule -> something that is equal where the aspect is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRule:
    """One rule that is new, gone or another."""

    rule_id: str
    title: str
    in_profile: bool
    """True when the profile selects it, before or after."""

    aspects: tuple[str, ...] = ()
    """What of it differs; empty for a rule that is new or gone."""

    @property
    def is_wording(self) -> bool:
        """True when no verdict can differ by it."""
        return bool(self.aspects) and WORDING.issuperset(self.aspects)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentChanges:
    """What changed from a baseline to the current data stream; rules in document order."""

    profile_id: str
    baseline_rules: int
    """Rules in the benchmark, selected or not."""

    current_rules: int
    baseline_selected: int
    current_selected: int
    added: tuple[ChangedRule, ...]
    removed: tuple[ChangedRule, ...]
    changed: tuple[ChangedRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    title: str
    is_selected: bool
    aspects: Aspects


def compare(baseline: Element, current: Element, profile_name: str, *, name: str) -> ContentChanges:
    """What changed from ``baseline`` to ``current``, as far as a profile is concerned.

    Raises:
        InputError: one of them has no benchmark or no such profile.
    """
    profile_id = full_profile_id(profile_name)
    old, new = (_rules(root, profile_id, name) for root in (baseline, current))
    return ContentChanges(
        profile_id=profile_id,
        baseline_rules=len(old),
        current_rules=len(new),
        baseline_selected=sum(r.is_selected for r in old.values()),
        current_selected=sum(r.is_selected for r in new.values()),
        added=tuple(_whole(i, r) for i, r in new.items() if i not in old),
        removed=tuple(_whole(i, r) for i, r in old.items() if i not in new),
        changed=tuple(_changed(old, new)),
    )


def _whole(rule_id: str, rule: _Rule) -> ChangedRule:
    return ChangedRule(rule_id=rule_id, title=rule.title, in_profile=rule.is_selected)


def _changed(old: dict[str, _Rule], new: dict[str, _Rule]) -> Iterator[ChangedRule]:
    for rule_id, now in new.items():
        before = old.get(rule_id)
        if before is None:
            continue
        aspects = tuple(k for k, v in now.aspects.items() if v != before.aspects[k])
        if aspects:
            in_profile = now.is_selected or before.is_selected
            yield ChangedRule(
                rule_id=rule_id, title=now.title, in_profile=in_profile, aspects=aspects
            )


def _rules(root: Element, profile_id: str, name: str) -> dict[str, _Rule]:
    bench = benchmark(root, name)
    chosen = profile(bench, profile_id, name)
    in_profile = {r.get("id", "") for r in selected(bench, chosen)}
    values = resolved(bench, chosen)
    checks = _Checks(root)
    return {
        rule_id: _Rule(
            title=text(rule.find(XCCDF + "title")),
            is_selected=rule_id in in_profile,
            aspects=_aspects(rule, rule_id in in_profile, values, checks),
        )
        for rule in bench.iter(XCCDF + "Rule")
        if (rule_id := rule.get("id", ""))
    }


def _aspects(
    rule: Element, is_selected: bool, values: dict[str, str], checks: "_Checks"
) -> Aspects:
    fixes = [f for f in rule.findall(XCCDF + "fix") if f.get("system") in BASH]
    used = {e.get("value-id", "") for e in rule.iter(XCCDF + "check-export")}
    used |= {s.get("idref", "") for fix in fixes for s in fix.iter(XCCDF + "sub")}
    references = rule.findall(XCCDF + "reference")
    return {
        "selection": is_selected,
        "title": text(rule.find(XCCDF + "title")),
        "severity": rule.get("severity", "unknown"),
        "weight": float(rule.get("weight", "1")),
        "description": [text(e) for kind in _PROSE for e in rule.findall(XCCDF + kind)],
        "references": sorted(
            [(r.get("href", ""), text(r)) for r in references]
            + [(i.get("system", ""), text(i)) for i in rule.findall(XCCDF + "ident")]
        ),
        "platforms": sorted(p.get("idref", "") for p in rule.findall(XCCDF + "platform")),
        "dependencies": [idrefs(rule, "requires"), idrefs(rule, "conflicts")],
        "check": [checks.digest(c) for c in rule.iter(XCCDF + "check")],
        "fix": [_canonical(f) for f in fixes],
        # Within one hardpan profile a value decides as much as the check that it is given to.
        "values": {v: values.get(v, "") for v in sorted(used)} if is_selected else {},
    }


class _Checks:
    """Digests of checks and of all that they refer to."""

    def __init__(self, root: Element) -> None:
        self._components = _components(root)
        self._elements: dict[str, dict[str, Element]] = {}
        self._own: dict[tuple[str, str], tuple[Sha256, tuple[str, ...]]] = {}

    def digest(self, check: Element) -> str:
        """Equal for checks that ask the same in the same way; empty for one that is not used."""
        if check.get("system") == OCIL_SYSTEM:
            return ""
        exports = [
            (e.get("export-name"), e.get("value-id")) for e in check.findall(XCCDF + "check-export")
        ]
        refs = check.findall(XCCDF + "check-content-ref")
        contents = [self._content(r.get("href", ""), r.get("name")) for r in refs]
        parts = (check.get("system"), check.get("negate"), exports, contents)
        return sha256_bytes(repr(parts).encode())

    def _content(self, href: str, name: str | None) -> object:
        component = self._components.get(href)
        if component is None:
            return href  # a remote check: nothing of it is in the data stream
        if name is None:
            return self._whole(href, component)
        return sorted(self._closure(href, component, name))

    def _whole(self, href: str, component: Element) -> Sha256:
        if (href, "") not in self._own:
            self._own[href, ""] = (sha256_bytes(repr(_canonical(component)).encode()), ())
        return self._own[href, ""][0]

    def _closure(self, href: str, component: Element, name: str) -> Iterator[tuple[str, Sha256]]:
        """Id and digest of a definition and of what it leads to, whatever the way there."""
        if href not in self._elements:
            self._elements[href] = {
                e.get("id", ""): e for top in component for kind in top for e in kind if e.get("id")
            }
        todo, seen = deque([name]), {name}
        while todo:
            element_id = todo.popleft()
            element = self._elements[href].get(element_id)
            if element is None:
                continue
            if (href, element_id) not in self._own:
                digest = sha256_bytes(repr(_canonical(element)).encode())
                self._own[href, element_id] = (digest, self._mentioned(href, element))
            digest, mentioned = self._own[href, element_id]
            yield element_id, digest
            todo.extend(i for i in mentioned if i not in seen)
            seen.update(mentioned)

    def _mentioned(self, href: str, element: Element) -> tuple[str, ...]:
        known = self._elements[href]
        found = {
            value
            for e in element.iter("{*}*")
            for value in (*map(str, e.attrib.values()), (e.text or "").strip())
            if value in known
        }
        return tuple(sorted(found))


def _components(root: Element) -> dict[str, Element]:
    """Name that a check's href has -> the component that it leads to."""
    hrefs = {
        r.get("id"): r.get(XLINK + "href", "").removeprefix("#")
        for r in root.iter(DS + "component-ref")
    }
    parts = {
        c.get("id"): c
        for kind in ("component", "extended-component")
        for c in root.iterchildren(DS + kind)
    }
    found = {}
    for checklists in root.iter(DS + "checklists"):
        for uri in checklists.iter(CATALOG + "uri"):
            part = parts.get(hrefs.get(uri.get("uri", "").removeprefix("#")))
            if part is not None:
                found[uri.get("name", "")] = part
    return found


def _canonical(element: Element) -> object:
    """An element without its comments, its metadata and the blanks between its parts."""
    attributes = sorted(
        (str(k), str(v)) for k, v in element.attrib.items() if k not in _SAID_ONLY_ATTRIBUTES
    )
    children = [
        (_canonical(child), (child.tail or "").strip())
        for child in element.iterchildren("{*}*")
        if child.tag not in _SAID_ONLY
    ]
    return (element.tag, attributes, (element.text or "").strip(), children)
