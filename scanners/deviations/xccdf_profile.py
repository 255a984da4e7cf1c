"""A profile of an XCCDF tailoring: choose it, and compare its ids with a benchmark.

OpenSCAP ignores an id that does not exist with a line on stderr, so a mistyped rule would stay
selected. Here each of them is an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import find_near_matches, shorten_id
from hardpan.scanners.content.resolve_items import Item
from hardpan.scanners.content.resolve_values import list_selectors
from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text

_EXPECTED_KINDS = {
    "select": ("Rule", "Group"),
    "refine-rule": ("Rule", "Group"),
    "refine-value": ("Value",),
    "set-value": ("Value",),
    "set-complex-value": ("Value",),
}
"""Setting of a profile -> kinds of items that it may refer to (NISTIR 7275r4, table 16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailoredProfile:
    """A profile of a tailoring, and what it extends."""

    lineage: tuple[Element, ...]
    """The profile and those of the same tailoring that it extends, the nearest first."""

    base_profile_id: str
    """The benchmark's profile that it extends; empty for none."""

    @property
    def profile_id(self) -> str:
        """Full id of the profile."""
        return self.lineage[0].get("id", "")


def choose_profile(tailoring: Element, requested: str, file: str) -> TailoredProfile:
    """Choose a profile of the tailoring: the requested one, or one that extends it.

    ``requested`` is an id, full or short; without it the tailoring must have one profile.

    Raises:
        InputError: there is no such profile, or several; they are listed.
    """
    profiles = {p.get("id", ""): p for p in tailoring.findall(XCCDF + "Profile")}
    candidates = [_read_profile(p, profiles, file) for p in profiles.values()]
    by_id = [p for p in candidates if _has_name(p.profile_id, requested)]
    by_base = [p for p in candidates if _has_name(p.base_profile_id, requested)]
    matching = (by_id or by_base) if requested else candidates
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(shorten_id(p) for p in profiles)
    expected = f"one profile {requested!a} or one that extends it" if requested else "one profile"
    raise InputError(
        f"{file}: expected {expected}, got {len(matching)}",
        hint=f"choose with --profile: {names}" if names else "the tailoring has no profile",
    )


def find_unresolved_ids(
    profile: TailoredProfile, items: Mapping[str, Item], profile_ids: Iterable[str], file: str
) -> list[str]:
    """Return each id of the profile that the benchmark does not have, with near matches."""
    benchmark_profile_ids = tuple(profile_ids)
    clusters = {c for item in items.values() if (c := item.element.get("cluster-id"))}
    problems = []
    base = profile.base_profile_id
    if base and base not in benchmark_profile_ids:
        location = f"{file}:{profile.lineage[-1].sourceline}"
        suggestion = suggest(base, benchmark_profile_ids)
        problems.append(f"{location}: extends: no profile {base}{suggestion}")
    for element in _iter_settings(profile):
        idref, kind = element.get("idref", ""), str(etree.QName(element).localname)
        location = f"{file}:{element.sourceline}: {kind}"
        item = items.get(idref)
        if item is None and not (kind in ("select", "refine-rule") and idref in clusters):
            expected = _EXPECTED_KINDS[kind]
            ids = [i for i, other in items.items() if other.kind in expected]
            problems.append(f"{location}: no {' or '.join(expected)} {idref}{suggest(idref, ids)}")
        elif item is not None and item.kind not in _EXPECTED_KINDS[kind]:
            expected_text = " or ".join(_EXPECTED_KINDS[kind])
            problems.append(f"{location}: {idref}: expected a {expected_text}, got a {item.kind}")
        elif item is not None and kind == "refine-value":
            problems += _check_selector(element, item, location, file)
    return problems


def suggest(name: str, candidates: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or nothing without a near match."""
    matches = find_near_matches(name, candidates)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def read_reasons(profile: TailoredProfile) -> dict[tuple[str, str], str]:
    """Return (setting, idref) -> its remarks, of the profile and of those that it extends."""
    reasons: dict[tuple[str, str], str] = {}
    for element in _iter_settings(profile):
        text = " ".join(element_text(r) for r in element.findall(XCCDF + "remark"))
        if text:
            key = (str(etree.QName(element).localname), element.get("idref", ""))
            reasons.setdefault(key, text)
    return reasons


def _has_name(profile_id: str, name: str) -> bool:
    return bool(profile_id) and name in (profile_id, shorten_id(profile_id))


def _read_profile(profile: Element, profiles: Mapping[str, Element], file: str) -> TailoredProfile:
    """Follow ``extends`` through the tailoring; one that extends its own id means the benchmark."""
    lineage = [profile]
    while (parent_id := lineage[-1].get("extends", "")) in profiles:
        parent = profiles[parent_id]
        if parent is lineage[-1]:
            break
        if parent in lineage:
            raise InputError(f"{file}: profile {profile.get('id')} extends itself in a loop")
        lineage.append(parent)
    return TailoredProfile(lineage=tuple(lineage), base_profile_id=parent_id)


def _iter_settings(profile: TailoredProfile) -> Iterator[Element]:
    tags = [XCCDF + name for name in _EXPECTED_KINDS]
    for element in profile.lineage:
        yield from element.iterchildren(*tags)


def _check_selector(element: Element, item: Item, location: str, file: str) -> Iterator[str]:
    selector = element.get("selector", "")
    selectors = list_selectors(item, file)
    if selector and selector not in selectors:
        available = ", ".join(selectors) or "none"
        yield f"{location}: {item.item_id}: no selector {selector!a}; it has: {available}"
