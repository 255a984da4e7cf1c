"""Compare waivers and tailoring with the rules of the SCAP content that they are for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hardpan.core.errors import HardpanError, InputError
from hardpan.profiles.loader.profile_file import LoadedProfile
from hardpan.profiles.loader.waiver_file import load_waivers, locate_profile_waivers
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.rule_names import RuleNames
from hardpan.profiles.schema.waivers import LocatedWaiver
from hardpan.scanners.collect.check_registry import load_registry
from hardpan.scanners.content import datastream
from hardpan.scanners.content.benchmark import (
    BenchmarkRule,
    expand_profile_id,
    read_benchmark,
    read_rule_names,
)
from hardpan.scanners.content.datastream import ContentSelection, ContentSource, parse_source
from hardpan.scanners.content.scap_xml import Element, find_benchmark
from hardpan.scanners.content.store import Product
from hardpan.scanners.deviations.tailoring import bind_tailoring, find_base_profile
from hardpan.scanners.deviations.tailoring_file import TailoringFile, load_tailoring
from hardpan.scanners.deviations.waivers import find_ambiguous_waivers, find_unmatched_waivers


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviationFiles:
    """The files of a site that change how it is scanned."""

    waivers: Path | None = None
    tailoring: Path | None = None


@dataclass(slots=True, kw_only=True)
class DeviationProblems:
    """What is wrong, one line each with its location."""

    by_profile: dict[str, list[str]] = field(default_factory=dict)
    """Name of a profile -> problems of its waivers, and of the files with this profile."""

    by_file: dict[str, list[str]] = field(default_factory=dict)
    """Path of a file -> its problems with every profile."""

    notes: list[str] = field(default_factory=list)
    """What could not be compared."""

    waivers: list[LocatedWaiver] = field(default_factory=list)
    """The waivers of the waiver file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SelectedRules:
    profile_id: str
    rules: tuple[BenchmarkRule, ...]
    all_rules: tuple[RuleNames, ...]
    """Every rule of the benchmark."""


def check_deviations(
    profiles: Sequence[LoadedProfile], files: DeviationFiles, content: ContentSelection | None
) -> DeviationProblems:
    """Compare waivers and tailoring with the content of each profile.

    A name in the waiver file is a problem if it matches a rule of no profile. Content that cannot
    be read is a note, unless it is a file that the user named.

    Raises:
        InputError: that file cannot be read or is not a data stream.
    """
    problems = DeviationProblems()
    tailoring = _load_files(files, problems)
    compared: list[_SelectedRules] = []
    for loaded in profiles:
        name = loaded.profile.name
        try:
            source = _find_content(loaded.profile.stig.content, content)
        except HardpanError as e:
            if isinstance(content, Path):
                raise
            problems.notes.append(f"{name}: waivers and tailoring were not compared: {e}")
            continue
        try:
            selected = _select_rules(source, loaded.profile.stig.profile_id, tailoring)
        except InputError as e:
            problems.by_profile[name] = str(e).splitlines()
            continue
        compared.append(selected)
        waivers = locate_profile_waivers(loaded.profile, loaded.tree)
        problems.by_profile[name] = _find_waiver_problems(waivers, problems.waivers, selected)
    if compared and files.waivers is not None and problems.waivers:
        problems.by_file.setdefault(str(files.waivers), []).extend(
            _find_unmatched(
                problems.waivers,
                _SelectedRules(
                    profile_id=" or ".join(dict.fromkeys(s.profile_id for s in compared)),
                    rules=tuple(rule for selected in compared for rule in selected.rules),
                    all_rules=tuple(rule for selected in compared for rule in selected.all_rules),
                ),
            )
        )
    return problems


def require_matching_deviations(
    profile: Profile, source: ContentSource, tailoring: TailoringFile | None
) -> None:
    """Pass if a tailoring fits the profile, and each waiver is for rules that are selected then.

    Raises:
        InputError: one does not, or two waivers are for one rule; all are reported.
    """
    waivers = locate_profile_waivers(profile)
    if not waivers and tailoring is None:
        return
    selected = _select_rules(source, profile.stig.profile_id, tailoring)
    if problems := _find_waiver_problems(waivers, (), selected):
        raise InputError(
            "\n".join(problems), hint="'hardpan check PROFILE' shows the lines of the file"
        )


def _load_files(files: DeviationFiles, problems: DeviationProblems) -> TailoringFile | None:
    """Load the files; the problems of one do not hide those of the other."""
    if files.waivers is not None:
        try:
            problems.waivers = list(load_waivers(files.waivers))
        except InputError as e:
            problems.by_file[str(files.waivers)] = str(e).splitlines()
    if files.tailoring is None:
        return None
    try:
        return load_tailoring(files.tailoring)
    except InputError as e:
        problems.by_file[str(files.tailoring)] = str(e).splitlines()
        return None


@cache
def _find_content(product: Product, content: ContentSelection | None) -> ContentSource:
    return datastream.find(product, content)


def _select_rules(
    source: ContentSource, profile: str, tailoring: TailoringFile | None
) -> _SelectedRules:
    """Return the rules of a profile, or of its tailoring.

    Raises:
        InputError: the content has no such profile, or the tailoring does not fit it.
    """
    if tailoring is None:
        return _read_rules(source, expand_profile_id(profile))
    base = find_base_profile(tailoring, profile)
    bound = bind_tailoring(tailoring, source, profile, expand_profile_id(base))
    return _read_rules(source, bound.profile.profile_id, bound.element)


@cache
def _read_rules(
    source: ContentSource, profile_id: str, tailoring: Element | None = None
) -> _SelectedRules:
    root = parse_source(source)
    all_rules = read_rule_names(find_benchmark(root, source.name))
    benchmark = read_benchmark(root, profile_id, source.name, tailoring=tailoring)
    return _SelectedRules(profile_id=profile_id, rules=benchmark.rules, all_rules=all_rules)


def _find_waiver_problems(
    waivers: Sequence[LocatedWaiver],
    site_waivers: Sequence[LocatedWaiver],
    selected: _SelectedRules,
) -> list[str]:
    """Return the problems of a profile's waivers, and rules with a second one of the site."""
    check_names = load_registry().list_names()
    return [
        *_find_unmatched(waivers, selected),
        *find_ambiguous_waivers((*waivers, *site_waivers), (*selected.rules, *check_names)),
    ]


def _find_unmatched(waivers: Sequence[LocatedWaiver], selected: _SelectedRules) -> list[str]:
    """Return the names that match no selected rule and no check of hardpan."""
    registry = load_registry()
    return find_unmatched_waivers(
        waivers,
        selected.rules,
        selected.all_rules,
        selected.profile_id,
        names_check=registry.matches_selector,
        check_ids=[check.id for check in registry.checks],
    )
