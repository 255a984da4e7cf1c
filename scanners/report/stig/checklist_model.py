"""DISA's view of a scan: one status for each requirement of the STIG.

Content and STIG do not map one to one: a requirement may be checked by several rules,
a rule may stand for two requirements or for none, and a few requirements have no rule
at all. The worst verdict of a requirement's rules is its verdict. A waiver changes no
status, and nothing that was not judged is called anything better than not reviewed.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from hardpan.core.errors import InputError
from hardpan.core.last_call import cache_last_call
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.report.model.content_sections import NO_REASON
from hardpan.scanners.report.model.display_text import replace_control_characters
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import VerdictName
from hardpan.scanners.report.model.waiver_sections import WaiverPart
from hardpan.scanners.stig.manual_stig import (
    STIG_FILES,
    ManualStig,
    StigRequirement,
    find_stig,
    parse_group_id,
)

MAX_CHARACTERS = 32767
"""STIG Manager and eMASS cut texts after this many; UTF-16 units, as they count."""

VERDICTS_WORST_FIRST = (
    "fail",
    "error",
    "unknown",
    "notchecked",
    "informational",
    "fixed",
    "pass",
    "notapplicable",
)
"""Every verdict; the first that one of a requirement's rules has is the requirement's."""

_MAX_NAMES = 5
"""Rules or requirements that a line lists."""

_PASSED_VERDICTS = ("pass", "fixed")
_TRUNCATION_NOTE = "\n… truncated: see findings.json in the evidence of this checklist."


class ChecklistStatus(StrEnum):
    """What a checklist may say of a requirement."""

    OPEN = "open"
    NOT_REVIEWED = "not_reviewed"
    NOT_A_FINDING = "not_a_finding"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedRequirement:
    """One requirement and what the scan says of it."""

    requirement: StigRequirement
    rules: tuple[RulePart, ...]
    """The content's rules for it, in the benchmark's order; there may be none."""

    verdict: VerdictName
    """The worst of its rules' verdicts, ``notchecked`` where there are none."""

    status: ChecklistStatus
    outdated_rule_ids: tuple[str, ...]
    """Rule ids by which the content names it, where DISA's release has another revision."""

    @property
    def is_waived(self) -> bool:
        """True when it is open and a waiver holds for every rule that fails."""
        failing = [r for r in self.rules if r.verdict == "fail"]
        return self.status is ChecklistStatus.OPEN and all(r.is_waived for r in failing)


def find_content_stig(findings: Findings) -> ManualStig | None:
    """DISA's STIG for the scanned content; None where none is on record."""
    return find_stig(findings.content.benchmark_id)


def require_stig(findings: Findings) -> ManualStig:
    """DISA's STIG for the scanned content.

    Raises:
        InputError: none is on record for it.
    """
    stig = find_content_stig(findings)
    if stig is None:
        raise InputError(
            f"no known STIG for the content {findings.content.benchmark_id[:200]!r}",
            hint=f"checklists are available for {', '.join(sorted(STIG_FILES))}",
        )
    return stig


@cache_last_call
def assess_requirements(findings: Findings, stig: ManualStig) -> tuple[AssessedRequirement, ...]:
    """Every requirement of the STIG, in DISA's order."""
    by_group: dict[str, list[RulePart]] = defaultdict(list)
    for rule in findings.rules:
        for group in sorted({parse_group_id(sv) for sv in rule.sv_ids}):
            by_group[group].append(rule)
    return tuple(_assess_requirement(r, tuple(by_group[r.group_id])) for r in stig.requirements)


@cache_last_call
def find_unassigned_rules(findings: Findings, stig: ManualStig) -> tuple[RulePart, ...]:
    """The rules without a requirement in the STIG; checklists cannot list them."""
    requirement_by_group = stig.requirements_by_group
    return tuple(
        r
        for r in findings.rules
        if not any(parse_group_id(s) in requirement_by_group for s in r.sv_ids)
    )


@cache_last_call
def describe_release_differences(findings: Findings, stig: ManualStig) -> str:
    """Describe where the content follows another release of the STIG; empty if nowhere.

    Each release counts up the revision of the requirements that it changes.
    """
    groups = {parse_group_id(sv_id) for rule in findings.rules for sv_id in rule.sv_ids}
    subjects = (
        (
            "another revision of {}",
            [
                a.requirement.group_id
                for a in assess_requirements(findings, stig)
                if a.outdated_rule_ids
            ],
        ),
        ("{} that it does not have", sorted(groups - set(stig.requirements_by_group) - {""})),
    )
    texts = []
    for text, group_ids in subjects:
        if group_ids:
            noun = "1 requirement" if len(group_ids) == 1 else f"{len(group_ids)} requirements"
            more = ", …" if len(group_ids) > _MAX_NAMES else ""
            texts.append(f"{text.format(noun)} ({', '.join(group_ids[:_MAX_NAMES])}{more})")
    if not texts:
        return ""
    return f"the content does not follow {stig.describe()}: it checks {' and '.join(texts)}"


def format_finding_details(assessed: AssessedRequirement, findings: Findings) -> str:
    """What was looked at and found for a requirement."""
    content = findings.content
    scanned_with = f"{content.name} {content.version}, profile {shorten_id(content.profile_id)}"
    lines = [f"Scanned on {findings.finished} with {scanned_with}."]
    tailoring = content.tailoring
    if tailoring is not None:
        lines.append(f"The profile is tailored by {tailoring.identify()}.")
        lines += (
            f"Tailoring of {shorten_id(rule.rule_id)}: {change}"
            for rule in assessed.rules
            for change in tailoring.list_changes_of_rule(rule.rule_id)
        )
        group_id = assessed.requirement.group_id
        lines += (
            f"Tailoring of {shorten_id(rule.rule_id)}: not evaluated / {rule.reason or NO_REASON}"
            for rule in tailoring.unselected
            if group_id in map(parse_group_id, rule.sv_ids)
        )
    if not assessed.rules:
        lines.append("No rule of that profile checks this requirement: review it manually.")
    if assessed.outdated_rule_ids:
        lines.append(
            f"The content checks another revision of it ({', '.join(assessed.outdated_rule_ids)}), "
            "so only a failure counts: review it manually."
        )
    lines += [f"\n{format_rule_details(rule)}" for rule in assessed.rules]
    return truncate("\n".join(lines))


def format_rule_details(rule: RulePart) -> str:
    """A rule's verdict and what was found, a line each."""
    engine = f"engine: {rule.engine}" if rule.engine else "no check ran"
    heading = f"{shorten_id(rule.rule_id)}: {rule.verdict} ({engine})"
    return truncate("\n".join([heading, *(f"  {line}" for line in rule.evidence_lines)]))


def list_waivers(rules: tuple[RulePart, ...]) -> tuple[tuple[RulePart, WaiverPart], ...]:
    """The rules that do not pass and have a waiver, one that has ended too."""
    passing_verdicts = (*_PASSED_VERDICTS, "notapplicable")
    return tuple(
        (r, r.waiver) for r in rules if r.waiver is not None and r.verdict not in passing_verdicts
    )


def format_comments(rules: tuple[RulePart, ...]) -> str:
    """The waivers on record for a requirement's rules; they change no status."""
    sentences = [
        f"Waiver for {shorten_id(rule.rule_id)}: {waiver.describe()}. "
        + ("The status is unchanged." if waiver.is_active else "It has expired.")
        for rule, waiver in list_waivers(rules)
    ]
    return truncate("\n".join(sentences))


def format_target_comment(findings: Findings, stig: ManualStig) -> str:
    """What a reader of a checklist must know of the whole of it, in one line."""
    unassigned_rules = find_unassigned_rules(findings, stig)
    text = f"{findings.host.os_name}, kernel {findings.host.kernel}."
    if differences := describe_release_differences(findings, stig):
        text += f" Warning: {differences}."
    if unassigned_rules:
        names = ", ".join(
            f"{shorten_id(r.rule_id)} ({r.verdict})" for r in unassigned_rules[:_MAX_NAMES]
        )
        omitted = len(unassigned_rules) - _MAX_NAMES
        remainder = f" and {omitted} more" if omitted > 0 else ""
        text += f" Rules of the profile without a requirement in this STIG: {names}{remainder}."
    return truncate(" ".join(text.split()))


def format_host_name(findings: Findings) -> str:
    """The host's name, as long as importers take, never empty."""
    return " ".join(replace_control_characters(findings.host.hostname).split())[:255] or "unknown"


def truncate(text: str) -> str:
    """Return ``text`` without characters that XML forbids, cut to the importers' limit."""
    cleaned = replace_control_characters(text)
    if 2 * len(cleaned) <= MAX_CHARACTERS or count_utf16_units(cleaned) <= MAX_CHARACTERS:
        return cleaned
    encoded = cleaned.encode("utf-16-le")[
        : 2 * (MAX_CHARACTERS - count_utf16_units(_TRUNCATION_NOTE))
    ]
    return encoded.decode("utf-16-le", "ignore") + _TRUNCATION_NOTE


def count_utf16_units(text: str) -> int:
    """Length in UTF-16 units, which is how JavaScript and Java count."""
    return len(text.encode("utf-16-le")) // 2


def select_worst_verdict(verdicts: tuple[VerdictName, ...]) -> VerdictName:
    """The one that counts; ``notchecked`` of none at all."""
    return min(verdicts, key=VERDICTS_WORST_FIRST.index, default="notchecked")


def _assess_requirement(
    requirement: StigRequirement, rules: tuple[RulePart, ...]
) -> AssessedRequirement:
    sv_ids = {s for r in rules for s in r.sv_ids if parse_group_id(s) == requirement.group_id}
    outdated = tuple(sorted(sv_ids - {requirement.rule_id}))
    verdict = select_worst_verdict(tuple(r.verdict for r in rules))
    return AssessedRequirement(
        requirement=requirement,
        rules=rules,
        verdict=verdict,
        status=_derive_status(verdict, is_outdated=bool(outdated)),
        outdated_rule_ids=outdated,
    )


def _derive_status(verdict: VerdictName, *, is_outdated: bool) -> ChecklistStatus:
    if verdict == "fail":
        return ChecklistStatus.OPEN
    # What passes an earlier wording of a requirement says nothing about the later one.
    if is_outdated or verdict not in (*_PASSED_VERDICTS, "notapplicable"):
        return ChecklistStatus.NOT_REVIEWED
    return (
        ChecklistStatus.NOT_APPLICABLE
        if verdict == "notapplicable"
        else ChecklistStatus.NOT_A_FINDING
    )
