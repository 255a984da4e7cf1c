"""Rules of a profile in a benchmark: order, titles, ids, weights, groups."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import RuleNames
from hardpan.scanners.content.identifiers import read_identifiers
from hardpan.scanners.content.resolve import (
    ResolvedProfile,
    ResolvedRule,
    resolve,
    resolve_declared,
)
from hardpan.scanners.content.resolve_items import Item, read_boolean, read_weight
from hardpan.scanners.content.scap_xml import (
    OCIL_SYSTEM,
    XCCDF,
    Element,
    element_text,
    find_benchmark,
    parse_data_stream,
)
from hardpan.scanners.content.text import (
    Substitutions,
    read_substitutions,
    render_line,
    render_text,
)
from hardpan.scanners.content.xccdf_schema import check_schema
from hardpan.scanners.content.xccdf_tailoring import embed_tailoring

PROFILE_PREFIX = "xccdf_org.ssgproject.content_profile_"
_MAX_VERSION_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRule:
    """One rule that a profile selects."""

    rule_id: str
    title: str
    severity: str
    """``high``, ``medium``, ``low``, ``unknown`` or ``info``, after refine-rule."""

    weight: float
    """After refine-rule, as in oscap's rule-result."""

    groups: tuple[tuple[str, float], ...]
    """Ids and weights of its groups, the outermost first."""

    has_check: bool
    """True if it has an automated check."""

    role: str = "full"
    """``full``, ``unscored`` or ``unchecked``, after refine-rule."""

    declared_weight: float = 1.0
    """Weight without refine-rule: oscap's score uses this one."""

    stig_ids: tuple[str, ...] = ()
    sv_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    """DISA's vulnerability ids, ``V-…``, if they are ids of groups."""

    ccis: tuple[str, ...] = ()
    """CCIs that the content has; upstream's has none."""

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

    values: Mapping[str, str] = field(default_factory=dict)
    """Value id -> its value in this profile, as in oscap's TestResult."""


def expand_profile_id(name: str) -> str:
    """Return the full XCCDF id of ``stig`` or of a full id."""
    return name if name.startswith("xccdf_") else PROFILE_PREFIX + name


def read_benchmark(
    root: Element,
    profile_id: str,
    name: str,
    *,
    benchmark_id: str = "",
    tailoring: Element | None = None,
) -> Benchmark:
    """Read the benchmark of a data stream, with the rules of the profile.

    A ``tailoring`` (an XCCDF ``Tailoring`` element) is added to the tree: its profiles come before
    the benchmark's.

    Raises:
        InputError: it has no such profile, the profile selects nothing, or oscap would refuse it.
    """
    bench = find_benchmark(root, name, benchmark_id)
    if tailoring is not None:
        embed_tailoring(bench, tailoring, name)
    check_schema(bench, name)
    resolved = resolve_profile(bench, profile_id, name)
    if not resolved.rules:
        raise InputError(f"{name}: profile {profile_id} selects no rule")
    version, date = _read_version_and_date(bench)
    substitutions = read_substitutions(bench, resolved.values)
    return Benchmark(
        benchmark_id=bench.get("id", ""),
        version=version,
        date=date,
        profile_id=profile_id,
        rules=tuple(_parse_rule(r, substitutions, name) for r in resolved.rules),
        platforms=tuple(p.get("idref", "") for p in bench.findall(XCCDF + "platform")),
        values={value_id: text or "" for value_id, text in resolved.values.items()},
    )


def add_declared_rules(
    benchmark: Benchmark, data: bytes, rule_ids: Collection[str], name: str
) -> Benchmark:
    """Return a benchmark with rules of its data stream that its profile does not select.

    Rules that the data stream does not have are left out.

    Raises:
        InputError: the data stream is invalid.
    """
    bench = find_benchmark(parse_data_stream(data, name), name, benchmark.benchmark_id)
    substitutions = read_substitutions(bench, benchmark.values)
    rule_by_id = {r.rule_id: r for r in benchmark.rules}
    ordered = resolve_declared(bench, {*rule_by_id, *rule_ids}, name)
    rules = tuple(
        rule_by_id.get(r.item.item_id) or _parse_rule(r, substitutions, name) for r in ordered
    )
    return replace(benchmark, rules=rules)


def resolve_profile(bench: Element, profile_id: str, name: str) -> ResolvedProfile:
    """Resolve a profile of a benchmark.

    Raises:
        InputError: it has no such profile, or oscap would refuse it.
    """
    if read_boolean(find_profile(bench, profile_id, name).get("abstract")):
        raise InputError(f"{name}: profile {profile_id} is abstract: it exists only to be extended")
    return resolve(bench, profile_id, name)


def read_version_and_date(root: Element, name: str) -> tuple[str, str]:
    """Return a data stream's benchmark version and the day of its status, which may be empty.

    Raises:
        InputError: it has no benchmark, or more than one.
    """
    return _read_version_and_date(find_benchmark(root, name))


def _read_version_and_date(bench: Element) -> tuple[str, str]:
    return read_version(bench), read_status_date(bench)


def read_version(bench: Element) -> str:
    """Return the version of a benchmark.

    Raises:
        InputError: it is longer than 100 characters.
    """
    version = element_text(bench.find(XCCDF + "version"))
    if len(version) > _MAX_VERSION_CHARACTERS:
        raise InputError(
            f"Benchmark {bench.get('id', '')}: version: expected at most "
            f"{_MAX_VERSION_CHARACTERS} characters, got {len(version)}"
        )
    return version


def read_status_date(bench: Element) -> str:
    """Return the latest day of a benchmark's status, ``YYYY-MM-DD``; empty if it has none."""
    days = [s.get("date", "")[:10] for s in bench.findall(XCCDF + "status")]
    return max((day for day in days if _is_day(day)), default="")


def _is_day(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("YYYY-MM-DD")


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


def read_rule_names(bench: Element) -> tuple[RuleNames, ...]:
    """Return the identifiers of all rules of a benchmark, whether a profile selects them or not."""
    return tuple(_read_names(rule) for rule in bench.iter(XCCDF + "Rule"))


def _read_names(rule: Element) -> RuleNames:
    identifiers = read_identifiers(rule)
    return RuleNames(
        rule_id=rule.get("id", ""),
        stig_ids=identifiers.stig_ids,
        sv_ids=identifiers.sv_ids,
        cce=identifiers.cce,
    )


def referenced_ids(rule: Element, *kinds: str) -> tuple[str, ...]:
    """Return ids that a rule ``requires`` or ``conflicts`` with; an idref may list alternatives."""
    id_lists = [e.get("idref", "").split() for k in kinds for e in rule.findall(XCCDF + k)]
    return tuple(i for ids in id_lists for i in ids)


def _parse_rule(rule: ResolvedRule, substitutions: Substitutions, name: str) -> BenchmarkRule:
    e = rule.item.element
    texts = _render_texts(rule.item, substitutions, name)
    identifiers = read_identifiers(e)
    return BenchmarkRule(
        rule_id=rule.item.item_id,
        title=texts.title,
        severity=rule.severity,
        weight=rule.weight,
        declared_weight=rule.declared_weight,
        role=rule.role,
        groups=_parse_groups(e, name),
        has_check=any(c.get("system") != OCIL_SYSTEM for c in rule.item.checks()),
        stig_ids=identifiers.stig_ids,
        sv_ids=identifiers.sv_ids,
        group_ids=identifiers.group_ids,
        ccis=identifiers.ccis,
        nist=identifiers.nist,
        cce=identifiers.cce,
        rationale=texts.rationale,
        fix_text=texts.fix_text,
    )


@dataclass(frozen=True, slots=True)
class _RuleTexts:
    title: str
    rationale: str
    fix_text: str


def _render_texts(rule: Item, substitutions: Substitutions, name: str) -> _RuleTexts:
    """Render the texts of a rule with the values of the profile.

    A rule without a title gets its id. DISA's rules have a fix text and no rationale: their
    description is the rationale.
    """
    try:
        description, rationale, fix_text = (
            render_text(_find_texts(rule, tag), substitutions)
            for tag in ("description", "rationale", "fixtext")
        )
        title = render_line(_find_texts(rule, "title"), substitutions) or rule.item_id
    except InputError as e:
        raise InputError(f"{name}: rule {rule.item_id}: {e}") from e
    if not fix_text:
        return _RuleTexts(title, rationale, description)
    return _RuleTexts(title, rationale or description, fix_text)


def _find_texts(rule: Item, tag: str) -> list[Element]:
    """Return the translations of a text, of the rule or of the nearest rule that it extends."""
    return next((texts for e in rule.lineage if (texts := e.findall(XCCDF + tag))), [])


def _parse_groups(e: Element, name: str) -> tuple[tuple[str, float], ...]:
    weights = [(g.get("id", ""), read_weight(g, name)) for g in e.iterancestors(XCCDF + "Group")]
    groups = [(group_id, 1.0 if weight is None else weight) for group_id, weight in weights]
    return tuple(reversed(groups))
