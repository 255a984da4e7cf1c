"""Resolve a profile as OpenSCAP does: the rules it evaluates, and their settings.

OpenSCAP decides before a check runs which rules it evaluates: selections and ``requires`` and
``conflicts`` depend on other selections, never on results. So the resolution is exact, and a
difference to what a target's oscap reports is an error.

Deviations of OpenSCAP 1.3.7 to 1.4.4 from the specification (NISTIR 7275r4) that are followed:

- A refine-rule without ``role`` sets the role ``full``, also for a rule with another role.
- A refine-rule of a group or of a value changes nothing.
- ``prohibitChanges`` and ``hidden`` change nothing.
- A rule that ``requires`` a rule below a deselected group counts that rule as selected.
- A conflict with an item that does not exist changes nothing. Builds with assertions, as Debian's,
  abort there; ``derive.remove_dangling_conflicts`` prevents that. Such a requirement is refused.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hardpan.core.errors import InputError
from hardpan.scanners.content.resolve_items import (
    ROLES,
    XCCDF_SEVERITIES,
    Item,
    describe,
    read_choice,
    read_items,
    read_weight,
)
from hardpan.scanners.content.resolve_profile import (
    ProfileSettings,
    RuleRefinement,
    read_lineage,
    read_settings,
)
from hardpan.scanners.content.resolve_values import resolve_values
from hardpan.scanners.content.scap_xml import XCCDF, Element


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRule:
    """A rule that oscap evaluates with the profile."""

    item: Item
    severity: str
    """``unknown``, ``info``, ``low``, ``medium`` or ``high``, after refine-rule."""

    role: str
    """``full``, ``unscored`` or ``unchecked``, after refine-rule."""

    weight: float
    """After refine-rule, as in the rule-result."""

    declared_weight: float
    """Without refine-rule: oscap's score uses this one."""

    selector: str
    """Selector of the checks that are candidates; empty for those without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProfile:
    """A profile of a benchmark, resolved."""

    lineage: tuple[Element, ...]
    """The profile's element and those that it extends, the nearest first."""

    rules: tuple[ResolvedRule, ...]
    """The rules that are evaluated, in document order."""

    values: Mapping[str, str | None]
    """Value id -> value; None if oscap cannot resolve it."""

    items: Mapping[str, Item]


def resolve(bench: Element, profile_id: str, name: str) -> ResolvedProfile:
    """Resolve the profile of a benchmark, whose element must exist.

    Raises:
        InputError: the benchmark is one that oscap refuses, or on which it crashes.
    """
    resolver = _Resolver(bench, name)
    lineage, settings = resolver.read_profile(profile_id)
    return ResolvedProfile(
        lineage=lineage,
        rules=resolver.resolve_rules(settings),
        values=resolve_values(resolver.items, settings, name),
        items=resolver.items,
    )


def count_rules(bench: Element, profile_ids: Iterable[str], name: str) -> tuple[int, ...]:
    """Return how many rules each of the profiles evaluates.

    Raises:
        InputError: the benchmark is one that oscap refuses, or on which it crashes.
    """
    resolver = _Resolver(bench, name)
    counts: list[int] = []
    for profile_id in profile_ids:
        _, settings = resolver.read_profile(profile_id)
        if not counts:
            resolve_values(resolver.items, settings, name)  # what it refuses, it always refuses
        counts.append(len(resolver.resolve_rules(settings)))
    return tuple(counts)


def resolve_declared(bench: Element, rule_ids: Collection[str], name: str) -> list[ResolvedRule]:
    """Resolve rules as the benchmark declares them, without a profile, in document order.

    Raises:
        InputError: the benchmark is one that oscap refuses.
    """
    items = read_items(bench, name)
    return [
        _resolve_rule(item, None, name)
        for item_id, item in items.items()
        if item.kind == "Rule" and item_id in rule_ids
    ]


def _read_clusters(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    clusters: dict[str, tuple[str, ...]] = {}
    for item in items:
        if cluster_id := item.element.get("cluster-id"):
            clusters[cluster_id] = (*clusters.get(cluster_id, ()), item.item_id)
    return clusters


def _find_targets(
    idref: str, items: Mapping[str, Item], clusters: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the ids that a profile's idref means: an item, else the items of a cluster."""
    return (idref,) if idref in items else clusters.get(idref, ())


def _apply_selects(
    items: Mapping[str, Item], clusters: Mapping[str, tuple[str, ...]], settings: ProfileSettings
) -> dict[str, bool]:
    """Return id -> selected, for rules and groups; the last select wins."""
    selected = {i: item.is_selected for i, item in items.items() if item.kind != "Value"}
    for select in settings.selects:
        for item_id in _find_targets(select.idref, items, clusters):
            if item_id in selected:
                selected[item_id] = select.is_selected
    return selected


def _merge_refinements(
    items: Mapping[str, Item], clusters: Mapping[str, tuple[str, ...]], settings: ProfileSettings
) -> dict[str, RuleRefinement]:
    merged: dict[str, RuleRefinement] = {}
    for new in settings.rule_refinements:
        for item_id in _find_targets(new.idref, items, clusters):
            old = merged.get(item_id, new)
            merged[item_id] = RuleRefinement(
                item_id,
                severity=new.severity or old.severity,
                role=new.role or "full",
                weight=old.weight if new.weight is None else new.weight,
                selector=old.selector if new.selector is None else new.selector,
            )
    return merged


def _resolve_rule(item: Item, refinement: RuleRefinement | None, name: str) -> ResolvedRule:
    weights = (read_weight(e, name) for e in item.lineage)
    weight = next((w for w in weights if w is not None), 1.0)
    severities = (read_choice(e, "severity", XCCDF_SEVERITIES, name) for e in item.lineage)
    severity = next((s for s in severities if s), "unknown")
    roles = (read_choice(e, "role", ROLES, name) for e in item.lineage)
    role = next((r for r in roles if r), "full")
    refined = refinement or RuleRefinement(item.item_id, "", role, None, None)
    return ResolvedRule(
        item=item,
        severity=refined.severity or severity,
        role=refined.role,
        weight=weight if refined.weight is None else refined.weight,
        declared_weight=weight,
        selector=refined.selector or "",
    )


class _Resolver:
    """Items and profiles of a benchmark, read once for all profiles."""

    def __init__(self, bench: Element, name: str) -> None:
        self.items = read_items(bench, name)
        self._bench = bench
        self._name = name
        self._profiles = {p.get("id", ""): p for p in bench.findall(XCCDF + "Profile")}
        for profile_id in self._profiles:
            # oscap resolves all: a loop anywhere is fatal
            read_lineage(profile_id, self._profiles, name)
        self._clusters = _read_clusters(self.items.values())
        self._conflicts: dict[str, tuple[str, ...]] = {}

    def read_profile(self, profile_id: str) -> tuple[tuple[Element, ...], ProfileSettings]:
        """Return the elements of a profile, as its ``lineage``, and their settings."""
        lineage = read_lineage(profile_id, self._profiles, self._name)
        return lineage, read_settings(lineage, self._name)

    def resolve_rules(self, settings: ProfileSettings) -> tuple[ResolvedRule, ...]:
        """Resolve the rules that are evaluated, in document order."""
        selection = _Selection(
            self.items,
            _apply_selects(self.items, self._clusters, settings),
            self._conflicts,
            self._name,
        )
        refinements = _merge_refinements(self.items, self._clusters, settings)
        return tuple(
            _resolve_rule(self.items[rule_id], refinements.get(rule_id), self._name)
            for rule_id in selection.evaluate(self._bench)
        )


class _Selection:
    """Selected rules and groups; ``evaluate`` deselects as oscap does while it evaluates."""

    def __init__(
        self,
        items: Mapping[str, Item],
        selected: dict[str, bool],
        conflicts: dict[str, tuple[str, ...]],
        name: str,
    ) -> None:
        self._items = items
        self._selected = selected
        self._conflicts = conflicts
        """Item id -> the existing items that it conflicts with; read on first use."""

        self._name = name

    def evaluate(self, bench: Element) -> Iterator[str]:
        """Yield the ids of the rules that are evaluated, in document order."""
        for child in self._children(bench):
            yield from self._evaluate_item(child, is_parent_selected=True)

    def _children(self, parent: Element) -> Iterator[Item]:
        for element in parent.iterchildren(XCCDF + "Rule", XCCDF + "Group"):
            item = self._items[element.get("id", "")]
            if not item.is_abstract:
                yield item

    def _evaluate_item(self, item: Item, *, is_parent_selected: bool) -> Iterator[str]:
        if item.kind == "Rule":
            if is_parent_selected and self._remains_selected(item):
                yield item.item_id
            return
        for child in self._children(item.element):
            # oscap asks again before each child: the last one may have changed the answer.
            is_selected = self._remains_selected(item)
            yield from self._evaluate_item(
                child, is_parent_selected=is_parent_selected and is_selected
            )

    def _remains_selected(self, item: Item) -> bool:
        """Deselect an item, and everything below it, that conflicts or lacks a requirement."""
        if not self._selected[item.item_id]:
            return False
        if self._is_in_conflict(item) or not self._has_requirements(item):
            for element in item.element.iter(XCCDF + "Rule", XCCDF + "Group"):
                self._selected[element.get("id", "")] = False
            return False
        return True

    def _is_in_conflict(self, item: Item) -> bool:
        existing_ids = self._conflicts.get(item.item_id)
        if existing_ids is None:
            # Upstream's content for OL 10 and SLE 16 has conflicts with a rule that does not exist.
            existing_ids = tuple(i for i in read_conflicts(item) if i in self._items)
            self._conflicts[item.item_id] = existing_ids
        return any(self._is_selected(i, item) for i in existing_ids)

    def _has_requirements(self, item: Item) -> bool:
        return all(any(self._is_selected(i, item) for i in ids) for ids in read_requires(item))

    def _is_selected(self, idref: str, item: Item) -> bool:
        other = self._items.get(idref)
        if other is None or other.kind == "Value" or other.is_abstract:
            raise InputError(
                f"{self._name}: {describe(item.element)} refers to {idref!r}: "
                "expected the id of a Rule or Group"
            )
        return self._selected[idref]


def read_requires(item: Item) -> tuple[tuple[str, ...], ...]:
    """Return the requirements of an item: of each tuple one must be selected. Not inherited."""
    elements = item.element.iterchildren(XCCDF + "requires")
    return tuple(ids for e in elements if (ids := tuple(e.get("idref", "").split())))


def read_conflicts(item: Item) -> tuple[str, ...]:
    """Return the ids that an item conflicts with, with those that it inherits."""
    return tuple(dict.fromkeys(e.get("idref", "") for e in item.children("conflicts")))
