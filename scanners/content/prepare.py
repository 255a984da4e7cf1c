"""Prepare upstream's data stream for upload: derive, tailor, optimize, partition."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hardpan.core.files import Sha256, sha256_bytes
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.profiles.schema.ssg import Fix
from hardpan.scanners.content import fixes as fixes
from hardpan.scanners.content.benchmark import Benchmark, expand_profile_id, read_benchmark
from hardpan.scanners.content.datastream import ContentSource, parse_source
from hardpan.scanners.content.derive import (
    derive,
    remove_dangling_conflicts,
    remove_signatures,
)
from hardpan.scanners.content.limitations import find_limitations
from hardpan.scanners.content.oval_dedup import merge_duplicates
from hardpan.scanners.content.oval_optimize import filter_root_owned_first
from hardpan.scanners.content.oval_share import SharedSearch, share_searches
from hardpan.scanners.content.partition import partition, takes_long
from hardpan.scanners.content.scap_xml import (
    XCCDF,
    Element,
    find_benchmark,
    parse_data_stream,
    serialize,
)
from hardpan.scanners.content.script_checks import CheckEngine, select_script_checks
from hardpan.scanners.content.tailor import connected_rules, tailor
from hardpan.scanners.model.scan import ScapContent


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPart:
    """One data stream for one oscap process."""

    data: bytes
    sha256: Sha256
    rule_ids: tuple[str, ...]
    script_rule_ids: frozenset[str] = frozenset()
    """Those of ``rule_ids`` that OpenSCAP is to evaluate by a script check (SCE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedContent:
    """Content that is ready to be evaluated."""

    content: ScapContent
    benchmark: Benchmark
    parts: tuple[StreamPart, ...]
    """Together they have every selected rule exactly once."""

    untouched: StreamPart
    """The whole data stream, with every selected rule: only platforms and the tailoring's profiles
    were added, and other benchmarks removed."""

    limitations: tuple[str, ...] = ()
    """Why it is neither reduced nor partitioned; empty if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reduction:
    """How content is reduced and partitioned; the fields are parameters of ``prepare``."""

    engine: CheckEngine
    part_count: int
    file_count: int
    omitted_rules: frozenset[str]


def prepare(
    source: ContentSource,
    profile: str,
    *,
    part_count: int = 2,
    file_count: int = 0,
    omitted_rules: Collection[str] = (),
    tailoring: Element | None = None,
    engine: CheckEngine = CheckEngine.OVAL,
) -> PreparedContent:
    """Derive the content for known systems, tailor it to the profile, partition it.

    The same source gives the same bytes; it takes about a second, so nothing is cached.
    ``file_count`` is the number of files that the target has, 0 if it is unknown: with few files
    other parts end together. No part has ``omitted_rules``, unless they decide about other rules or
    the content stays whole. ``tailoring`` is an XCCDF ``Tailoring`` element. ``engine`` evaluates
    the rules that search all file systems; the untouched content has the checks of both engines.
    Content that cannot be reduced without the risk of another verdict stays whole. oscap verifies
    the XML signature of what it evaluates, so what was changed has none.

    Raises:
        InputError: the data stream is invalid, or has no such profile.
    """
    name = source.name
    root = parse_source(source)
    lines = [f"added {line}" for line in derive(root, name)]
    lines += [f"removed {line}" for line in remove_dangling_conflicts(root, name)]
    profile_id = expand_profile_id(profile)
    bench = read_benchmark(root, profile_id, name, tailoring=tailoring)
    if tailoring is not None:
        lines.append("added the profiles of a tailoring")
    is_changed = bool(lines or source.benchmark_id)
    is_signed = remove_signatures(root)
    untouched_data = serialize(root) if is_changed else source.data
    order = tuple(r.rule_id for r in bench.rules)
    untouched = StreamPart(data=untouched_data, sha256=sha256_bytes(untouched_data), rule_ids=order)
    limitations = find_limitations(find_benchmark(root, name))
    if limitations:
        lines += [f"neither reduced nor partitioned: {reason}" for reason in limitations]
        stream_parts: tuple[StreamPart, ...] = (untouched,)
    else:
        reduction = _Reduction(
            engine=engine,
            part_count=part_count,
            file_count=file_count,
            omitted_rules=frozenset(omitted_rules),
        )
        reduced_lines, stream_parts = _reduce(root, bench, name, reduction)
        lines += reduced_lines
    if is_signed and (is_changed or not limitations):
        lines.append("removed the XML signature, which was not verified, from what was changed")
    lines += _describe_parts(stream_parts)
    return PreparedContent(
        content=ScapContent(
            name=name,
            version=bench.version,
            date=bench.date,
            source_sha256=source.sha256,
            derived_sha256=untouched.sha256,
            origin=source.origin,
            origin_kind=source.origin_kind,
            derivation="\n".join(lines),
        ),
        benchmark=bench,
        parts=stream_parts,
        untouched=untouched,
        limitations=limitations,
    )


def load_fixes(source: ContentSource, profile: str, rule_ids: Collection[str]) -> tuple[Fix, ...]:
    """Load the content's own bash fixes for these rules, in the benchmark's order.

    Raises:
        InputError: the profile does not select one of the rules.
    """
    name = source.name
    root = parse_source(source)
    return fixes.collect_fixes(root, expand_profile_id(profile), rule_ids, name)


def find_long_rules_without_fix(source: ContentSource, profile: str) -> tuple[str, ...]:
    """Return the profile's rules that take long and have no fix in bash."""
    root, profile_id = parse_source(source), expand_profile_id(profile)
    rules = read_benchmark(root, profile_id, source.name).rules
    long_rules = [rule.rule_id for rule in rules if takes_long(rule.rule_id)]
    rule_fixes = fixes.collect_fixes(root, profile_id, long_rules, source.name)
    return tuple(fix.rule_id for fix in rule_fixes if not fix.script)


def _reduce(
    root: Element, bench: Benchmark, name: str, reduction: _Reduction
) -> tuple[list[str], tuple[StreamPart, ...]]:
    """Reduce the tree in place to the profile, and partition it; return what was changed too."""
    choice = (bench.profile_id, name)
    order = [r.rule_id for r in bench.rules]
    script_rule_ids: tuple[str, ...] = ()
    if reduction.engine is CheckEngine.SCE:
        script_rule_ids = select_script_checks(root, find_benchmark(root, name), order)
    rule_groups = [
        group
        for group in connected_rules(root, tailor(root, *choice))
        if not set(group).issubset(reduction.omitted_rules)
    ]
    merged_count = merge_duplicates(root)
    optimized_count = filter_root_owned_first(root)
    shared_searches = share_searches(root, by_property=reduction.part_count > 1)
    tailored_data = serialize(root)
    stream_parts = tuple(
        replace(
            _build_part(tailored_data, bench.profile_id, name, ids, has_unselected=number == 0),
            script_rule_ids=frozenset(script_rule_ids).intersection(ids),
        )
        for number, ids in enumerate(
            partition(
                rule_groups,
                reduction.part_count,
                order=order,
                file_count=reduction.file_count,
                shared_searches=_find_rules(root, shared_searches),
                script_rules=script_rule_ids,
            )
        )
    )
    lines = []
    if script_rule_ids:
        names = ", ".join(map(shorten_id, script_rule_ids))
        lines.append(f"removed the OVAL check of {names}: engine SCE, by the content's scripts")
    if merged_count:
        lines.append(
            f"merged {merged_count} OVAL objects, states and variables into identical ones"
        )
    if optimized_count:
        lines.append(
            f"filtered files of common owners from {optimized_count} OVAL objects first, "
            "and tested separately that 0 is a known one"
        )
    if shared_searches:
        object_count = sum(s.object_count for s in shared_searches)
        lines.append(
            f"searched files once for {object_count} OVAL objects, in {len(shared_searches)} "
            "searches instead"
        )
    return lines, stream_parts


def _find_rules(root: Element, searches: Sequence[SharedSearch]) -> list[tuple[str, ...]]:
    """Return the rules of each search, if it has several."""
    rule_ids_by_name: dict[str, list[str]] = {}
    for rule in root.iter(XCCDF + "Rule"):
        for reference in rule.iter(XCCDF + "check-content-ref"):
            name = reference.get("name", "")
            rule_ids_by_name.setdefault(name, []).append(rule.get("id", ""))
    groups = [
        tuple(dict.fromkeys(r for i in s.definition_ids for r in rule_ids_by_name.get(i, ())))
        for s in searches
    ]
    return [group for group in groups if len(group) > 1]


def _build_part(
    tailored_data: bytes,
    profile_id: str,
    name: str,
    ids: tuple[str, ...],
    *,
    has_unselected: bool,
) -> StreamPart:
    root = parse_data_stream(tailored_data, name)
    tailor(root, profile_id, name, only=ids, has_unselected=has_unselected)
    data = serialize(root)
    return StreamPart(data=data, sha256=sha256_bytes(data), rule_ids=ids)


def _describe_parts(parts: tuple[StreamPart, ...]) -> list[str]:
    return [
        f"evaluated part {n} of {len(parts)}: {len(p.rule_ids)} rules, sha256 {p.sha256}"
        for n, p in enumerate(parts, 1)
    ]
