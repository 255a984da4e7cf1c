"""DISA's view of a scan: one status for each requirement of the STIG.

Content and STIG do not map one to one: a requirement may be checked by several rules,
a rule may stand for two requirements or for none, and a few requirements have no rule
at all. The worst verdict of a requirement's rules is its verdict. A waiver changes no
status, and nothing that was not judged is called anything better than not reviewed.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from hardpan.errors import InputError
from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import VerdictName
from hardpan.scanners.report.fill import clean
from hardpan.scanners.report.parts import Rule, WaiverPart
from hardpan.scanners.stig.table import FILES, Requirement, Stig, group_of, stig_for

MOST_CHARACTERS = 32767
"""STIG Manager and eMASS cut texts after this many; UTF-16 units, as they count."""

WORST_FIRST = (
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

_PASSED = ("pass", "fixed")
_CUT = "\n… cut here: findings.json, in the evidence that this checklist lies in, has the rest."


class Status(StrEnum):
    """What a checklist may say of a requirement."""

    OPEN = "open"
    NOT_REVIEWED = "not_reviewed"
    NOT_A_FINDING = "not_a_finding"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One requirement and what the scan says of it."""

    requirement: Requirement
    rules: tuple[Rule, ...]
    """The content's rules for it, in the benchmark's order; there may be none."""

    verdict: VerdictName
    """The worst of its rules' verdicts, ``notchecked`` where there are none."""

    status: Status
    outdated: tuple[str, ...]
    """Rule ids by which the content names it, where DISA's release has another revision."""

    @property
    def is_waived(self) -> bool:
        """True when it is open and a waiver holds for every rule that fails."""
        failing = [r for r in self.rules if r.verdict == "fail"]
        return self.status is Status.OPEN and all(r.is_waived for r in failing)


def stig_of(findings: Findings) -> Stig | None:
    """DISA's STIG for the scanned content; None where none is on record."""
    return stig_for(findings.content.benchmark_id)


def known_stig(findings: Findings) -> Stig:
    """DISA's STIG for the scanned content.

    Raises:
        InputError: none is on record for it.
    """
    stig = stig_of(findings)
    if stig is None:
        raise InputError(
            f"no STIG is on record for the content {findings.content.benchmark_id[:200]!r}",
            hint=f"checklists are written for {', '.join(sorted(FILES))}",
        )
    return stig


def judged(findings: Findings, stig: Stig) -> tuple[Judged, ...]:
    """Every requirement of the STIG, in DISA's order."""
    by_group: dict[str, list[Rule]] = defaultdict(list)
    for rule in findings.rules:
        for group in sorted({group_of(sv) for sv in rule.sv_ids}):
            by_group[group].append(rule)
    return tuple(_judged(r, tuple(by_group[r.group_id])) for r in stig.requirements)


def unassigned(findings: Findings, stig: Stig) -> tuple[Rule, ...]:
    """The rules that stand for no requirement of the STIG: no checklist can hold them."""
    known = stig.by_group
    return tuple(r for r in findings.rules if not any(group_of(s) in known for s in r.sv_ids))


def details(one: Judged, findings: Findings) -> str:
    """What was looked at and found for a requirement."""
    content = findings.content
    scanned_with = f"{content.name} {content.version}, profile {short(content.profile_id)}"
    said = [f"Scanned on {findings.finished} with {scanned_with}."]
    if not one.rules:
        said.append("No rule of that profile checks this requirement: review it by hand.")
    if one.outdated:
        said.append(
            f"The content checks another revision of it ({', '.join(one.outdated)}), "
            "so only a failure counts: review it by hand."
        )
    said += [f"\n{rule_details(rule)}" for rule in one.rules]
    return bounded("\n".join(said))


def rule_details(rule: Rule) -> str:
    """A rule's verdict and what was found, a line each."""
    first = f"{short(rule.rule_id)}: {rule.verdict} ({rule.engine or 'no check ran'})"
    return bounded("\n".join([first, *(f"  {line}" for line in rule.found)]))


def waivers(rules: tuple[Rule, ...]) -> tuple[tuple[Rule, WaiverPart], ...]:
    """The rules that do not pass and have a waiver, one that has ended too."""
    fine = (*_PASSED, "notapplicable")
    return tuple((r, r.waiver) for r in rules if r.waiver is not None and r.verdict not in fine)


def comments(rules: tuple[Rule, ...]) -> str:
    """The waivers on record for a requirement's rules; they change no status."""
    said = [
        f"Waiver on record for {short(rule.rule_id)}: {waiver.said()}. "
        + ("The status stays as found." if waiver.holds else "It has ended.")
        for rule, waiver in waivers(rules)
    ]
    return bounded("\n".join(said))


def about(findings: Findings, stig: Stig) -> str:
    """What a reader of a checklist must know of the whole of it, in one line."""
    left_out = unassigned(findings, stig)
    told = f"{findings.host.os_name}, kernel {findings.host.kernel}."
    if left_out:
        names = ", ".join(f"{short(r.rule_id)} ({r.verdict})" for r in left_out[:5])
        more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
        told += f" Rules of the profile that stand for no requirement of this STIG: {names}{more}."
    return bounded(" ".join(told.split()))


def host_name(findings: Findings) -> str:
    """The host's name, as long as importers take, never empty."""
    return " ".join(clean(findings.host.hostname).split())[:255] or "unknown"


def short(name: str) -> str:
    """A rule's or profile's id without what all of them begin with."""
    return name.removeprefix(RULE_PREFIX).removeprefix("xccdf_org.ssgproject.content_profile_")


def bounded(text: str) -> str:
    """``text``, made harmless to XML and cut to what importers take."""
    made = clean(text)
    if units(made) <= MOST_CHARACTERS:
        return made
    encoded = made.encode("utf-16-le")[: 2 * (MOST_CHARACTERS - units(_CUT))]
    return encoded.decode("utf-16-le", "ignore") + _CUT


def units(text: str) -> int:
    """Length in UTF-16 units, which is how JavaScript and Java count."""
    return len(text.encode("utf-16-le")) // 2


def worst(verdicts: tuple[VerdictName, ...]) -> VerdictName:
    """The one that counts; ``notchecked`` of none at all."""
    return min(verdicts, key=WORST_FIRST.index, default="notchecked")


def _judged(requirement: Requirement, rules: tuple[Rule, ...]) -> Judged:
    named = {s for r in rules for s in r.sv_ids if group_of(s) == requirement.group_id}
    outdated = tuple(sorted(named - {requirement.rule_id}))
    verdict = worst(tuple(r.verdict for r in rules))
    return Judged(
        requirement=requirement,
        rules=rules,
        verdict=verdict,
        status=_status(verdict, outdated=bool(outdated)),
        outdated=outdated,
    )


def _status(verdict: VerdictName, *, outdated: bool) -> Status:
    if verdict == "fail":
        return Status.OPEN
    # What passes an earlier wording of a requirement says nothing about the later one.
    if outdated or verdict not in (*_PASSED, "notapplicable"):
        return Status.NOT_REVIEWED
    return Status.NOT_APPLICABLE if verdict == "notapplicable" else Status.NOT_A_FINDING
