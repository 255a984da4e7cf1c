"""Apply a tailoring to a benchmark's profile, and describe its effect."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.benchmark import (
    Benchmark,
    BenchmarkRule,
    expand_profile_id,
    read_benchmark,
)
from hardpan.scanners.content.datastream import ContentSource, parse_source
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.resolve_items import Item, describe, read_items
from hardpan.scanners.content.resolve_profile import list_skipped_settings
from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text, find_benchmark
from hardpan.scanners.content.script_checks import CheckEngine
from hardpan.scanners.deviations.tailoring_file import TailoringFile, YamlTailoring
from hardpan.scanners.deviations.xccdf_profile import (
    TailoredProfile,
    choose_profile,
    find_unresolved_ids,
    read_reasons,
)
from hardpan.scanners.deviations.yaml_conversion import convert_tailoring
from hardpan.scanners.model.tailoring import TailoredRule, TailoredSetting, Tailoring

_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_NO_VALUE = "no value"
_DEPENDENCY = "it requires or excludes another rule, which is tailored"

Reasons = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTailoring:
    """A tailoring whose ids exist in the benchmark."""

    element: Element
    """XCCDF ``Tailoring``."""

    profile: TailoredProfile
    reasons: Reasons
    """(setting, id) -> reason."""

    selects: frozenset[str]
    """Ids of the rules and groups that the tailoring selects or deselects."""


def find_base_profile(file: TailoringFile, requested: str) -> str:
    """Return the benchmark's profile that a tailoring changes; empty if it does not say.

    ``requested`` is the profile of the command line or of the hardpan profile, or empty;
    ``part_count`` is the greatest number of parts.

    Raises:
        InputError: the tailoring has no such profile, several, or is for another one.
    """
    if not isinstance(file.content, YamlTailoring):
        return choose_profile(file.content, requested, file.path).base_profile_id
    extends = file.content.settings.extends or ""
    if requested and extends and expand_profile_id(requested) != expand_profile_id(extends):
        location = file.content.tree.locate(("extends",))
        raise InputError(
            f"{location}: extends: expected {shorten_id(requested)}, the "
            f"profile of the scan, got {extends}",
            hint="leave out extends, or --profile",
        )
    return extends or requested


def prepare_content(
    source: ContentSource,
    profile: str,
    file: TailoringFile | None,
    requested: str,
    *,
    part_count: int,
    file_count: int = 0,
    engine: CheckEngine = CheckEngine.OVAL,
) -> PreparedContent:
    """Prepare the content for a profile of the benchmark, or for the tailoring of it.

    ``requested`` is the profile of the command line or of the hardpan profile, or empty.

    Raises:
        InputError: the data stream is invalid, has no such profile, or the tailoring does not fit.
    """
    if file is None:
        return prepare(source, profile, part_count=part_count, file_count=file_count, engine=engine)
    bound = bind_tailoring(file, source, requested, expand_profile_id(profile))
    prepared = prepare(
        source,
        bound.profile.profile_id,
        part_count=part_count,
        file_count=file_count,
        tailoring=bound.element,
        engine=engine,
    )
    tailoring = describe_tailoring(file, bound, source, prepared.benchmark)
    return replace(prepared, content=replace(prepared.content, tailoring=tailoring))


def bind_tailoring(
    file: TailoringFile, source: ContentSource, requested: str, base_profile_id: str
) -> BoundTailoring:
    """Compare the tailoring with the benchmark, and convert it to XCCDF.

    ``base_profile_id`` is the full id of the profile that a YAML tailoring changes.

    Raises:
        InputError: ids do not exist in the benchmark: all of them, with near matches.
    """
    bench = find_benchmark(parse_source(source), source.name)
    items = read_items(bench, source.name)
    if isinstance(file.content, YamlTailoring):
        converted = convert_tailoring(file.content, bench, items, base_profile_id)
        profile = choose_profile(converted.element, "", file.path)
        return _build_bound(converted.element, profile, converted.reasons, items)
    profile = choose_profile(file.content, requested, file.path)
    profile_ids = [p.get("id", "") for p in bench.findall(XCCDF + "Profile")]
    if problems := find_unresolved_ids(profile, items, profile_ids, file.path):
        raise InputError("\n".join(problems))
    return _build_bound(file.content, profile, read_reasons(profile), items)


def _build_bound(
    element: Element, profile: TailoredProfile, reasons: Reasons, items: Mapping[str, Item]
) -> BoundTailoring:
    idrefs = {s.get("idref") for p in profile.lineage for s in p.iterchildren(XCCDF + "select")}
    selects = frozenset(
        item_id
        for item_id, item in items.items()
        if item_id in idrefs or item.element.get("cluster-id") in idrefs
    )
    return BoundTailoring(element=element, profile=profile, reasons=reasons, selects=selects)


def describe_tailoring(
    file: TailoringFile, bound: BoundTailoring, source: ContentSource, tailored: Benchmark
) -> Tailoring:
    """Describe the effect of a tailoring: the tailored profile compared with its base profile.

    Raises:
        InputError: the base profile selects no rule.
    """
    base_profile_id = bound.profile.base_profile_id
    base = None
    if base_profile_id:
        base = read_benchmark(parse_source(source), base_profile_id, source.name)
    is_yaml = isinstance(file.content, YamlTailoring)
    return Tailoring(
        file=file.name,
        data=file.data,
        sha256=file.sha256,
        format="yaml" if is_yaml else "xccdf",
        title=_read_title(bound),
        author=_read_author(file, bound),
        version="" if is_yaml else _read_version(bound.element),
        profile_id=tailored.profile_id,
        base_profile_id=base_profile_id,
        unselected=() if base is None else _list_difference(base, tailored, bound),
        selected=() if base is None else _list_difference(tailored, base, bound),
        settings=() if base is None else _compare_settings(base, tailored, bound.reasons),
        notes=_list_ignored(bound),
    )


def _read_title(bound: BoundTailoring) -> str:
    return element_text(bound.profile.lineage[0].find(XCCDF + "title"))


def _read_author(file: TailoringFile, bound: BoundTailoring) -> str:
    """Return the author that the tailoring names (Dublin Core's creator); empty for none."""
    if isinstance(file.content, YamlTailoring):
        return file.content.settings.author or ""
    parents = (bound.element, *bound.profile.lineage)
    names = [element_text(e) for parent in parents for e in parent.iter(_CREATOR)]
    return ", ".join(dict.fromkeys(name for name in names if name))


def _read_version(tailoring: Element) -> str:
    version = tailoring.find(XCCDF + "version")
    if version is None:
        return ""
    return " of ".join(text for text in (element_text(version), version.get("time", "")) if text)


def _list_ignored(bound: BoundTailoring) -> tuple[str, ...]:
    """Return what OpenSCAP, and therefore hardpan, ignores in the tailoring."""
    benchmark = bound.element.find(XCCDF + "benchmark")
    hrefs = () if benchmark is None else (benchmark.get("href", ""),)
    tag = XCCDF + "set-complex-value"
    value_ids = [s.get("idref", "") for p in bound.profile.lineage for s in p.iterchildren(tag)]
    skipped = [s for p in bound.profile.lineage for s in list_skipped_settings(p)]
    return (
        *(f"ignored the benchmark that the tailoring names: {href}" for href in hrefs),
        *(f"ignored set-complex-value of {i}, as OpenSCAP does" for i in value_ids),
        *(
            f"ignored {describe(s)} in line {s.sourceline}, as OpenSCAP does: there is no white "
            "space before it"
            for s in skipped
        ),
    )


def _list_difference(
    benchmark: Benchmark, other: Benchmark, bound: BoundTailoring
) -> tuple[TailoredRule, ...]:
    """Return the rules of ``benchmark`` that ``other`` does not have."""
    other_ids = {r.rule_id for r in other.rules}
    return tuple(
        TailoredRule(
            rule_id=rule.rule_id,
            title=rule.title,
            severity=rule.severity,
            reason=_find_selection_reason(rule, bound),
            sv_ids=rule.sv_ids,
        )
        for rule in benchmark.rules
        if rule.rule_id not in other_ids
    )


def _find_selection_reason(rule: BenchmarkRule, bound: BoundTailoring) -> str:
    """Return the reason for the rule, else for the innermost of its groups that has one."""
    ids = (rule.rule_id, *(group_id for group_id, _ in reversed(rule.groups)))
    if bound.selects.isdisjoint(ids):
        return _DEPENDENCY
    return next((bound.reasons[("select", i)] for i in ids if ("select", i) in bound.reasons), "")


def _compare_settings(
    base: Benchmark, tailored: Benchmark, reasons: Reasons
) -> tuple[TailoredSetting, ...]:
    changed_values = tuple(
        TailoredSetting(
            name=value_id,
            rule_id="",
            base=base.values.get(value_id, _NO_VALUE),
            value=value,
            reason=reasons.get(("set-value", value_id))
            or reasons.get(("refine-value", value_id), ""),
        )
        for value_id, value in tailored.values.items()
        if base.values.get(value_id) != value
    )
    base_rules = {r.rule_id: r for r in base.rules}
    changed_rules = tuple(
        TailoredSetting(
            name=name,
            rule_id=rule.rule_id,
            base=str(getattr(base_rules[rule.rule_id], name)),
            value=str(getattr(rule, name)),
            reason=reasons.get(("refine-rule", rule.rule_id), ""),
        )
        for rule in tailored.rules
        if rule.rule_id in base_rules
        for name in ("severity", "role", "weight")
        if getattr(base_rules[rule.rule_id], name) != getattr(rule, name)
    )
    return changed_values + changed_rules
