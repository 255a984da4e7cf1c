"""Choose the data stream, benchmark and XCCDF profile that suit a host."""

import re
from dataclasses import dataclass, replace

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content import datastream
from hardpan.scanners.content.catalog import (
    BenchmarkSummary,
    ProfileSummary,
    matches_id,
)
from hardpan.scanners.content.datastream import INSTALLED, ContentSelection, ContentSource
from hardpan.scanners.content.products import OsRelease, debian_package, find_products
from hardpan.scanners.model.scan import ContentOrigin

_DEFAULT_PROFILES = (
    ("", r"stig|rhvh-stig|MAC-1_Classified"),
    (" (the content has no STIG profile)", r"cis_(server_l1|level1_server)|Level_1_-_Server"),
    (" (the content has no STIG or CIS level 1 server profile)", r"standard|general|base|basic"),
)
"""The order of preference: why not an earlier one, and the last part of its id in the content.

DISA's own benchmarks name their profiles after mission assurance categories.
"""

_SYNONYMS = (
    ("cis", "cis_level2_server", "cis_server_l2", "Level_2_-_Server"),
    ("cis_server_l1", "cis_level1_server", "Level_1_-_Server"),
    ("cis_workstation_l1", "cis_level1_workstation", "Level_1_-_Workstation"),
    ("cis_workstation_l2", "cis_level2_workstation", "Level_2_-_Workstation"),
    ("stig", "rhvh-stig", "MAC-1_Classified"),
)
"""Names of one profile in the content of different products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostContent:
    """The content that a host is scanned with."""

    source: ContentSource
    benchmark: BenchmarkSummary
    profile: ProfileSummary
    explanation: tuple[str, str]
    """Which data stream for which system, and which profile and why."""

    reason: str
    """The same on one line, without the names of data stream and profile."""

    @property
    def profile_id(self) -> str:
        """Full XCCDF id of the profile."""
        return self.profile.profile_id


def choose_content(
    release: OsRelease,
    selection: ContentSelection | None = None,
    *,
    profile: str | None = None,
    benchmark: str | None = None,
) -> HostContent:
    """Choose the content for a host by its os-release.

    ``selection`` is a file or an origin; without it, the updated content is used if it is newer
    than the shipped content, then the shipped content, then this machine's packages. ``profile``
    and ``benchmark`` are full ids or their last parts; by default STIG, else CIS level 1 server,
    else standard, else the only profile.

    Raises:
        InputError: there is no content for the host, or no such benchmark or profile.
        TrustError: the shipped or updated content is damaged.
    """
    source = _find_source(release, selection)
    benchmarks = datastream.describe_benchmarks(source)
    summary = _choose_benchmark(benchmarks, release, benchmark or "", source.name)
    selected, explanation = choose_profile(summary, profile, source.name)
    source = replace(
        source,
        benchmark_id=summary.benchmark_id,
        version=source.version or summary.version,
        date=source.date or summary.date,
    )
    profile_name = shorten_id(selected.profile_id)
    system = release.title or str(release)
    return HostContent(
        source=source,
        benchmark=summary,
        profile=selected,
        explanation=(
            f"{source}; for {system}",
            f"profile {profile_name}, {selected.rule_count} rules: {explanation}",
        ),
        reason=f"content {'' if selection is None else 'as requested, '}for {system}; "
        f"profile: {explanation}",
    )


def choose_profile(
    summary: BenchmarkSummary, name: str | None, content_name: str
) -> tuple[ProfileSummary, str]:
    """Return the profile of a name, or the default, with the reason.

    Raises:
        InputError: there is no such profile, or no default; the available ones are listed.
    """
    if name is not None:
        return _find_profile(summary, name, content_name), "as requested"
    for condition, pattern in _DEFAULT_PROFILES:
        for profile in summary.profiles:
            if re.fullmatch(pattern, shorten_id(profile.profile_id)):
                return profile, f"the default{condition}"
    if len(summary.profiles) == 1:
        return summary.profiles[0], "the only profile of the content"
    problem = "no profile" if not summary.profiles else "no default profile"
    raise InputError(f"{content_name}: has {problem}", hint=_list_profiles(summary))


def _find_profile(summary: BenchmarkSummary, name: str, content_name: str) -> ProfileSummary:
    by_name = {shorten_id(p.profile_id).lower(): p for p in summary.profiles}
    by_id = {p.profile_id: p for p in summary.profiles}
    synonyms = next((s for s in _SYNONYMS if name in s), ())
    for candidate in (name, *synonyms):
        profile = by_id.get(candidate) or by_name.get(candidate.lower())
        if profile is not None:
            return profile
    raise InputError(f"{content_name}: no profile {name!a}", hint=_list_profiles(summary))


def _find_source(release: OsRelease, selection: ContentSelection | None) -> ContentSource:
    if selection is not None and not isinstance(selection, ContentOrigin):
        return datastream.load_collection(selection)
    products = find_products(release)
    for product in products:
        for origin in _origins(product, selection):
            if datastream.has_content(product, origin):
                return datastream.find(product, origin)
    if not products:
        raise InputError(
            f"{release}: no SCAP content is known for this system",
            hint="choose a data stream with --content FILE",
        )
    packages = f"scap-security-guide or {debian_package(products[0])}"
    place = "shipped, updated or installed content" if selection is None else f"{selection} content"
    raise InputError(
        f"{release}: expected a data stream for {' or '.join(products)} in the {place}, got none",
        hint=f"'hardpan content update {products[0]}' downloads it, the package {packages} "
        f"installs it in {INSTALLED} of this machine, --content FILE takes any data stream",
    )


def _origins(product: str, selection: ContentOrigin | None) -> tuple[ContentOrigin, ...]:
    if selection is not None:
        return (selection,)
    return (datastream.default_origin(product), ContentOrigin.INSTALLED)


def _choose_benchmark(
    benchmarks: tuple[BenchmarkSummary, ...], release: OsRelease, requested: str, name: str
) -> BenchmarkSummary:
    """Return the requested benchmark, the only one, or the only one for the host's platform."""
    by_id = {b.benchmark_id: b for b in reversed(benchmarks)}
    matching = [b for b in by_id.values() if matches_id(b.benchmark_id, requested)]
    if len(matching) > 1:
        matching = [b for b in matching if _applies(b, release)] or matching
    if len(matching) == 1:
        return matching[0]
    ids = ", ".join(sorted(by_id))
    if not requested:
        problem = f"{len(by_id)} benchmarks, expected one for this system"
    elif matching:
        problem = f"{len(matching)} benchmarks {requested!a}, expected one"
    else:
        problem = f"no benchmark {requested!a}"
    raise InputError(
        f"{name}: has {problem}",
        hint=f"choose with --benchmark: {ids}" if ids else "",
    )


def _applies(summary: BenchmarkSummary, release: OsRelease) -> bool:
    """True if the host's CPE name starts with one of the benchmark's platforms."""
    host = release.cpe_name + ":"
    return bool(release.cpe_name) and any(
        host.startswith(platform.rstrip(":") + ":") for platform in summary.platforms if platform
    )


def _list_profiles(summary: BenchmarkSummary) -> str:
    if not summary.profiles:
        return "choose another data stream with --content FILE"
    names = ", ".join(sorted(shorten_id(p.profile_id) for p in summary.profiles))
    return f"choose with --profile: {names}"
