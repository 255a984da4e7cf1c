"""Rules of a profile in a benchmark: order, titles, ids, weights, groups."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.core.errors import InputError
from hardpan.profiles.schema.ssg import SEVERITIES
from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text, find_benchmark

PROFILE_PREFIX = "xccdf_org.ssgproject.content_profile_"

_STIG_REFERENCES = ("cyber.mil/stigs/srg-stig-tools/", "iase.disa.mil/stigs")
_STIG_IDS = ("_dl_facet_stigs=operating-systems%2Cunix-linux", "disa.mil/stigs/os/unix-linux")
_NIST = "NIST.SP.800-53"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRule:
    """One rule that a profile selects."""

    rule_id: str
    title: str
    severity: str
    """``high``, ``medium``, ``low`` or ``unknown``."""

    weight: float
    groups: tuple[tuple[str, float], ...]
    """Ids and weights of its groups, the outermost first."""

    is_conditional: bool
    """True if it has ``requires`` or ``conflicts``: it may be deselected at run time."""

    has_check: bool
    """True if it has an automated check."""

    stig_ids: tuple[str, ...] = ()
    sv_ids: tuple[str, ...] = ()
    nist: tuple[str, ...] = ()
    cce: str = ""
    rationale: str = ""
    fix_text: str = ""
    """The content's description of the required state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark with the rules of one profile."""

    benchmark_id: str
    version: str
    profile_id: str
    rules: tuple[BenchmarkRule, ...]
    """The selected rules, in document order."""

    platforms: tuple[str, ...]
    """CPE names that the benchmark applies to."""

    date: str = ""
    """Day of the benchmark's status, ``YYYY-MM-DD``; empty when it names none."""


def expand_profile_id(name: str) -> str:
    """Return the full XCCDF id of ``stig`` or of a full id."""
    return name if name.startswith("xccdf_") else PROFILE_PREFIX + name


def read_benchmark(root: Element, profile_id: str, name: str) -> Benchmark:
    """Read the benchmark of a data stream, with the rules of the profile.

    Raises:
        InputError: it has no such profile, or the profile selects nothing.
    """
    bench = find_benchmark(root, name)
    profile_element = find_profile(bench, profile_id, name)
    rules = tuple(_parse_rule(e) for e in iter_selected_rules(bench, profile_element))
    if not rules:
        raise InputError(f"{name}: profile {profile_id} selects no rule")
    version, date = read_version_and_date(root, name)
    return Benchmark(
        benchmark_id=bench.get("id", ""),
        version=version,
        date=date,
        profile_id=profile_id,
        rules=rules,
        platforms=tuple(p.get("idref", "") for p in bench.findall(XCCDF + "platform")),
    )


def read_version_and_date(root: Element, name: str) -> tuple[str, str]:
    """Return a data stream's benchmark version and the day of its status, which may be empty.

    Raises:
        InputError: it has no benchmark, or more than one.
    """
    bench = find_benchmark(root, name)
    return element_text(bench.find(XCCDF + "version")), read_status_date(bench)


def read_status_date(bench: Element) -> str:
    """Return the latest day of a benchmark's status, ``YYYY-MM-DD``; empty if it has none."""
    days = [s.get("date", "")[:10] for s in bench.findall(XCCDF + "status")]
    return max((day for day in days if _DAY.fullmatch(day)), default="")


def find_profile(bench: Element, profile_id: str, name: str) -> Element:
    """Return the profile's element.

    Raises:
        InputError: there is none with that id; the available ones are listed.
    """
    profiles_by_id = {p.get("id", ""): p for p in bench.findall(XCCDF + "Profile")}
    if profile_id not in profiles_by_id:
        short = ", ".join(
            sorted(profile_key.removeprefix(PROFILE_PREFIX) for profile_key in profiles_by_id)
        )
        raise InputError(f"{name}: no profile {profile_id!r}", hint=f"it has: {short}")
    return profiles_by_id[profile_id]


def iter_selected_rules(bench: Element, profile_element: Element) -> Iterator[Element]:
    """Yield the rule elements that the profile selects, in document order."""
    selection_by_id = {
        s.get("idref"): s.get("selected") == "true"
        for s in profile_element.findall(XCCDF + "select")
    }
    for rule in bench.iter(XCCDF + "Rule"):
        if selection_by_id.get(rule.get("id"), rule.get("selected", "true") == "true"):
            yield rule


def referenced_ids(rule: Element, *kinds: str) -> tuple[str, ...]:
    """Return ids that a rule ``requires`` or ``conflicts`` with; an idref may list alternatives."""
    id_lists = [e.get("idref", "").split() for k in kinds for e in rule.findall(XCCDF + k)]
    return tuple(i for ids in id_lists for i in ids)


def _parse_rule(e: Element) -> BenchmarkRule:
    references = [(r.get("href", ""), element_text(r)) for r in e.findall(XCCDF + "reference")]
    checks = [c.get("system", "") for c in e.findall(XCCDF + "check")]
    severity = e.get("severity", "unknown")
    return BenchmarkRule(
        rule_id=e.get("id", ""),
        title=element_text(e.find(XCCDF + "title")),
        severity=severity if severity in SEVERITIES else "unknown",
        weight=float(e.get("weight", "1")),
        groups=_parse_groups(e),
        is_conditional=bool(referenced_ids(e, "requires", "conflicts")),
        has_check=any("ocil" not in c for c in checks)
        or e.find(XCCDF + "complex-check") is not None,
        stig_ids=_match_references(references, _STIG_IDS, ("RHEL-",)),
        sv_ids=_match_references(references, _STIG_REFERENCES, ("SV-",)),
        nist=tuple(sorted({t for href, t in references if _NIST in href and t})),
        cce=next(
            (
                element_text(i)
                for i in e.findall(XCCDF + "ident")
                if element_text(i).startswith("CCE-")
            ),
            "",
        ),
        rationale=element_text(e.find(XCCDF + "rationale")),
        fix_text=element_text(e.find(XCCDF + "fixtext"))
        or element_text(e.find(XCCDF + "description")),
    )


def _parse_groups(e: Element) -> tuple[tuple[str, float], ...]:
    groups = [
        (g.get("id", ""), float(g.get("weight", "1"))) for g in e.iterancestors(XCCDF + "Group")
    ]
    return tuple(reversed(groups))


def _match_references(
    references: list[tuple[str, str]], hrefs: tuple[str, ...], prefixes: tuple[str, ...]
) -> tuple[str, ...]:
    matches = {
        t for href, t in references if t.startswith(prefixes) and any(h in href for h in hrefs)
    }
    return tuple(sorted(matches))
