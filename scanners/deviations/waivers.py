"""Assign waivers to the rules of a scan, and say what became of each waiver.

A waiver never changes a verdict: a waived failure stays a failure. A waiver that matches no rule,
has expired or is not needed any more is reported, because an auditor would read it as an accepted
deviation of this host.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import (
    IdentifiedRule,
    find_near_matches,
    iter_names,
    matches_rule,
    shorten_id,
)
from hardpan.profiles.schema.waivers import LocatedWaiver
from hardpan.scanners.model.scan import RuleResult, Waiver, WaiverRecord
from hardpan.scanners.model.waiver_status import MAX_WAIVER_MATCHES, derive_waiver_status

_MAX_NAMED_RULES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverAssignment:
    """The waivers of a scan: rule by rule, and waiver by waiver."""

    waiver_by_rule: dict[str, Waiver]
    """Rule id -> its waiver; expired ones included."""

    records: tuple[WaiverRecord, ...]
    """One for each name of each waiver, in the order of the files."""


def assign_waivers(
    waivers: Sequence[LocatedWaiver], results: Sequence[RuleResult], day: date
) -> WaiverAssignment:
    """Assign waivers to the rules of a scan that ended on ``day`` (UTC).

    ``require_unambiguous`` was called before the scan: here the first waiver of a rule is used.
    """
    waiver_by_rule: dict[str, Waiver] = {}
    records: list[WaiverRecord] = []
    for located in waivers:
        waiver = located.waiver
        for selector in waiver.selectors:
            matched = [r for r in results if matches_rule(selector, r)]
            for result in matched:
                waiver_by_rule.setdefault(
                    result.rule_id,
                    Waiver(
                        reason=waiver.reason,
                        owner=waiver.owner,
                        expires=waiver.expires.isoformat(),
                        is_active=not waiver.has_expired(day),
                    ),
                )
            records.append(
                WaiverRecord(
                    selector=selector,
                    source=located.source,
                    reason=waiver.reason,
                    owner=waiver.owner,
                    expires=waiver.expires.isoformat(),
                    rule_ids=tuple(r.rule_id for r in matched),
                    status=derive_waiver_status(
                        (r.verdict for r in matched), has_expired=waiver.has_expired(day)
                    ),
                )
            )
    return WaiverAssignment(waiver_by_rule=waiver_by_rule, records=tuple(records))


def require_unambiguous(waivers: Sequence[LocatedWaiver], rules: Sequence[IdentifiedRule]) -> None:
    """Pass if no rule has two waivers.

    Raises:
        InputError: one has; each is reported with the location of the second waiver. Or the
            waivers name rules more often than a verifier accepts.
    """
    selectors = [selector for located in waivers for selector in located.waiver.selectors]
    count = sum(matches_rule(selector, rule) for selector in selectors for rule in rules)
    if count > MAX_WAIVER_MATCHES:
        raise InputError(
            f"the waivers match {count} rules: expected at most {MAX_WAIVER_MATCHES}",
            hint="name each rule once",
        )
    if problems := find_ambiguous_waivers(waivers, rules):
        raise InputError(
            "\n".join(problems), hint="give each rule one waiver, with one reason and one end"
        )


def find_ambiguous_waivers(
    waivers: Sequence[LocatedWaiver], rules: Iterable[IdentifiedRule]
) -> list[str]:
    """Return the rules that more than one waiver is for, at the location of the later one."""
    rule_names_by_pair: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        locations = _list_matching_locations(waivers, rule)
        for later in locations[1:]:
            names = rule_names_by_pair.setdefault((locations[0], later), [])
            names.append(shorten_id(rule.rule_id))
    return [
        f"{later}: expected one waiver for each rule, got a second for {_join_names(names)};"
        f" the first is at {first}"
        for (first, later), names in rule_names_by_pair.items()
    ]


def find_unmatched_waivers(
    waivers: Sequence[LocatedWaiver],
    rules: Sequence[IdentifiedRule],
    unselected_rules: Sequence[IdentifiedRule],
    profile_id: str,
    *,
    names_check: Callable[[str], bool] = lambda _: False,
    check_ids: Collection[str] = (),
) -> list[str]:
    """Return the names of waivers that match none of the ``rules`` that the profile selects.

    ``unselected_rules`` are the benchmark's other rules: a waiver for one of them is not needed.
    ``names_check`` says whether a name is that of a check of hardpan; ``check_ids`` are suggested
    for a name that resembles one.
    """
    problems: list[str] = []
    for located in waivers:
        for selector, location in zip(
            located.waiver.selectors, located.selector_locations, strict=True
        ):
            if names_check(selector) or any(matches_rule(selector, rule) for rule in rules):
                continue
            problem = _describe_unmatched(selector, rules, unselected_rules, profile_id, check_ids)
            problems.append(f"{location}: {selector}: {problem}")
    return problems


def _describe_unmatched(
    selector: str,
    rules: Sequence[IdentifiedRule],
    unselected_rules: Sequence[IdentifiedRule],
    profile_id: str,
    check_ids: Collection[str],
) -> str:
    if any(matches_rule(selector, rule) for rule in unselected_rules):
        return f"expected a rule that {profile_id} selects, got one that it does not select"
    rule_names = (name for rule in rules for name in iter_names(rule))
    names = find_near_matches(selector, (*rule_names, *check_ids))
    suggestion = f"; did you mean {' or '.join(names)}?" if names else ""
    if check_ids:
        return f"expected a rule of {profile_id} or a check of hardpan, got neither{suggestion}"
    return f"expected a rule of {profile_id}, got no such rule{suggestion}"


def _list_matching_locations(waivers: Sequence[LocatedWaiver], rule: IdentifiedRule) -> list[str]:
    """Return where each waiver names the rule for the first time."""
    locations = []
    for located in waivers:
        names = zip(located.waiver.selectors, located.selector_locations, strict=True)
        matching = [location for selector, location in names if matches_rule(selector, rule)]
        locations += matching[:1]
    return locations


def _join_names(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_MAX_NAMED_RULES])
    omitted = len(names) - _MAX_NAMED_RULES
    return f"{listed} and {omitted} more" if omitted > 0 else listed
