"""Changes between two data streams, rule by rule.

A rule's check is compared with everything that it refers to: upstream changes an OVAL
test far more often than the definition that a rule names. Parts that hardpan does not use are
ignored: OCIL questions, and fixes in other languages than bash.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.content.benchmark import (
    expand_profile_id,
    referenced_ids,
    resolve_profile,
)
from hardpan.scanners.content.fixes import BASH_FIX_SYSTEMS
from hardpan.scanners.content.scap_xml import (
    CATALOG,
    DS,
    OCIL_SYSTEM,
    OVAL,
    XCCDF,
    XLINK,
    Element,
    element_text,
    find_benchmark,
)

DESCRIPTIVE_ASPECTS = frozenset({"title", "description", "references"})
"""Aspects that no verdict depends on."""

_DESCRIPTION_ELEMENTS = ("description", "rationale", "warning", "fixtext")
_DESCRIPTIVE_ELEMENTS = frozenset({OVAL + "metadata"})
_DESCRIPTIVE_ATTRIBUTES = frozenset({"comment", "version"})

Aspects = dict[str, object]
"""Name of an aspect of a rule -> a value that is equal if the aspect is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRule:
    """One rule that was added, removed or changed."""

    rule_id: str
    title: str
    in_profile: bool
    """True if the profile selects it in either data stream."""

    aspects: tuple[str, ...] = ()
    """Changed aspects; empty for a rule that was added or removed."""

    @property
    def is_descriptive_only(self) -> bool:
        """True if no verdict can change by it."""
        return bool(self.aspects) and DESCRIPTIVE_ASPECTS.issuperset(self.aspects)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentChanges:
    """Changes from a baseline to the current data stream; rules in document order."""

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
class _RuleAspects:
    title: str
    is_selected: bool
    aspects: Aspects


def compare_content(
    baseline: Element, current: Element, profile_name: str, *, name: str
) -> ContentChanges:
    """Compare ``baseline`` with ``current``, for the rules and values of a profile.

    Raises:
        InputError: one of them has no benchmark or no such profile.
    """
    profile_id = expand_profile_id(profile_name)
    old, new = (_read_rules(root, profile_id, name) for root in (baseline, current))
    return ContentChanges(
        profile_id=profile_id,
        baseline_rules=len(old),
        current_rules=len(new),
        baseline_selected=sum(r.is_selected for r in old.values()),
        current_selected=sum(r.is_selected for r in new.values()),
        added=tuple(_to_changed_rule(i, r) for i, r in new.items() if i not in old),
        removed=tuple(_to_changed_rule(i, r) for i, r in old.items() if i not in new),
        changed=tuple(_iter_changed_rules(old, new)),
    )


def _to_changed_rule(rule_id: str, rule: _RuleAspects) -> ChangedRule:
    return ChangedRule(rule_id=rule_id, title=rule.title, in_profile=rule.is_selected)


def _iter_changed_rules(
    old: dict[str, _RuleAspects], new: dict[str, _RuleAspects]
) -> Iterator[ChangedRule]:
    for rule_id, current in new.items():
        baseline = old.get(rule_id)
        if baseline is None:
            continue
        aspects = tuple(k for k, v in current.aspects.items() if v != baseline.aspects[k])
        if aspects:
            in_profile = current.is_selected or baseline.is_selected
            yield ChangedRule(
                rule_id=rule_id, title=current.title, in_profile=in_profile, aspects=aspects
            )


def _read_rules(root: Element, profile_id: str, name: str) -> dict[str, _RuleAspects]:
    bench = find_benchmark(root, name)
    resolved = resolve_profile(bench, profile_id, name)
    in_profile = {r.item.item_id for r in resolved.rules}
    checks = _CheckDigests(root)
    return {
        rule_id: _RuleAspects(
            title=element_text(rule.find(XCCDF + "title")),
            is_selected=rule_id in in_profile,
            aspects=_read_aspects(rule, rule_id in in_profile, resolved.values, checks),
        )
        for rule in bench.iter(XCCDF + "Rule")
        if (rule_id := rule.get("id", ""))
    }


def _read_aspects(
    rule: Element, is_selected: bool, values: Mapping[str, str | None], checks: "_CheckDigests"
) -> Aspects:
    fixes = [f for f in rule.findall(XCCDF + "fix") if f.get("system") in BASH_FIX_SYSTEMS]
    value_ids = {e.get("value-id", "") for e in rule.iter(XCCDF + "check-export")}
    value_ids |= {s.get("idref", "") for fix in fixes for s in fix.iter(XCCDF + "sub")}
    references = rule.findall(XCCDF + "reference")
    return {
        "selection": is_selected,
        "title": element_text(rule.find(XCCDF + "title")),
        "severity": rule.get("severity", "unknown"),
        "weight": float(rule.get("weight", "1")),
        "description": [
            element_text(e) for kind in _DESCRIPTION_ELEMENTS for e in rule.findall(XCCDF + kind)
        ],
        "references": sorted(
            [(r.get("href", ""), element_text(r)) for r in references]
            + [(i.get("system", ""), element_text(i)) for i in rule.findall(XCCDF + "ident")]
        ),
        "platforms": sorted(p.get("idref", "") for p in rule.findall(XCCDF + "platform")),
        "dependencies": [referenced_ids(rule, "requires"), referenced_ids(rule, "conflicts")],
        "check": [checks.digest(c) for c in rule.iter(XCCDF + "check")],
        "fix": [_canonical(f) for f in fixes],
        # Within one hardpan profile a value decides as much as the check that it is given to.
        "values": {v: values.get(v) or "" for v in sorted(value_ids)} if is_selected else {},
    }


class _CheckDigests:
    """Digests of checks and of everything that they refer to."""

    def __init__(self, root: Element) -> None:
        self._components = _find_components(root)
        self._elements: dict[str, dict[str, Element]] = {}
        self._digest_cache: dict[tuple[str, str], tuple[Sha256, tuple[str, ...]]] = {}

    def digest(self, check: Element) -> str:
        """Return a value that is equal for equivalent checks; empty for an unused check."""
        if check.get("system") == OCIL_SYSTEM:
            return ""
        exports = [
            (e.get("export-name"), e.get("value-id")) for e in check.findall(XCCDF + "check-export")
        ]
        refs = check.findall(XCCDF + "check-content-ref")
        contents = [self._content_digest(r.get("href", ""), r.get("name")) for r in refs]
        parts = (check.get("system"), check.get("negate"), exports, contents)
        return sha256_bytes(repr(parts).encode())

    def _content_digest(self, href: str, name: str | None) -> object:
        component = self._components.get(href)
        if component is None:
            return href  # a remote check: nothing of it is in the data stream
        if name is None:
            return self._component_digest(href, component)
        return sorted(self._iter_referenced_digests(href, component, name))

    def _component_digest(self, href: str, component: Element) -> Sha256:
        if (href, "") not in self._digest_cache:
            self._digest_cache[href, ""] = (sha256_bytes(repr(_canonical(component)).encode()), ())
        return self._digest_cache[href, ""][0]

    def _iter_referenced_digests(
        self, href: str, component: Element, name: str
    ) -> Iterator[tuple[str, Sha256]]:
        """Yield id and digest of a definition and of everything that it refers to."""
        if href not in self._elements:
            self._elements[href] = {
                e.get("id", ""): e
                for section in component
                for kind in section
                for e in kind
                if e.get("id")
            }
        queue, visited = deque([name]), {name}
        while queue:
            element_id = queue.popleft()
            element = self._elements[href].get(element_id)
            if element is None:
                continue
            if (href, element_id) not in self._digest_cache:
                digest = sha256_bytes(repr(_canonical(element)).encode())
                self._digest_cache[href, element_id] = (
                    digest,
                    self._find_references(href, element),
                )
            digest, referenced = self._digest_cache[href, element_id]
            yield element_id, digest
            queue.extend(i for i in referenced if i not in visited)
            visited.update(referenced)

    def _find_references(self, href: str, element: Element) -> tuple[str, ...]:
        elements = self._elements[href]
        references = {
            value
            for e in element.iter("{*}*")
            for value in (*map(str, e.attrib.values()), (e.text or "").strip())
            if value in elements
        }
        return tuple(sorted(references))


def _find_components(root: Element) -> dict[str, Element]:
    """Return name in a check's href -> the component that it refers to."""
    hrefs = {
        r.get("id"): r.get(XLINK + "href", "").removeprefix("#")
        for r in root.iter(DS + "component-ref")
    }
    components_by_id = {
        c.get("id"): c
        for kind in ("component", "extended-component")
        for c in root.iterchildren(DS + kind)
    }
    components = {}
    for checklists in root.iter(DS + "checklists"):
        for uri in checklists.iter(CATALOG + "uri"):
            part = components_by_id.get(hrefs.get(uri.get("uri", "").removeprefix("#")))
            if part is not None:
                components[uri.get("name", "")] = part
    return components


def _canonical(element: Element) -> object:
    """Return an element without its comments, metadata and white space between its parts."""
    attributes = sorted(
        (str(k), str(v)) for k, v in element.attrib.items() if k not in _DESCRIPTIVE_ATTRIBUTES
    )
    children = [
        (_canonical(child), (child.tail or "").strip())
        for child in element.iterchildren("{*}*")
        if child.tag not in _DESCRIPTIVE_ELEMENTS
    ]
    return (element.tag, attributes, (element.text or "").strip(), children)
