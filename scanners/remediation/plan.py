"""Which rules of a scan are remediated, and why the others are not."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hardpan.core.errors import InputError
from hardpan.profiles.schema import ssg
from hardpan.profiles.schema.rule_names import (
    find_near_matches,
    is_pattern,
    iter_names,
    matches_rule,
    shorten_id,
)
from hardpan.scanners.content.fixes import ContentFix, FixKind, RuleFixes
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart

_UNEVALUATED = ("error", "unknown", "notchecked")
_PACKAGE_RULE = re.compile(r"package_.+_installed", re.ASCII)
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,249}", re.ASCII)
_PACKAGES = "Packages"
_ACCESS = "Access of the user who applies this"
_ACCESS_RULES = frozenset(
    (
        *("sudo_remove_nopasswd", "sudo_remove_no_authenticate", "sudo_require_authentication"),
        *("sudo_add_noexec", "sudo_add_requiretty", "sshd_limit_user_access"),
        *("sshd_disable_root_login", "no_direct_root_logins"),
    )
)
"""Short ids: their fixes restrict who logs in over SSH, or what sudo runs without a person.

Upstream declares a low disruption. On the lab host, each task of the playbook after
``sudo_remove_nopasswd`` failed with "Missing sudo password"; the user, who has no password, was
locked out.
"""

MinSeverity = Literal["high", "medium", "low"]


class Omission(StrEnum):
    """Why a rule is not remediated."""

    NO_FIX = "no_fix"
    DISRUPTIVE = "disruptive"
    INVALID_FIX = "invalid_fix"
    COLLECTION = "collection"
    WAIVED = "waived"
    NOT_EVALUATED = "not_evaluated"
    NOT_FAILED = "not_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSelection:
    """Which of the failed rules are requested."""

    selectors: tuple[str, ...] = ()
    """Names of rules, as waivers have them; empty: all."""

    min_severity: MinSeverity | None = None
    """Severity as ``--fail-on`` counts it; None: any."""

    include_disruptive: bool = False
    allow_collections: bool = True
    """Include Ansible fixes that need collections in addition to ansible-core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFix:
    """A rule that is remediated."""

    rule: RulePart
    name: str
    """Short id; letters, digits and ``_.-`` only."""

    section: str
    """Heading: the title of the rule's group."""

    fix: ContentFix
    is_disruptive: bool
    """True if it has a high disruption, needs a reboot, or can lock out the user who applies it."""

    needs_reboot: bool

    @property
    def installs_package(self) -> bool:
        """Return whether a package is installed, which makes more rules applicable."""
        return self.section == _PACKAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedRule:
    """A rule that is not remediated."""

    rule: RulePart
    reason: Omission
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to remediate, in the order of execution, and what not."""

    kind: FixKind
    fixes: tuple[PlannedFix, ...]
    omitted: tuple[OmittedRule, ...]


def build_plan(
    findings: Findings, content: Sequence[RuleFixes], kind: FixKind, selection: RuleSelection
) -> Plan:
    """Plan the remediation of the failed rules that are requested.

    Fixes are in the content's order, which is upstream's order of remediation, with three changes:
    packages are installed first, fixes that can lock out the user are last, and a rule follows
    those that it requires.

    Raises:
        InputError: a name matches no rule of the scan.
    """
    by_id = {rule.rule_id: rule for rule in content}
    fixes: list[PlannedFix] = []
    omitted: list[OmittedRule] = []
    for rule in _select(findings.rules, selection):
        entry = _plan_rule(rule, by_id.get(rule.rule_id), kind, selection)
        if isinstance(entry, PlannedFix):
            fixes.append(entry)
        elif entry is not None:
            omitted.append(entry)
    return Plan(kind=kind, fixes=_order(fixes, by_id, content), omitted=tuple(omitted))


def describe_effect(planned: PlannedFix) -> str:
    """Return what the content says about applying a fix, on one line."""
    fix = planned.fix
    reboot = "needs a reboot" if planned.needs_reboot else "no reboot"
    return (
        f"strategy {fix.strategy}, complexity {fix.complexity}, "
        f"disruption {fix.disruption}, {reboot}"
    )


def _select(rules: Sequence[RulePart], selection: RuleSelection) -> Iterator[RulePart]:
    for selector in selection.selectors:
        if not any(matches_rule(selector, rule) for rule in rules):
            near = () if is_pattern(selector) else find_near_matches(selector, _all_names(rules))
            raise InputError(
                f"--rule {selector}: expected a rule of the scan, got none with this name",
                hint=f"did you mean {' or '.join(near)}?" if near else "",
            )
    severities: tuple[str, ...] = ssg.SEVERITIES
    if selection.min_severity is not None:
        severities = ssg.SEVERITIES[: ssg.SEVERITIES.index(selection.min_severity) + 1]
    for rule in rules:
        is_requested = not selection.selectors or any(
            matches_rule(selector, rule) for selector in selection.selectors
        )
        is_severe = selection.min_severity is None or rule.gate_severity in severities
        if is_requested and is_severe:
            yield rule


def _all_names(rules: Iterable[RulePart]) -> Iterator[str]:
    return (name for rule in rules for name in iter_names(rule))


def _plan_rule(
    rule: RulePart, content: RuleFixes | None, kind: FixKind, selection: RuleSelection
) -> PlannedFix | OmittedRule | None:
    """Return the fix of a rule, or why it has none; None for a rule that nobody asks for."""
    if rule.verdict != "fail":
        return _explain_verdict(rule, is_named=bool(selection.selectors))
    if rule.waiver is not None and rule.waiver.is_active:
        return OmittedRule(rule=rule, reason=Omission.WAIVED, message=rule.waiver.describe())
    fixes = {} if content is None else content.fixes
    fix = fixes.get(kind)
    if content is None or fix is None:
        return OmittedRule(rule=rule, reason=Omission.NO_FIX, message=_explain_no_fix(fixes, kind))
    name = shorten_id(rule.rule_id)
    if not _SAFE_ID.fullmatch(name):
        message = "the id of the rule has characters that a playbook or a script would interpret"
        return OmittedRule(rule=rule, reason=Omission.INVALID_FIX, message=message)
    disruptions = [_explain_disruption(f, name) for f in fixes.values()]
    disruption = next((text for text in sorted(disruptions, reverse=True) if text), "")
    if disruption and not selection.include_disruptive:
        message = f"{disruption}: add --disruptive"
        return OmittedRule(rule=rule, reason=Omission.DISRUPTIVE, message=message)
    return PlannedFix(
        rule=rule,
        name=name,
        section=_find_section(name, content),
        fix=fix,
        is_disruptive=bool(disruption),
        needs_reboot=any(f.needs_reboot for f in fixes.values()),
    )


def _find_section(name: str, content: RuleFixes) -> str:
    if name in _ACCESS_RULES:
        return _ACCESS
    return _PACKAGES if _PACKAGE_RULE.fullmatch(name) else content.group


def _explain_verdict(rule: RulePart, *, is_named: bool) -> OmittedRule | None:
    if rule.verdict in _UNEVALUATED:
        message = f"result {rule.verdict}: whether it needs a fix is not known"
        return OmittedRule(rule=rule, reason=Omission.NOT_EVALUATED, message=message)
    if is_named:
        message = f"result {rule.verdict}: needs no fix"
        return OmittedRule(rule=rule, reason=Omission.NOT_FAILED, message=message)
    return None


def _explain_no_fix(fixes: Mapping[FixKind, ContentFix], kind: FixKind) -> str:
    names = {FixKind.ANSIBLE: "Ansible", FixKind.BASH: "bash"}
    other = next((k for k in fixes if k is not kind), None)
    if other is None:
        return "the content has no fix"
    return f"the content has no {names[kind]} fix; one exists with --as {other}"


def _explain_disruption(fix: ContentFix, name: str) -> str:
    """Return why a fix disturbs the host; empty if it does not.

    The bash fix of a rule often lacks the attributes that its Ansible fix has.
    """
    if name in _ACCESS_RULES:
        return "it can lock out the user who applies it"
    if fix.needs_reboot:
        return "takes effect after a reboot"
    return "its disruption is high" if fix.disruption == "high" else ""


def _order(
    fixes: Sequence[PlannedFix], by_id: Mapping[str, RuleFixes], content: Sequence[RuleFixes]
) -> tuple[PlannedFix, ...]:
    position = {rule.rule_id: number for number, rule in enumerate(content)}
    pending = sorted(
        fixes,
        key=lambda f: (
            *(f.section == _ACCESS, f.section != _PACKAGES),
            *(position[f.rule.rule_id], f.name),
        ),
    )
    planned = {f.rule.rule_id: f for f in pending}
    ordered: dict[str, PlannedFix] = {}
    for fix in pending:
        _add_after_requirements(fix, planned, by_id, ordered)
    return tuple(ordered.values())


def _add_after_requirements(
    fix: PlannedFix,
    planned: Mapping[str, PlannedFix],
    by_id: Mapping[str, RuleFixes],
    ordered: dict[str, PlannedFix],
) -> None:
    """Add a fix after those of the rules that it requires, also indirectly; loops are cut."""
    stack = [(fix, False)]
    started: set[str] = set()
    while stack:
        current, is_ready = stack.pop()
        rule_id = current.rule.rule_id
        if is_ready:
            ordered.setdefault(rule_id, current)
        elif rule_id not in ordered and rule_id not in started:
            started.add(rule_id)
            stack.append((current, True))
            required = [i for ids in by_id[rule_id].requires for i in ids if i in planned]
            stack += [(planned[i], False) for i in reversed(required)]
