"""Convert the YAML form of a tailoring to an XCCDF ``Tailoring`` element."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.validation_errors import LocatedProblem, format_problems, locate
from hardpan.profiles.schema.rule_names import (
    RuleNames,
    iter_names,
    matches_rule,
    shorten_id,
)
from hardpan.scanners.content.benchmark import read_rule_names
from hardpan.scanners.content.resolve_items import Item
from hardpan.scanners.content.resolve_values import list_selectors
from hardpan.scanners.content.scap_xml import XCCDF, Element
from hardpan.scanners.deviations.tailoring_file import YamlTailoring
from hardpan.scanners.deviations.tailoring_settings import ValueSetting
from hardpan.scanners.deviations.xccdf_profile import suggest

_TIME = "1970-01-01T00:00:00"
"""Time of the version, which XCCDF requires: the same settings give the same bytes."""

_SUFFIX = "_tailored"
_NAMESPACES = cast(dict[str, str], {None: XCCDF.strip("{}")})
"""XCCDF without a prefix; the type of lxml's parameter has no None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedTailoring:
    """A tailoring as XCCDF."""

    element: Element
    reasons: Mapping[tuple[str, str], str]
    """(setting, id) -> reason; ``set-value`` has no remark in XCCDF."""


def convert_tailoring(
    tailoring: YamlTailoring, bench: Element, items: Mapping[str, Item], base_profile_id: str
) -> ConvertedTailoring:
    """Convert a tailoring of a profile of the benchmark.

    Raises:
        InputError: a rule, group or value does not exist, or has two entries; each is reported
            with its location.
    """
    settings = tailoring.settings
    conversion = _Conversion(tailoring, read_rule_names(bench), items)
    profile = etree.Element(XCCDF + "Profile", nsmap=_NAMESPACES)
    profile.set("id", base_profile_id + _SUFFIX)
    profile.set("extends", base_profile_id)
    title = settings.title or f"{shorten_id(base_profile_id)}, tailored"
    etree.SubElement(profile, XCCDF + "title", override="true").text = title
    for is_selected, entries in ((False, settings.unselect), (True, settings.select)):
        name = "select" if is_selected else "unselect"
        for key, reason in entries.items():
            for item_id in conversion.find_items((name, key)):
                select = conversion.add(profile, (name, key), "select", item_id, reason)
                select.set("selected", "true" if is_selected else "false")
    for key, value_setting in settings.values.items():
        conversion.add_value(profile, key, value_setting)
    for key, severity_setting in settings.severity.items():
        for item_id in conversion.find_rules(("severity", key)):
            path, reason = ("severity", key), severity_setting.reason
            refine = conversion.add(profile, path, "refine-rule", item_id, reason)
            refine.set("severity", severity_setting.severity)
    if conversion.problems:
        raise InputError(format_problems(conversion.problems))
    return ConvertedTailoring(
        element=_wrap_profile(profile, shorten_id(base_profile_id)),
        reasons=conversion.reasons,
    )


def _wrap_profile(profile: Element, name: str) -> Element:
    tailoring = etree.Element(XCCDF + "Tailoring", nsmap=_NAMESPACES)
    tailoring.set("id", f"xccdf_hardpan_tailoring_{name}")
    etree.SubElement(tailoring, XCCDF + "version", time=_TIME).text = "1"
    tailoring.append(profile)
    etree.indent(tailoring)  # oscap skips settings without white space between them
    return tailoring


@dataclass(slots=True)
class _Conversion:
    """Looks up the names in the benchmark, and collects problems and reasons."""

    tailoring: YamlTailoring
    rules: tuple[RuleNames, ...]
    items: Mapping[str, Item]
    problems: list[LocatedProblem] = field(default_factory=list)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    """(setting, id) -> the entry that sets it."""

    def find_items(self, path: tuple[str, str]) -> tuple[str, ...]:
        """Return the rules, or the group, that an entry names."""
        group_id = self._find_by_name(path[1], "Group")
        rule_ids = self._match_rules(path[1])
        if rule_ids or group_id:
            return rule_ids or (group_id,)
        names = (*self._rule_names(), *self._short_names("Group"))
        self._report(path, f"no such rule or group{suggest(path[1], names)}")
        return ()

    def find_rules(self, path: tuple[str, str]) -> tuple[str, ...]:
        """Return the rules that an entry names."""
        rule_ids = self._match_rules(path[1])
        if not rule_ids:
            self._report(path, f"no such rule{suggest(path[1], self._rule_names())}")
        return rule_ids

    def add_value(self, profile: Element, key: str, setting: ValueSetting) -> None:
        """Add a ``set-value`` or ``refine-value``."""
        path = ("set", key)
        value_id = self._find_by_name(key, "Value")
        if not value_id:
            self._report(path, f"no such value{suggest(key, self._short_names('Value'))}")
            return
        if setting.selector is None:
            set_value = self.add(profile, path, "set-value", value_id, setting.reason)
            set_value.text = setting.value
            return
        selectors = list_selectors(self.items[value_id], self.tailoring.tree.location.file)
        if setting.selector not in selectors:
            available = ", ".join(selectors) or "none"
            self._report(path, f"no selector {setting.selector!a}; it has: {available}")
        refine = self.add(profile, path, "refine-value", value_id, setting.reason)
        refine.set("selector", setting.selector)

    def add(
        self, profile: Element, path: tuple[str, str], tag: str, item_id: str, reason: str
    ) -> Element:
        """Add a setting with its reason as a remark, where XCCDF allows one."""
        first = self.keys.setdefault((tag, item_id), ".".join(path))
        if first != ".".join(path):
            self._report(path, f"{shorten_id(item_id)} is set by {first} too")
        self.reasons[(tag, item_id)] = reason
        element = etree.SubElement(profile, XCCDF + tag, idref=item_id)
        if tag != "set-value":
            etree.SubElement(element, XCCDF + "remark").text = reason
        return element

    def _match_rules(self, selector: str) -> tuple[str, ...]:
        return tuple(r.rule_id for r in self.rules if matches_rule(selector, r))

    def _find_by_name(self, name: str, kind: str) -> str:
        """Return the id of the item of a kind with this id, full or short; empty for none."""
        for item_id, item in self.items.items():
            if item.kind == kind and name in (item_id, shorten_id(item_id)):
                return item_id
        return ""

    def _rule_names(self) -> tuple[str, ...]:
        return tuple(name for rule in self.rules for name in iter_names(rule))

    def _short_names(self, kind: str) -> Iterable[str]:
        ids = (i for i, item in self.items.items() if item.kind == kind)
        return [shorten_id(item_id) for item_id in ids]

    def _report(self, path: tuple[str, str], problem: str) -> None:
        self.problems.append(locate(self.tailoring.tree, path, problem))
