"""Benchmarks and profiles of a data stream collection, and the choice of one benchmark."""

from dataclasses import dataclass

from hardpan.core.errors import InputError
from hardpan.scanners.content.benchmark import read_status_date, read_version
from hardpan.scanners.content.resolve import count_rules
from hardpan.scanners.content.resolve_items import read_boolean
from hardpan.scanners.content.scap_xml import (
    DS,
    XCCDF,
    XLINK,
    Element,
    element_text,
    iter_benchmarks,
    remove_element,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSummary:
    """One profile of a benchmark."""

    profile_id: str
    title: str
    rule_count: int
    """Rules that it selects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSummary:
    """One benchmark of a collection."""

    benchmark_id: str
    title: str
    version: str
    date: str
    """Day of its status, ``YYYY-MM-DD``; empty when it has none."""

    platforms: tuple[str, ...]
    """CPE names that it applies to."""

    rule_count: int
    profiles: tuple[ProfileSummary, ...]
    """In document order, without abstract ones, which can only be extended."""


def list_benchmarks(root: Element, name: str) -> tuple[BenchmarkSummary, ...]:
    """Describe the benchmarks of the collection ``name``; empty if it has none.

    Raises:
        InputError: a profile is one that oscap would refuse.
    """
    return tuple(_summarize(bench, name) for bench in iter_benchmarks(root))


def select_benchmark(root: Element, benchmark_id: str, name: str) -> None:
    """Reduce the tree in place to one benchmark of the collection, and one data stream with it.

    ``benchmark_id`` is its full id or the part after ``_benchmark_``; empty for the only one.
    A benchmark that several data streams refer to is taken from the first one, as oscap does.

    Raises:
        InputError: there is none with that id, or several and no id.
    """
    benchmarks = list(iter_benchmarks(root))
    matching = [b for b in benchmarks if matches_id(b.get("id", ""), benchmark_id)]
    if not benchmarks or len({b.get("id") for b in matching}) != 1:
        raise _wrong_benchmark(benchmarks, benchmark_id, name)
    selected = matching[0]
    component = selected.getparent()
    if component is None or len(benchmarks) == 1:
        return
    for other in benchmarks:
        if other is not selected:
            _remove_checklist(root, other)
    _retain_first_stream(root, component.get("id", ""))


def matches_id(benchmark_id: str, requested: str) -> bool:
    """True if ``requested`` is empty, the id, or its last part."""
    return requested in ("", benchmark_id, benchmark_id.rpartition("_benchmark_")[2])


def _wrong_benchmark(benchmarks: list[Element], benchmark_id: str, name: str) -> InputError:
    ids = list(dict.fromkeys(b.get("id", "") for b in benchmarks))
    hint = f"choose with --benchmark: {', '.join(ids)}" if ids else ""
    if benchmark_id and ids:
        return InputError(f"{name}: no benchmark {benchmark_id!a}", hint=hint)
    return InputError(f"{name}: expected one XCCDF 1.2 benchmark, got {len(ids)}", hint=hint)


def _remove_checklist(root: Element, bench: Element) -> None:
    """Remove a benchmark's component and the references to it."""
    component = bench.getparent()
    if component is None:
        return
    for ref in list(root.iter(DS + "component-ref")):
        if ref.get(XLINK + "href", "").removeprefix("#") == component.get("id"):
            remove_element(ref)
    remove_element(component)


def _retain_first_stream(root: Element, component_id: str) -> None:
    """Remove the data streams that do not refer to the component, and all after the first."""
    streams = root.findall(DS + "data-stream")
    referring = [s for s in streams if component_id in _component_ids(s)]
    for stream in streams:
        if stream not in referring[:1]:
            remove_element(stream)


def _component_ids(stream: Element) -> set[str]:
    """Return the ids of the components that a data stream refers to."""
    return {r.get(XLINK + "href", "").removeprefix("#") for r in stream.iter(DS + "component-ref")}


def _summarize(bench: Element, name: str) -> BenchmarkSummary:
    profiles = [
        profile
        for profile in bench.findall(XCCDF + "Profile")
        if not read_boolean(profile.get("abstract"))
    ]
    rule_counts = count_rules(bench, (p.get("id", "") for p in profiles), name)
    return BenchmarkSummary(
        benchmark_id=bench.get("id", ""),
        title=element_text(bench.find(XCCDF + "title")),
        version=read_version(bench),
        date=read_status_date(bench),
        platforms=tuple(p.get("idref", "") for p in bench.findall(XCCDF + "platform")),
        rule_count=sum(1 for _ in bench.iter(XCCDF + "Rule")),
        profiles=tuple(
            ProfileSummary(
                profile_id=profile.get("id", ""),
                title=element_text(profile.find(XCCDF + "title")),
                rule_count=rule_count,
            )
            for profile, rule_count in zip(profiles, rule_counts, strict=True)
        ),
    )
