"""Settings of a profile with everything that it inherits by ``extends``.

OpenSCAP 1.3.7 to 1.4.4 (``xccdf_resolve_profile``): what the parent sets comes first, without the
entries whose idref the profile has itself. So a refine-rule of the profile replaces the parent's
for the same idref completely, also those attributes that it does not have.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hardpan.core.errors import InputError
from hardpan.scanners.content.resolve_items import (
    ROLES,
    XCCDF_SEVERITIES,
    describe,
    read_boolean,
    read_choice,
    read_weight,
)
from hardpan.scanners.content.scap_xml import XCCDF, Element


class _Setting(Protocol):
    @property
    def idref(self) -> str: ...


_WITH_REMARKS = tuple(XCCDF + tag for tag in ("select", "refine-rule", "refine-value"))

S = TypeVar("S", bound=_Setting)


@dataclass(frozen=True, slots=True)
class Select:
    """A ``select``: of a rule, a group, or all items of a cluster."""

    idref: str
    is_selected: bool


@dataclass(frozen=True, slots=True)
class RuleRefinement:
    """A ``refine-rule``; an empty string or None is an attribute that it does not have."""

    idref: str
    severity: str
    role: str
    weight: float | None
    selector: str | None


@dataclass(frozen=True, slots=True)
class ValueRefinement:
    """A ``refine-value``: chooses one of a Value's values."""

    idref: str
    selector: str


@dataclass(frozen=True, slots=True)
class SetValue:
    """A ``set-value``."""

    idref: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettings:
    """What a profile sets, in the order in which oscap applies it."""

    selects: tuple[Select, ...] = ()
    rule_refinements: tuple[RuleRefinement, ...] = ()
    value_refinements: tuple[ValueRefinement, ...] = ()
    set_values: tuple[SetValue, ...] = ()


def read_lineage(
    profile_id: str, profiles: Mapping[str, Element], name: str
) -> tuple[Element, ...]:
    """Return a profile's element and the profiles that it extends, the nearest first.

    Raises:
        InputError: one of them extends a profile that does not exist, or itself in a loop.
    """
    lineage = [profiles[profile_id]]
    while parent_id := lineage[-1].get("extends"):
        parent = profiles.get(parent_id)
        if parent is None:
            raise InputError(
                f"{name}: {describe(lineage[-1])} extends {parent_id}: expected the id of a profile"
            )
        if parent in lineage:
            raise InputError(f"{name}: profile {profile_id} extends itself in a loop")
        lineage.append(parent)
    return tuple(lineage)


def read_settings(lineage: Sequence[Element], name: str) -> ProfileSettings:
    """Return the settings of the first profile of a lineage.

    Raises:
        InputError: a number or a keyword is malformed, or a profile sets the same thing twice.
    """
    settings = ProfileSettings()
    for element in reversed(lineage):
        settings = _inherit_settings(settings, _read_profile(element, name))
    return settings


def read_first_text(element: Element, attribute: str) -> str | None:
    """Return the text of an element as oscap reads it.

    This is the first text or comment. An empty element has no text (None), but with ``attribute``,
    which oscap reads before the text, it has the white space that follows it.
    """
    if element.text is not None:
        return element.text
    if len(element):
        return element[0].text or ""  # of a comment: the schema allows no element here
    return None if element.get(attribute) is None else element.tail or ""


def _inherit_settings(parent: ProfileSettings, child: ProfileSettings) -> ProfileSettings:
    return ProfileSettings(
        selects=_inherit(parent.selects, child.selects),
        rule_refinements=_inherit(parent.rule_refinements, child.rule_refinements),
        value_refinements=_inherit(parent.value_refinements, child.value_refinements),
        set_values=_inherit(parent.set_values, child.set_values),
    )


def _inherit(parent: Sequence[S], child: Sequence[S]) -> tuple[S, ...]:
    replaced = {setting.idref for setting in child}
    return (*(p for p in parent if p.idref not in replaced), *child)


def _read_profile(profile: Element, name: str) -> ProfileSettings:
    return ProfileSettings(
        selects=_read_all(profile, "select", _read_select, name),
        rule_refinements=_read_all(profile, "refine-rule", _read_rule_refinement, name),
        value_refinements=_read_all(profile, "refine-value", _read_value_refinement, name),
        set_values=_read_all(profile, "set-value", _read_set_value, name),
    )


def _read_all(
    profile: Element, tag: str, read: Callable[[Element, str], S], name: str
) -> tuple[S, ...]:
    settings = tuple(read(e, name) for e in _iter_children(profile) if e.tag == XCCDF + tag)
    idrefs = [s.idref for s in settings]
    repeated = next((i for n, i in enumerate(idrefs) if not i or i in idrefs[:n]), None)
    if repeated is not None:
        raise InputError(
            f"{name}: {describe(profile)}: expected one {tag} for each idref, "
            f"got {idrefs.count(repeated)} for {repeated!r}"
        )
    return settings


def list_skipped_settings(profile: Element) -> tuple[Element, ...]:
    """Return the children of a profile that oscap does not read."""
    read = set(_iter_children(profile))
    return tuple(e for e in profile.iterchildren("{*}*") if e not in read)


def _iter_children(profile: Element) -> Iterator[Element]:
    """Yield the children that oscap reads: 1.3.7 to 1.4.4 skip the one directly after a setting.

    Without white space between them, the loop for the remarks of the first one swallows it.
    """
    is_skipped = False
    for element in profile.iterchildren("{*}*"):
        if not is_skipped:
            yield element
        is_adjacent = element.tag in _WITH_REMARKS and not len(element) and element.tail is None
        is_skipped = is_adjacent and not is_skipped


def _read_select(element: Element, name: str) -> Select:
    if element.get("selected") is None:
        raise InputError(f"{name}: {describe(element)} has no attribute selected")
    return Select(element.get("idref", ""), read_boolean(element.get("selected")))


def _read_rule_refinement(element: Element, name: str) -> RuleRefinement:
    return RuleRefinement(
        element.get("idref", ""),
        severity=read_choice(element, "severity", XCCDF_SEVERITIES, name),
        role=read_choice(element, "role", ROLES, name),
        weight=read_weight(element, name),
        selector=element.get("selector"),
    )


def _read_value_refinement(element: Element, name: str) -> ValueRefinement:
    return ValueRefinement(element.get("idref", ""), element.get("selector", ""))


def _read_set_value(element: Element, name: str) -> SetValue:
    return SetValue(element.get("idref", ""), read_first_text(element, "idref"))
